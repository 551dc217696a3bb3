package dev.thimble;

/** A function that the model asks for; its result goes back with {@link Message#toolResult}. */
public final class ToolCall {
    private final String id;
    private final String name;
    private final String arguments;

    /** Arguments: a JSON object as text. An id that the model did not give is "". */
    public ToolCall(String id, String name, String arguments) {
        this.id = Check.notNull("id", id);
        this.name = Check.notNull("name", name);
        this.arguments = Check.notNull("arguments", arguments);
    }

    public String id() {
        return id;
    }

    public String name() {
        return name;
    }

    /** A JSON object. */
    public String arguments() {
        return arguments;
    }

    /** As chat templates expect it. */
    void json(StringBuilder out) {
        out.append("{\"type\":\"function\"");
        if (!id.isEmpty()) Json.text(out.append(",\"id\":"), id);
        Json.text(out.append(",\"function\":{\"name\":"), name);
        out.append(",\"arguments\":").append(arguments.isEmpty() ? "{}" : arguments).append("}}");
    }
}
