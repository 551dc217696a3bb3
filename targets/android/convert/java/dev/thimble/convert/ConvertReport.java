package dev.thimble.convert;

import java.nio.charset.StandardCharsets;

/** What came of a conversion. */
public final class ConvertReport {
    static final int NUMBERS = 6;

    private final String name;
    private final String family;
    private final long[] numbers; // in the order of the methods below

    ConvertReport(byte[][] names, long[] numbers) {
        name = new String(names[0], StandardCharsets.UTF_8);
        family = new String(names[1], StandardCharsets.UTF_8);
        this.numbers = numbers;
    }

    public String name() {
        return name;
    }

    public String family() {
        return family;
    }

    /** Numbers in all tensors. */
    public long weights() {
        return numbers[0];
    }

    /** Of the weights, as they are stored there. */
    public long sourceBytes() {
        return numbers[1];
    }

    public long fileBytes() {
        return numbers[2];
    }

    /** The largest sum of the buffers for weights at one time. */
    public long peakBufferBytes() {
        return numbers[3];
    }

    public boolean hasTokenizer() {
        return numbers[4] != 0;
    }

    public int chatTemplates() {
        return (int) numbers[5];
    }
}
