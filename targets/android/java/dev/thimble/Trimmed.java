package dev.thimble;

/** What {@link Engine#trim} gave back, as the kernel counts pages. */
public final class Trimmed {
    static final int NUMBERS = 4;

    private final long[] numbers; // in the order of the methods below

    Trimmed(long[] numbers) {
        this.numbers = numbers;
    }

    /** That lie in the file now. */
    public int parkedSessions() {
        return (int) numbers[0];
    }

    /** In memory or swapped out before, and not afterwards. */
    public long anonymousBytes() {
        return numbers[1];
    }

    /** The same, of mapped files. */
    public long fileBackedBytes() {
        return numbers[2];
    }

    /** Written to the file. */
    public long parkedBytes() {
        return numbers[3];
    }
}
