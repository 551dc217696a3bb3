package dev.thimble;

/** Whether an engine finds memory, before a byte is loaded: {@link Model#willItFit}. */
public final class WillItFit {
    static final int NUMBERS = 5;

    private final long[] numbers; // limit, needed, available, missing, missing for the file
    private final String reason;

    WillItFit(long[] numbers, String reason) {
        this.numbers = numbers;
        this.reason = reason;
    }

    public boolean fits() {
        return reason.isEmpty();
    }

    /** For people, with the figures; "": it fits. */
    public String reason() {
        return reason;
    }

    /** Who decided. */
    public SystemMemory.Limit limit() {
        return SystemMemory.limit(numbers[0]);
    }

    /** {@link MemoryPlan#anonymousBytes}. */
    public long neededBytes() {
        return numbers[1];
    }

    public long availableBytes() {
        return numbers[2];
    }

    /** 0: it fits. */
    public long missingBytes() {
        return numbers[3];
    }

    /** Not 0: it runs, but this much of the model file finds no room and is read again and again. */
    public long fileMissingBytes() {
        return numbers[4];
    }
}
