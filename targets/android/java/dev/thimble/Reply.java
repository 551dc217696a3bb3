package dev.thimble;

/** What {@link Conversation#send} gives: the assistant's message as it is in the conversation now, and how it went. */
public final class Reply {
    private final Message message;
    private final GenerationResult result;

    Reply(Message message, GenerationResult result) {
        this.message = message;
        this.result = result;
    }

    /** Null where the prompt was cancelled: the conversation is as it was. */
    public Message message() {
        return message;
    }

    public GenerationResult result() {
        return result;
    }
}
