import dev.thimble.EngineOptions
import dev.thimble.Model
import dev.thimble.coroutines.ConversationEvent
import dev.thimble.coroutines.loadEngine
import dev.thimble.coroutines.sendMessageAsync
import kotlinx.coroutines.runBlocking

/** One message, and its answer as a flow; cancelling the coroutine ends the answer at once. */
fun main(arguments: Array<String>): Unit = runBlocking {
    Model.open(arguments[0]).use { model ->
        model.loadEngine(EngineOptions().contextTokens(512)) { _, _ -> }.use { engine ->
            engine.createConversation(null).use { conversation ->
                conversation.sendMessageAsync("Hello").collect { event ->
                    if (event is ConversationEvent.Text) print(event.text)
                }
            }
        }
    }
}
