package dev.thimble;

/** Gets an answer while it is written, on the thread that called {@link Session#generate}. What it throws ends the answer and goes on to that caller. */
@FunctionalInterface
public interface GenerationListener {
    /** What the answer has grown by: whole characters, never empty. False stops it. */
    boolean onText(String text);

    /** Every token, also where its text is not certain yet; the last event has an {@link GenerationEvent#end}. False stops the answer. */
    default boolean onEvent(GenerationEvent event) {
        return event.text().isEmpty() || onText(event.text());
    }

    /** How many of the input's tokens were read, after each pass. False cancels. */
    default boolean onPrompt(long done, long total) {
        return true;
    }
}
