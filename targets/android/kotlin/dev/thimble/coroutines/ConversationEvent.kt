package dev.thimble.coroutines

import dev.thimble.Reply
import dev.thimble.ToolCall

/** What a [sendMessageAsync] emits while an answer is written. */
sealed class ConversationEvent {
    /** How many of the prompt's tokens were read. */
    class Prompt(val done: Long, val total: Long) : ConversationEvent()

    /** What the answer has grown by: whole characters. */
    class Text(val text: String) : ConversationEvent()

    /** What the model thinks before it answers, piece by piece. */
    class Reasoning(val text: String) : ConversationEvent()

    /** A call, once it is whole. */
    class Call(val call: ToolCall) : ConversationEvent()

    /** A call that cannot be read, as the model wrote it, and what is wrong with it. */
    class BrokenCall(val written: String, val why: String) : ConversationEvent()

    /** The last one: the message as it is in the conversation now, and how it went. */
    class End(val reply: Reply) : ConversationEvent()
}
