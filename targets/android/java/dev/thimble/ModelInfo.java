package dev.thimble;

/** What a model file says of itself: {@link Model#info}. */
public final class ModelInfo {
    static final int NUMBERS = 15;

    private final long[] numbers; // in the order of the methods below
    private final String name;
    private final String family;
    private final String chatTemplate;

    ModelInfo(long[] numbers, byte[][] texts) {
        this.numbers = numbers;
        name = Utf8.decode(texts[0]);
        family = Utf8.decode(texts[1]);
        chatTemplate = Utf8.decode(texts[2]);
    }

    public String name() {
        return name;
    }

    public String family() {
        return family;
    }

    /** Empty: none. */
    public String chatTemplate() {
        return chatTemplate;
    }

    public int layers() {
        return (int) numbers[0];
    }

    public int width() {
        return (int) numbers[1];
    }

    /** Ids below this may be drawn. */
    public int vocabulary() {
        return (int) numbers[2];
    }

    /** Length of a row of logits. */
    public int outputs() {
        return (int) numbers[3];
    }

    /** What it was trained for. */
    public long maxPositions() {
        return numbers[4];
    }

    public boolean hasTokenizer() {
        return numbers[5] != 0;
    }

    /** False: an encoder. */
    public boolean isDecoder() {
        return numbers[6] != 0;
    }

    /** -1: none. */
    public int bos() {
        return (int) numbers[7];
    }

    /** -1: none. */
    public int eos() {
        return (int) numbers[8];
    }

    /** 0 for models that read tokens. */
    public int imageHeight() {
        return (int) numbers[9];
    }

    public int imageWidth() {
        return (int) numbers[10];
    }

    public int imageChannels() {
        return (int) numbers[11];
    }

    public long fileBytes() {
        return numbers[12];
    }

    /** Networks in the file, 1 for most. */
    public int parts() {
        return (int) numbers[13];
    }

    /** 0 the main network, 1 an encoder, 2 a draft. */
    public int role() {
        return (int) numbers[14];
    }
}
