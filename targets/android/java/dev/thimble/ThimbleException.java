package dev.thimble;

/** What the native library refused or could not do, with its own words and code. */
public final class ThimbleException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final int number;

    /** Native code makes them. */
    ThimbleException(int number, byte[] message) {
        super(Utf8.decode(message));
        this.number = number;
    }

    ThimbleException(ErrorCode code, String message) {
        super(message);
        this.number = code.number();
    }

    public ErrorCode code() {
        return ErrorCode.of(number);
    }

    /** As the C API has it: 1xx the argument, 2xx the model file, 3xx not supported, 4xx memory, 5xx the system, 6xx state, 7xx numbers. */
    public int number() {
        return number;
    }

    /** What the code means and what to do about it; English, one line. */
    public String help() {
        return Native.codeHelp(number);
    }
}
