package dev.thimble;

import java.util.ArrayList;
import java.util.List;

/** One answer while it is written: parts from native code to the listener, and into a message. */
final class Turn extends Callbacks {
    // In the order of the C API's thimble_part.
    private static final int TEXT = 0;
    private static final int REASONING = 1;
    private static final int CALL = 2;
    private static final int ARGUMENTS = 3;
    private static final int CALL_END = 4;
    private static final int BROKEN_CALL = 5;

    private final ConversationListener listener;
    private final StringBuilder text = new StringBuilder();
    private final StringBuilder reasoning = new StringBuilder();
    private final StringBuilder arguments = new StringBuilder();
    private final List<ToolCall> calls = new ArrayList<>();
    private String callName = "";
    private String callId = "";
    private GenerationEvent last;
    private boolean stopped;
    private boolean refused;

    /** The listener may be null. */
    Turn(ConversationListener listener) {
        this.listener = listener;
    }

    @Override
    boolean progress(long done, long total) {
        refused = listener != null && !listener.onPrompt(done, total);
        return !refused;
    }

    /** Whether the listener did not want more of the prompt to be read. */
    boolean refused() {
        return refused;
    }

    @Override
    boolean part(int kind, byte[] utf8, byte[] id, byte[] why) {
        boolean goOn = take(kind, Utf8.decode(utf8), Utf8.decode(id), Utf8.decode(why));
        stopped |= !goOn;
        return goOn;
    }

    /** The last event; the others are in the parts. */
    @Override
    boolean event(byte[] utf8, long[] numbers, float logprob, int[] topIds, float[] topLogprobs) {
        last = new GenerationEvent(utf8, numbers, logprob, topIds, topLogprobs);
        return true;
    }

    /** For models without a chat template: all is text. */
    boolean plainText(String piece) {
        boolean goOn = take(TEXT, piece, "", "");
        stopped |= !goOn;
        return goOn;
    }

    Message message() {
        return new Message("assistant", text.toString(), reasoning.toString(), calls, "", "");
    }

    GenerationResult result() {
        GenerationEnd end = last == null ? GenerationEnd.CANCELLED : last.end();
        return new GenerationResult(stopped && end == GenerationEnd.NOT_YET ? GenerationEnd.STOPPED : end, last);
    }



    private boolean take(int kind, String piece, String id, String why) {
        switch (kind) {
            case TEXT:
                if (piece.isEmpty()) return true;
                text.append(piece);
                return listener == null || listener.onText(piece);
            case REASONING:
                if (piece.isEmpty()) return true;
                reasoning.append(piece);
                return listener == null || listener.onReasoning(piece);
            case CALL:
                callName = piece;
                callId = id;
                arguments.setLength(0);
                return true;
            case ARGUMENTS:
                arguments.append(piece);
                return true;
            case CALL_END:
                ToolCall call = new ToolCall(callId, callName, arguments.toString());
                calls.add(call);
                return listener == null || listener.onToolCall(call);
            case BROKEN_CALL:
                text.append(piece);
                return listener == null || listener.onBrokenToolCall(piece, why);
            default: // the end, and what a newer library may tell
                return true;
        }
    }
}
