package dev.thimble;

/** Why an answer ended; in the order of the C API's thimble_end. */
public enum GenerationEnd {
    NOT_YET,
    /** The model's own end of text or turn, or one of {@link GenerationOptions#stopIds}. */
    END_TOKEN,
    STOP_STRING,
    MAX_TOKENS,
    CONTEXT_FULL,
    /** {@link Session#cancel}, or {@link GenerationListener#onPrompt} gave false, or the session was closed. */
    CANCELLED,
    /** {@link GenerationListener#onText} or {@link GenerationListener#onEvent} gave false. */
    STOPPED;

    private static final GenerationEnd[] ALL = values();

    static GenerationEnd of(int end) {
        return end >= 0 && end < ALL.length ? ALL[end] : END_TOKEN;
    }
}
