package dev.thimble;

/** The little JSON that is written here; the C API reads it. */
final class Json {
    private Json() {}

    /** Appends the text with its quotes. */
    static void text(StringBuilder out, String text) {
        out.append('"');
        for (int i = 0; i < text.length(); ++i) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < 0x20) {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        out.append('"');
    }
}
