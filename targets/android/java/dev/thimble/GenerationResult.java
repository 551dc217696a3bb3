package dev.thimble;

/** How an answer went. */
public final class GenerationResult {
    private final GenerationEnd end;
    private final GenerationEvent last;

    GenerationResult(GenerationEnd end, GenerationEvent last) {
        this.end = end;
        this.last = last;
    }

    public GenerationEnd end() {
        return end;
    }

    /** Read for this answer; 0 where reading was cancelled. */
    public long promptTokens() {
        return last == null ? 0 : last.promptTokens();
    }

    public long generatedTokens() {
        return last == null ? 0 : last.generatedTokens();
    }

    public long prefillNanos() {
        return last == null ? 0 : last.prefillNanos();
    }

    public long decodeNanos() {
        return last == null ? 0 : last.decodeNanos();
    }
}
