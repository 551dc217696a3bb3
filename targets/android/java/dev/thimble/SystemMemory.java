package dev.thimble;

/**
 * Bytes that this process can still take, by who says so: {@link #now}. Android's own figure, ActivityManager.MemoryInfo's availMem above its
 * threshold, comes in with {@link #caller}.
 */
public final class SystemMemory {
    /** Who decides; in the order of the C API's thimble_limit. */
    public enum Limit {
        NONE,
        /** /proc/meminfo. */
        MACHINE,
        /** A control group. */
        GROUP,
        /** RLIMIT_DATA. */
        DATA,
        /** RLIMIT_AS. */
        ADDRESSES,
        /** What {@link SystemMemory#caller} was given. */
        CALLER
    }

    /** Nobody says. */
    public static final long NO_LIMIT = -1;

    static final int NUMBERS = 7;

    private final long[] numbers; // limit, available, machine, group, data, addresses, caller
    private final String group;

    private SystemMemory(long[] numbers, String group) {
        this.numbers = numbers;
        this.group = group;
    }

    public static SystemMemory now() {
        long[] numbers = new long[NUMBERS];
        return new SystemMemory(numbers, Native.systemMemory(numbers));
    }

    /** The same with what another source says: the smallest figure decides. {@link #NO_LIMIT} takes it away. */
    public SystemMemory caller(long bytes) {
        long[] changed = numbers.clone();
        changed[6] = bytes;
        return new SystemMemory(changed, group);
    }

    /** Of the system itself. */
    public Limit limit() {
        return limit(numbers[0]);
    }

    public long availableBytes() {
        return numbers[1];
    }

    public long machineBytes() {
        return numbers[2];
    }

    public long groupBytes() {
        return numbers[3];
    }

    public long dataBytes() {
        return numbers[4];
    }

    public long addressBytes() {
        return numbers[5];
    }

    public long callerBytes() {
        return numbers[6];
    }

    /** The control group that leaves least; "": none. */
    public String group() {
        return group;
    }

    long[] numbers() {
        return numbers;
    }

    static Limit limit(long number) {
        Limit[] all = Limit.values();
        return number >= 0 && number < all.length ? all[(int) number] : Limit.NONE;
    }
}
