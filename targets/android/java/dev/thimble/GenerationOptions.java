package dev.thimble;

import java.io.ByteArrayOutputStream;

/** What an answer begins with and where it stops. Input is a text or ids; with neither it goes on from the context's end. */
public final class GenerationOptions {
    private static final int PARSE_SPECIAL = 2;
    private static final int LOGPROBS = 4;
    private static final int IGNORE_ENDS = 8;

    private byte[] text;
    private int[] ids;
    private int[] stopIds = {};
    private String[] stopStrings = {};
    private int maxTokens;
    private int topTokens;
    private int flags;

    public GenerationOptions text(String text) {
        this.text = text == null ? null : Utf8.encode(text);
        return this;
    }

    public GenerationOptions ids(int... ids) {
        this.ids = ids.clone();
        return this;
    }

    /** 0: until the context is full. */
    public GenerationOptions maxTokens(int tokens) {
        maxTokens = Check.notNegative("maxTokens", tokens);
        return this;
    }

    /** Texts that end the answer; they and what follows are not shown. At most 16, of at most 128 bytes each. */
    public GenerationOptions stopStrings(String... texts) {
        stopStrings = texts.clone();
        return this;
    }

    public GenerationOptions stopIds(int... ids) {
        stopIds = ids.clone();
        return this;
    }

    /** How many likeliest tokens every event names; at most {@link EngineOptions#topTokens}. */
    public GenerationOptions topTokens(int tokens) {
        topTokens = Check.notNegative("topTokens", tokens);
        return this;
    }

    /** Events have the logprob of their token. */
    public GenerationOptions logprobs(boolean on) {
        return flag(LOGPROBS, on);
    }

    /** The model's own ends are never drawn. */
    public GenerationOptions ignoreEnds(boolean on) {
        return flag(IGNORE_ENDS, on);
    }

    /** "&lt;|im_start|&gt;" written in the text is that token; never for text of strangers. */
    public GenerationOptions parseSpecial(boolean on) {
        return flag(PARSE_SPECIAL, on);
    }

    void run(long session, Callbacks callbacks) {
        long[] numbers = {flags, maxTokens, topTokens, stopStrings.length};
        Native.generate(session, numbers, text, ids, stopIds, joined(stopStrings), callbacks);
    }

    /** Terminated texts, one after the other. */
    static byte[] joined(String[] stopStrings) {
        ByteArrayOutputStream stops = new ByteArrayOutputStream();
        for (String stop : stopStrings) {
            byte[] bytes = Utf8.terminated("stopStrings", stop);
            stops.write(bytes, 0, bytes.length);
        }
        return stops.toByteArray();
    }

    private GenerationOptions flag(int flag, boolean on) {
        flags = on ? flags | flag : flags & ~flag;
        return this;
    }
}
