/**
 * Language models in one block of memory whose size is known before loading.
 *
 * <pre>
 * try (Model model = Model.open(path);
 *      Engine engine = Engine.create(model, new EngineOptions().contextTokens(512).threads(4));
 *      Session session = engine.openSession()) {
 *   session.generate("Once upon a time", 100, text -&gt; { view.append(text); return true; });
 * }
 * </pre>
 *
 * A model is an open file, an engine that model made ready in memory, a session one context. Errors are
 * {@link dev.thimble.ThimbleException}s. Everything may be closed at any time, from any thread, in any order, also while a call runs: that
 * call ends early, and what is closed goes when the last call has left it. Whatever nobody closed is closed after garbage collection.
 */
package dev.thimble;
