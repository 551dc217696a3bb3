package dev.thimble;

/** What options come to with cache rows of one type, within a budget: {@link Model#solve}. */
public final class Solution {
    private final String largestLine;
    private final long[] numbers; // in the order of the methods below

    Solution(String largestLine, long[] numbers) {
        this.largestLine = largestLine;
        this.numbers = numbers;
    }

    /** False: nothing does with these rows; this is the smallest that there is. */
    public boolean fits() {
        return numbers[0] != 0;
    }

    public CacheType keys() {
        return CacheType.values()[(int) numbers[1]];
    }

    public CacheType values() {
        return CacheType.values()[(int) numbers[2]];
    }

    /** As many as fit. */
    public int contextTokens() {
        return (int) numbers[3];
    }

    /** The largest pass that fits with that context. */
    public int chunkTokens() {
        return (int) numbers[4];
    }

    public long arenaBytes() {
        return numbers[5];
    }

    public long anonymousBytes() {
        return numbers[6];
    }

    public long fileBackedBytes() {
        return numbers[7];
    }

    public long cacheBytesPerToken() {
        return numbers[8];
    }

    /** Where it does not fit: more than the budget has. */
    public long overBytes() {
        return numbers[9];
    }

    /** Of the lines with {@link #largestLine}. */
    public long largestLineBytes() {
        return numbers[10];
    }

    /** What takes most: "packed_weights", ... */
    public String largestLine() {
        return largestLine;
    }

    /** The options with these rows, context and pass. */
    public EngineOptions apply(EngineOptions options) {
        return options.cache(keys(), values()).contextTokens(contextTokens()).chunkTokens(chunkTokens());
    }
}
