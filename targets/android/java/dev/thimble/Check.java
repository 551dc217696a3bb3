package dev.thimble;

/** What Java's signed numbers could say and the C API's unsigned ones cannot; the rest the C API checks itself. */
final class Check {
    private Check() {}

    static int notNegative(String what, int value) {
        return (int) notNegative(what, (long) value);
    }

    static long notNegative(String what, long value) {
        if (value < 0) throw new ThimbleException(ErrorCode.OUT_OF_RANGE, what + ": got " + value + ", expected 0 or more");
        return value;
    }

    static <T> T notNull(String what, T value) {
        if (value == null) throw new ThimbleException(ErrorCode.INVALID_ARGUMENT, what + ": null");
        return value;
    }
}
