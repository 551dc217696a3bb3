package dev.thimble;

/**
 * Gets an answer in its parts while it is written, on the thread that called {@link Conversation#send}. False stops the answer; what a
 * method throws ends it and goes on to that caller.
 */
@FunctionalInterface
public interface ConversationListener {
    /** What the answer has grown by: whole characters, never empty. */
    boolean onText(String text);

    /** What the model thinks before it answers, piece by piece. */
    default boolean onReasoning(String text) {
        return true;
    }

    /** A call, once it is whole. */
    default boolean onToolCall(ToolCall call) {
        return true;
    }

    /** All of a call that cannot be read, as the model wrote it, and what is wrong with it. It is part of the answer's text. */
    default boolean onBrokenToolCall(String written, String why) {
        return true;
    }

    /** How many of the prompt's tokens were read, after each pass. False cancels. */
    default boolean onPrompt(long done, long total) {
        return true;
    }
}
