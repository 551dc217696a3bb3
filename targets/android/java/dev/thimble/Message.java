package dev.thimble;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** What somebody said in a {@link Conversation}: the system, the user, the assistant (which is the model), or a tool. Never changes. */
public final class Message {
    /** Of {@link #fields}. */
    static final int FIELDS = 8;

    private final String role;
    private final String text;
    private final String reasoning;
    private final List<ToolCall> calls;
    private final String name;
    private final String callId;

    Message(String role, String text, String reasoning, List<ToolCall> calls, String name, String callId) {
        this.role = Check.notNull("role", role);
        this.text = Check.notNull("text", text);
        this.reasoning = reasoning;
        this.calls = Collections.unmodifiableList(new ArrayList<>(calls));
        this.name = name;
        this.callId = callId;
    }

    public static Message of(String role, String text) {
        return new Message(role, text, "", Collections.<ToolCall>emptyList(), "", "");
    }

    public static Message system(String text) {
        return of("system", text);
    }

    public static Message user(String text) {
        return of("user", text);
    }

    public static Message assistant(String text, ToolCall... calls) {
        return new Message("assistant", text, "", Arrays.asList(calls), "", "");
    }

    /** What a call gave; often JSON. */
    public static Message toolResult(ToolCall call, String result) {
        Check.notNull("call", call);
        return new Message("tool", result, "", Collections.<ToolCall>emptyList(), call.name(), call.id());
    }

    public String role() {
        return role;
    }

    public String text() {
        return text;
    }

    /** What the assistant thought before it answered; "": nothing. */
    public String reasoning() {
        return reasoning;
    }

    /** What the assistant asks for. */
    public List<ToolCall> calls() {
        return calls;
    }

    /** Of the tool whose result this is; "": none. */
    public String name() {
        return name;
    }

    /** Of the call whose result this is; "": none. */
    public String callId() {
        return callId;
    }

    boolean is(String other) {
        return role.equals(other);
    }

    /** Role, text, parts, reasoning, name, tool calls, id of a call, more: UTF-8, terminated but for the text; null: none. */
    byte[][] fields() {
        byte[][] fields = new byte[FIELDS][];
        fields[0] = Utf8.terminated("role", role);
        fields[1] = Utf8.encode(text);
        fields[3] = optional("reasoning", reasoning);
        fields[4] = optional("name", name);
        if (!calls.isEmpty()) {
            StringBuilder json = new StringBuilder("[");
            for (ToolCall call : calls) {
                if (json.length() > 1) json.append(',');
                call.json(json);
            }
            fields[5] = Utf8.terminated("arguments", json.append(']').toString());
        }
        fields[6] = optional("callId", callId);
        return fields;
    }

    private static byte[] optional(String what, String text) {
        // What a model thought may have zeros in it; they would end the text.
        return text.isEmpty() ? null : Utf8.terminated(what, text.replace('\0', '\uFFFD'));
    }
}
