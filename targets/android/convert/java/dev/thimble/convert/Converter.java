package dev.thimble.convert;

import java.nio.charset.StandardCharsets;

/** Brings a model of another format into a .thimble file, tensor by tensor in bounded memory. May be used once or often, by one thread at a time. */
public final class Converter {
    /** What becomes of weights that are floats in the source, from the largest file to the smallest. */
    public enum Recipe {
        EXACT,
        QUALITY,
        BALANCED,
        SMALL
    }

    private final String source;
    private final String output;
    private String tokenizer = "";
    private String chatTemplate = "";
    private String name = "";
    private Recipe recipe = Recipe.QUALITY;
    private boolean keepBlocks = true;

    /** Paths: a file or folder to read, and the file that will appear when it is complete; an older one of that name stays until then. */
    public Converter(String source, String output) {
        this.source = checked("source", source);
        this.output = checked("output", output);
    }

    /** A tokenizer's file or folder, where the source has none. */
    public Converter tokenizer(String path) {
        tokenizer = checked("tokenizer", path);
        return this;
    }

    /** A file with Jinja text, or "chatml" and the like, in the place of the source's; "none": none. */
    public Converter chatTemplate(String name) {
        chatTemplate = checked("chatTemplate", name);
        return this;
    }

    /** What the model will be called. */
    public Converter name(String name) {
        this.name = checked("name", name);
        return this;
    }

    public Converter recipe(Recipe recipe) {
        if (recipe == null) throw new NullPointerException("recipe");
        this.recipe = recipe;
        keepBlocks = false;
        return this;
    }

    /** Reads the source and writes the file. Null: nobody listens. What is refused is a {@link dev.thimble.ThimbleException} that names the file and the field. */
    public ConvertReport convert(ConvertListener listener) {
        String[] texts = {source, output, tokenizer, chatTemplate, name, recipe.name().toLowerCase(java.util.Locale.ROOT)};
        byte[][] utf8 = new byte[texts.length][];
        for (int i = 0; i < texts.length; ++i) utf8[i] = texts[i].getBytes(StandardCharsets.UTF_8);
        long[] numbers = new long[ConvertReport.NUMBERS];
        byte[][] names = Native.convert(utf8, keepBlocks, numbers, new Callbacks(listener));
        return new ConvertReport(names, numbers);
    }

    private static String checked(String what, String text) {
        if (text == null) throw new NullPointerException(what);
        if (text.indexOf('\0') >= 0) throw new IllegalArgumentException(what + ": has a zero character inside");
        return text;
    }
}
