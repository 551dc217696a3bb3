package dev.thimble;

/** What passes have taken: {@link Engine#profile}. */
public final class Profile {
    static final int NUMBERS = 13;

    private final long[] numbers; // in the order of the methods below

    Profile(long[] numbers) {
        this.numbers = numbers;
    }

    public int threads() {
        return (int) numbers[0];
    }

    public long steps() {
        return numbers[1];
    }

    public long tokens() {
        return numbers[2];
    }

    public long embedNanos() {
        return numbers[3];
    }

    public long normNanos() {
        return numbers[4];
    }

    public long linearNanos() {
        return numbers[5];
    }

    public long attentionNanos() {
        return numbers[6];
    }

    public long activationNanos() {
        return numbers[7];
    }

    public long headNanos() {
        return numbers[8];
    }

    public long sampleNanos() {
        return numbers[9];
    }

    public long totalNanos() {
        return numbers[10];
    }

    /** By attention. */
    public long cacheBytesRead() {
        return numbers[11];
    }

    /** By linear layers. */
    public long weightBytesRead() {
        return numbers[12];
    }
}
