package dev.thimble.convert;

/** The native method, as targets/android/convert/jni implements it. */
final class Native {
    static {
        System.loadLibrary("thimble_convert_jni");
    }

    private Native() {}

    /** Texts, UTF-8: source, output, tokenizer, chat template, name, recipe. Numbers: see {@link ConvertReport}. Gives name and family. */
    static native byte[][] convert(byte[][] texts, boolean keepBlocks, long[] numbers, Callbacks callbacks);
}
