package dev.thimble;

/** One token of an answer, and what it adds to the text. */
public final class GenerationEvent {
    private final String text;
    private final long[] numbers; // id, end, prompt tokens, generated tokens, prefill ns, decode ns
    private final float logprob;
    private final int[] topIds;
    private final float[] topLogprobs;

    GenerationEvent(byte[] text, long[] numbers, float logprob, int[] topIds, float[] topLogprobs) {
        this.text = Utf8.decode(text);
        this.numbers = numbers;
        this.logprob = logprob;
        this.topIds = topIds == null ? new int[0] : topIds;
        this.topLogprobs = topLogprobs == null ? new float[0] : topLogprobs;
    }

    /** Whole characters that are certain now; empty while a character or a stop string could still be coming. */
    public String text() {
        return text;
    }

    /** -1: the last event has no token of its own. */
    public int id() {
        return (int) numbers[0];
    }

    public GenerationEnd end() {
        return GenerationEnd.of((int) numbers[1]);
    }

    /** Natural logarithm; NaN where {@link GenerationOptions#logprobs} did not ask for it. */
    public float logprob() {
        return logprob;
    }

    /** The likeliest tokens, likeliest first, as many as {@link GenerationOptions#topTokens} asked for. */
    public int[] topIds() {
        return topIds.clone();
    }

    public float[] topLogprobs() {
        return topLogprobs.clone();
    }

    public long promptTokens() {
        return numbers[2];
    }

    /** So far. */
    public long generatedTokens() {
        return numbers[3];
    }

    public long prefillNanos() {
        return numbers[4];
    }

    public long decodeNanos() {
        return numbers[5];
    }
}
