package dev.thimble.coroutines

import dev.thimble.Conversation
import dev.thimble.ConversationListener
import dev.thimble.GenerationEvent
import dev.thimble.GenerationListener
import dev.thimble.GenerationOptions
import dev.thimble.Message
import dev.thimble.Reply
import dev.thimble.Session
import dev.thimble.ToolCall
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.channels.ProducerScope
import kotlinx.coroutines.channels.trySendBlocking
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.channelFlow
import kotlinx.coroutines.flow.filterIsInstance
import kotlinx.coroutines.flow.last
import kotlinx.coroutines.isActive
import kotlinx.coroutines.launch

/** Says this as the user; the flow is the answer in its parts, written when somebody collects it. See the other [sendMessageAsync]. */
fun Conversation.sendMessageAsync(text: String, on: CoroutineDispatcher = Dispatchers.Default): Flow<ConversationEvent> =
    sendMessageAsync(listOf(Message.user(text)), on)

/**
 * The same for any messages, such as the results of tools. Cancelling the collector ends reading the prompt or writing the answer after the
 * layer at hand, and returns when it has ended. One thread of the dispatcher is busy for as long. A collector that is slower than the model makes it wait.
 */
fun Conversation.sendMessageAsync(messages: List<Message>, on: CoroutineDispatcher = Dispatchers.Default): Flow<ConversationEvent> = channelFlow {
    val answer = launch(on) {
        val reply = send(messages, Emitter(this@channelFlow))
        trySendBlocking(ConversationEvent.End(reply))
    }
    try {
        answer.join()
    } catch (cancelled: CancellationException) {
        this@sendMessageAsync.cancel() // the model; the coroutine is so already, and waits for its child
        throw cancelled
    }
}

/** The whole answer at once. */
suspend fun Conversation.sendMessage(text: String, on: CoroutineDispatcher = Dispatchers.Default): Reply =
    sendMessageAsync(text, on).filterIsInstance<ConversationEvent.End>().last().reply

/** Token by token what follows in this context. Cancelling the collector ends it after the pass at hand. */
fun Session.generateAsync(options: GenerationOptions, on: CoroutineDispatcher = Dispatchers.Default): Flow<GenerationEvent> = channelFlow {
    launch(on) {
        generate(options, object : GenerationListener {
            override fun onText(text: String) = true

            override fun onEvent(event: GenerationEvent) = trySendBlocking(event).isSuccess

            override fun onPrompt(done: Long, total: Long) = isActive
        })
    }
}

private class Emitter(private val to: ProducerScope<ConversationEvent>) : ConversationListener {
    private fun emit(event: ConversationEvent) = to.trySendBlocking(event).isSuccess && to.isActive

    override fun onText(text: String) = emit(ConversationEvent.Text(text))

    override fun onReasoning(text: String) = emit(ConversationEvent.Reasoning(text))

    override fun onToolCall(call: ToolCall) = emit(ConversationEvent.Call(call))

    override fun onBrokenToolCall(written: String, why: String) = emit(ConversationEvent.BrokenCall(written, why))

    override fun onPrompt(done: Long, total: Long) = emit(ConversationEvent.Prompt(done, total))
}
