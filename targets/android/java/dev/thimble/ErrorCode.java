package dev.thimble;

/** The codes of {@link ThimbleException}: those of the C API, by the same names and numbers; {@link ThimbleException#help} says what to do. */
public enum ErrorCode {
    OK(0),
    INVALID_ARGUMENT(100),
    OUT_OF_RANGE(101),
    TEXT_TOO_LONG(102),
    INVALID_TOKEN(103),
    NOT_A_STATE(104),
    STATE_DAMAGED(105),
    STATE_MISMATCH(106),
    BUFFER_TOO_SMALL(107),
    UNKNOWN_FIELD(108),
    TEMPLATE_RAISED(109),
    TEMPLATE_FAILED(110),
    TEMPLATE_BUDGET(111),
    NOT_A_MODEL(200),
    TRUNCATED(201),
    CORRUPT(202),
    INVALID_MODEL(203),
    TRAILING_BYTES(204),
    UNSUPPORTED(300),
    UNSUPPORTED_FEATURE(301),
    UNSUPPORTED_VERSION(302),
    UNSUPPORTED_CPU(303),
    ARENA_TOO_SMALL(400),
    ARENA_MISALIGNED(401),
    SIZE_OVERFLOW(402),
    OUT_OF_MEMORY(403),
    OVER_BUDGET(404),
    IO(500),
    THREADS(501),
    CONTEXT_FULL(600),
    WRONG_STATE(601),
    CANCELLED(602),
    REWIND_TOO_FAR(603),
    BUSY(604),
    NO_SESSION(605),
    NOT_FINITE(700),
    /** Of a newer native library than these classes. */
    UNKNOWN(-1);

    private final int number;

    ErrorCode(int number) {
        this.number = number;
    }

    public int number() {
        return number;
    }

    static ErrorCode of(int number) {
        for (ErrorCode code : values()) {
            if (code.number == number) return code;
        }
        return UNKNOWN;
    }
}
