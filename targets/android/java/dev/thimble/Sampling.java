package dev.thimble;

/** How the next token is chosen: repeat penalty, top-k, top-p, min-p, temperature, in this order. Begins with the C API's defaults. */
public final class Sampling {
    private static final int NUMBERS = 7;

    private final long[] numbers = new long[NUMBERS];

    public Sampling() {
        Native.samplingDefaults(numbers);
    }

    /** 0: the likeliest token. */
    public Sampling temperature(float value) {
        return set(0, Float.floatToRawIntBits(value));
    }

    /** 0: off. */
    public Sampling topK(int value) {
        return set(1, value);
    }

    /** 1: off. */
    public Sampling topP(float value) {
        return set(2, Float.floatToRawIntBits(value));
    }

    /** 0: off. */
    public Sampling minP(float value) {
        return set(3, Float.floatToRawIntBits(value));
    }

    /** 1: off. */
    public Sampling repeatPenalty(float value) {
        return set(4, Float.floatToRawIntBits(value));
    }

    public Sampling repeatLastN(int value) {
        return set(5, value);
    }

    /** The same seed gives the same text on every machine. */
    public Sampling seed(long value) {
        return set(6, value);
    }

    /** Temperature, top-k, top-p, min-p, repeat penalty, repeat last n, seed; floats by their bits. */
    long[] numbers() {
        return numbers.clone();
    }

    private Sampling set(int at, long value) {
        numbers[at] = value;
        return this;
    }
}
