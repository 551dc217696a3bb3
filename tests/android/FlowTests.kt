package dev.thimble.coroutines

import dev.thimble.Conversation
import dev.thimble.ConversationOptions
import dev.thimble.Engine
import dev.thimble.EngineOptions
import dev.thimble.ErrorCode
import dev.thimble.GenerationEnd
import dev.thimble.GenerationOptions
import dev.thimble.Message
import dev.thimble.Model
import dev.thimble.Sampling
import dev.thimble.ScriptedModel
import dev.thimble.ThimbleException
import dev.thimble.TrimLevel
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.Job
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout

/** The Kotlin extensions on this machine's Java: toolchains/android.sh compiles and runs them. The model has no chat template. */
private class Talk(path: String, options: EngineOptions = EngineOptions(), conversationOptions: ConversationOptions = ConversationOptions().maxTokens(20)) : AutoCloseable {
    val model: Model = Model.open(path)
    val engine: Engine = runBlocking { model.loadEngine(options.contextTokens(512).sampling(Sampling().temperature(0f))) }
    val conversation: Conversation = engine.createConversation(conversationOptions)

    override fun close() {
        conversation.close()
        engine.close()
        model.close()
    }
}

private const val BEGIN = "Once upon a time"
private val LONG = "and then he went to the house of his friend and ".repeat(20)

private fun expect(holds: Boolean, what: () -> String) {
    if (!holds) throw AssertionError(what())
}

private fun loadingTellsHowFarItIs(path: String) = runBlocking {
    var last = 0L
    Model.open(path).use { model ->
        model.loadEngine(EngineOptions().contextTokens(64)) { done, total ->
            expect(done in last..total) { "progress went from $last to $done of $total" }
            last = done
        }.close()
        expect(last > 0) { "no progress" }
        model.verifyAsync()
    }
}

private fun loadingIsCancelled(path: String) = runBlocking {
    Model.open(path).use { model ->
        lateinit var loading: Job
        loading = launch {
            model.loadEngine { _, _ -> loading.cancel() }
            throw AssertionError("it was loaded all the same")
        }
        loading.join()
        expect(loading.isCancelled) { "it was not cancelled" }
        try {
            model.verifyAsync { _, _ -> throw IllegalStateException("the app's own") }
            throw AssertionError("it was lost")
        } catch (expected: IllegalStateException) {
            expect(expected.message == "the app's own") { "another one: $expected" }
        }
    }
}

private fun partsAddUp(path: String) = runBlocking {
    Talk(path).use { talk ->
        val events = talk.conversation.sendMessageAsync(BEGIN).toList()
        val text = events.filterIsInstance<ConversationEvent.Text>().joinToString("") { it.text }
        val end = events.last() as ConversationEvent.End
        expect(text.isNotEmpty() && end.reply.message().text() == text) { "parts $text, message ${end.reply.message().text()}" }
        expect(events.first() is ConversationEvent.Prompt) { "no progress of the prompt" }
        val all = talk.conversation.sendMessage(" Then")
        expect(all.result().generatedTokens() == 20L) { "the whole at once" }
        talk.engine.let { engine ->
            talk.conversation.close()
            engine.openSession().use { session ->
                val tokens = session.generateAsync(GenerationOptions().text(BEGIN).maxTokens(5)).toList()
                expect(tokens.last().end() == GenerationEnd.MAX_TOKENS) { "tokens of a session" }
                expect(session.generateAsync(GenerationOptions().text(BEGIN)).take(3).toList().size == 3) { "three tokens" }
            }
        }
    }
}

/** One token a pass: cancelling at the first must not read many more. */
private fun cancelledInThePrompt(path: String) = runBlocking {
    Talk(path, EngineOptions().chunkTokens(4).kernels("scalar")).use { talk ->
        val job = launch {
            talk.conversation.sendMessageAsync(LONG).collect { event ->
                expect(event is ConversationEvent.Prompt) { "it went on to the answer" }
                throw CancellationException("enough")
            }
        }
        withTimeout(20_000) { job.join() }
        val read = talk.conversation.position()
        expect(read in 4..200) { "read $read tokens" }
        expect(talk.conversation.messages().isEmpty()) { "the conversation is not as it was" }
        val outside = launch { talk.conversation.sendMessageAsync(LONG).collect {} }
        while (talk.conversation.position() == 0L) delay(1)
        withTimeout(20_000) { outside.cancelAndJoin() }
        talk.conversation.messages().let { expect(it.isEmpty()) { "the conversation is not as it was" } }
        expect(talk.conversation.sendMessage(BEGIN).message() != null) { "the next answer" }
    }
}

private fun cancelledInTheAnswer(path: String) = runBlocking {
    Talk(path, conversationOptions = ConversationOptions()).use { talk ->
        val some = talk.conversation.sendMessageAsync(BEGIN).take(5).toList()
        expect(some.size == 5) { "five parts" }
        expect(talk.conversation.position() < 400) { "it wrote on to ${talk.conversation.position()}" }
        expect(talk.conversation.messages().size == 2) { "half an answer is one" }
        talk.conversation.setMessages(emptyList())
        expect(talk.conversation.sendMessageAsync(BEGIN).first { it is ConversationEvent.Text } is ConversationEvent.Text) { "the next answer" }
    }
}

/** Wherever it is hit, the next answer is whole. */
private fun cancelledAtAnyTime(path: String) = runBlocking {
    Talk(path).use { talk ->
        val whole = talk.conversation.sendMessage(BEGIN).message().text()
        for (micros in 0..60) {
            talk.conversation.setMessages(emptyList())
            val job = launch { talk.conversation.sendMessageAsync(BEGIN).collect {} }
            delay(1L + micros / 6)
            job.cancelAndJoin()
            talk.conversation.setMessages(emptyList())
            val text = talk.conversation.sendMessage(BEGIN).message().text()
            expect(text == whole) { "after a cancel: $text" }
        }
    }
}

private fun errorsComeThroughTheFlow(path: String) = runBlocking {
    Talk(path).use { talk ->
        try {
            talk.conversation.sendMessageAsync(LONG.repeat(3)).collect {}
            throw AssertionError("more than the context takes")
        } catch (exception: ThimbleException) {
            expect(exception.code() == ErrorCode.CONTEXT_FULL) { "another code: $exception" }
        }
        expect(talk.conversation.sendMessage(BEGIN).message() != null) { "the next answer" }
    }
}

/** Thoughts, text, a call, its result, and a call that nobody can read, from a model that says what is wanted. */
private fun allKindsOfEvents(program: String) = runBlocking {
    val asked = "<|user|>What?<|end|><|assistant|>"
    val call = "<call>{\"name\": \"look\", \"arguments\": {\"at\": \"\uD83D\uDE00\"}}</call>"
    val again = "$asked<think>Hm.</think>Let me see$call<|end|><|tool|>7<|end|><|assistant|>"
    val path = ScriptedModel().says(asked, "<think>Hm.</think>Let me see$call").says(again, "It is<call>{\"name\": \"look\", </call>").convert(program).toString()
    Talk(path, EngineOptions(), ConversationOptions()).use { talk ->
        val events = talk.conversation.sendMessageAsync("What?").toList()
        val thought = events.filterIsInstance<ConversationEvent.Reasoning>().joinToString("") { it.text }
        val said = events.filterIsInstance<ConversationEvent.Text>().joinToString("") { it.text }
        val called = events.filterIsInstance<ConversationEvent.Call>().single().call
        expect(thought == "Hm." && said == "Let me see") { "thought $thought, said $said" }
        expect(called.name() == "look" && called.arguments() == "{\"at\": \"\uD83D\uDE00\"}") { "called ${called.name()} ${called.arguments()}" }
        val message = (events.last() as ConversationEvent.End).reply.message()
        expect(message.calls().single().name() == "look") { "the message has no call" }
        val next = talk.conversation.sendMessageAsync(listOf(Message.toolResult(called, "7"))).toList()
        val broken = next.filterIsInstance<ConversationEvent.BrokenCall>().single()
        expect(broken.written.contains("look") && broken.why.isNotEmpty()) { "broken: ${broken.written}, ${broken.why}" }
    }
}

/** The encoder is what the converter's library makes; here a decoder has to say that it is none. */
private fun vectorsAndMemory(path: String) = runBlocking {
    Talk(path).use { talk ->
        expect(talk.engine.trimAsync(TrimLevel.SCRATCH).anonymousBytes() >= 0) { "given back" }
        talk.conversation.close()
        talk.engine.openSession().use { session ->
            try {
                session.embedAsync(BEGIN)
                throw AssertionError("a decoder gave a vector")
            } catch (exception: ThimbleException) {
                expect(exception.code() == ErrorCode.WRONG_STATE) { "another code: $exception" }
            }
        }
    }
}

fun main(arguments: Array<String>) {
    val tests = listOf(
        ::loadingTellsHowFarItIs, ::loadingIsCancelled, ::partsAddUp, ::cancelledInThePrompt, ::cancelledInTheAnswer, ::cancelledAtAnyTime,
        ::errorsComeThroughTheFlow, ::vectorsAndMemory,
    )
    for (test in tests) {
        test(arguments[0])
        println("ok    ${test.name}")
    }
    allKindsOfEvents(arguments[1])
    println("ok    allKindsOfEvents")
    println("${tests.size + 1} tests of coroutines and flows")
}
