package dev.thimble.coroutines

import dev.thimble.Engine
import dev.thimble.EngineOptions
import dev.thimble.ErrorCode
import dev.thimble.Model
import dev.thimble.Session
import dev.thimble.ThimbleException
import dev.thimble.TrimLevel
import dev.thimble.Trimmed
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.isActive
import kotlinx.coroutines.withContext

/**
 * Makes the engine on the dispatcher; [progress] is told there how much is done. Cancelling the coroutine ends loading soon, and leaves
 * nothing behind.
 */
suspend fun Model.loadEngine(
    options: EngineOptions = EngineOptions(),
    on: CoroutineDispatcher = Dispatchers.Default,
    progress: (done: Long, total: Long) -> Unit = { _, _ -> },
): Engine {
    var made: Engine? = null
    try {
        return withContext(on) {
            cancellable(
                {
                    Engine.create(this@loadEngine, options) { done, total ->
                        progress(done, total)
                        isActive
                    }.also { made = it }
                },
                { ensureActive() },
            )
        }
    } catch (cancelled: CancellationException) {
        made?.close() // it was ready when it was not wanted any more
        throw cancelled
    }
}

/** Reads every byte of the file: checksums, tokenizer, finite weights. */
suspend fun Model.verifyAsync(on: CoroutineDispatcher = Dispatchers.IO, progress: (done: Long, total: Long) -> Unit = { _, _ -> }) {
    withContext(on) {
        cancellable(
            {
                verify { done, total ->
                    progress(done, total)
                    isActive
                }
            },
            { ensureActive() },
        )
    }
}

/** One vector for a text, of an encoder. The pass is short and not interrupted; a coroutine that is cancelled meanwhile does not get its vector. */
suspend fun Session.embedAsync(text: String, on: CoroutineDispatcher = Dispatchers.Default): FloatArray = withContext(on) { embed(text) }

/** Gives memory back on the dispatcher: parking writes a file. */
suspend fun Engine.trimAsync(level: TrimLevel, on: CoroutineDispatcher = Dispatchers.IO): Trimmed = withContext(on) { trim(level) }

/** What the library calls cancelled is the coroutine's own cancellation, where that is so. */
private inline fun <T> cancellable(call: () -> T, ensureActive: () -> Unit): T {
    try {
        return call()
    } catch (exception: ThimbleException) {
        if (exception.code() == ErrorCode.CANCELLED) ensureActive()
        throw exception
    }
}
