package dev.thimble;

/** What a {@link Conversation} is made for. */
public final class ConversationOptions {
    /** For templates that can be told; in the order of the C API's thimble_thinking. */
    public enum Thinking {
        UNSAID,
        ON,
        OFF
    }

    String system = "";
    byte[] tools;
    byte[] documents;
    byte[] variables;
    byte[] template;
    String[] stopStrings = {};
    Thinking thinking = Thinking.UNSAID;
    Sampling sampling;
    int maxTokens;

    /** What the conversation begins with; "": nothing. */
    public ConversationOptions system(String text) {
        system = Check.notNull("system", text);
        return this;
    }

    /** JSON: a list of [{"type": "function", "function": {"name": ..., "parameters": ...}}]. */
    public ConversationOptions tools(String json) {
        tools = optional("tools", json);
        return this;
    }

    /** JSON: a list that templates for retrieval read. */
    public ConversationOptions documents(String json) {
        documents = optional("documents", json);
        return this;
    }

    /** JSON: an object of whatever else the template reads. */
    public ConversationOptions variables(String json) {
        variables = optional("variables", json);
        return this;
    }

    /** Which of the file's templates; null: "tool_use" where there are tools and such a template, else the first. */
    public ConversationOptions template(String name) {
        template = optional("template", name);
        return this;
    }

    public ConversationOptions thinking(Thinking thinking) {
        this.thinking = Check.notNull("thinking", thinking);
        return this;
    }

    /** Other than the engine's; bounded by that. */
    public ConversationOptions sampling(Sampling sampling) {
        this.sampling = sampling;
        return this;
    }

    /** Of one answer; 0: until the context is full. */
    public ConversationOptions maxTokens(int tokens) {
        maxTokens = Check.notNegative("maxTokens", tokens);
        return this;
    }

    /** Texts that end an answer; at most 16, of at most 128 bytes each. */
    public ConversationOptions stopStrings(String... texts) {
        stopStrings = texts.clone();
        return this;
    }

    private static byte[] optional(String what, String text) {
        return text == null ? null : Utf8.terminated(what, text);
    }
}
