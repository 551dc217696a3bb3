package dev.thimble;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Texts cross as UTF-8, not as JNI's modified UTF-8: zeros and characters outside the basic plane stay what they are. */
final class Utf8 {
    private Utf8() {}

    /** Half a surrogate pair becomes a question mark. */
    static byte[] encode(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** With a zero behind it; so a text that has one itself is refused. */
    static byte[] terminated(String what, String text) {
        if (text == null) throw new ThimbleException(ErrorCode.INVALID_ARGUMENT, what + ": null");
        if (text.indexOf('\0') >= 0) throw new ThimbleException(ErrorCode.INVALID_ARGUMENT, what + ": has a zero character inside");
        byte[] bytes = encode(text);
        return Arrays.copyOf(bytes, bytes.length + 1);
    }

    /** Bytes that are no UTF-8, which a model may write, become U+FFFD. */
    static String decode(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
