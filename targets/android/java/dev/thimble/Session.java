package dev.thimble;

/**
 * One context: its cache, its sampler, its text. Used by one thread at a time: what would change it while another call does is refused with
 * {@link ErrorCode#BUSY}. {@link #cancel} and {@link #close} are for any thread at any time.
 */
public final class Session implements AutoCloseable {
    static final class SessionHandle extends Handle {
        SessionHandle(Object owner, Handle engine, long pointer) {
            super(owner, "session", engine, pointer);
        }

        @Override
        void release(long pointer) {
            Native.sessionClose(pointer);
        }

        @Override
        void interrupt(long pointer) {
            Native.cancel(pointer);
        }
    }

    private static final class Answer extends Callbacks {
        private final GenerationListener listener;
        private GenerationEvent last;
        private boolean stopped;

        Answer(GenerationListener listener) {
            this.listener = listener;
        }

        @Override
        boolean progress(long done, long total) {
            return listener == null || listener.onPrompt(done, total);
        }

        @Override
        boolean event(byte[] text, long[] numbers, float logprob, int[] topIds, float[] topLogprobs) {
            last = new GenerationEvent(text, numbers, logprob, topIds, topLogprobs);
            stopped = listener != null && !listener.onEvent(last);
            return !stopped;
        }

        GenerationResult result() {
            GenerationEnd end = last == null ? GenerationEnd.CANCELLED : last.end();
            return new GenerationResult(stopped && end == GenerationEnd.NOT_YET ? GenerationEnd.STOPPED : end, last);
        }
    }

    private final Handle handle;
    /** Also keeps the engine from being collected while only its session is in use. */
    private final Engine engine;

    Session(Engine engine, long pointer) {
        this.engine = engine;
        handle = new SessionHandle(this, engine.handle, pointer);
    }

    public Engine engine() {
        return engine;
    }

    /** A second context that goes on like this one, bit by bit. */
    public Session fork() {
        engine.handle.enter();
        try {
            long session = handle.enter();
            try {
                return new Session(engine, Native.sessionFork(session));
            } finally {
                handle.leave();
            }
        } finally {
            engine.handle.leave();
        }
    }

    /** Appends the text to the context and writes what follows, at most so many tokens (0: until the context is full). */
    public GenerationResult generate(String text, int maxTokens, GenerationListener listener) {
        return generate(new GenerationOptions().text(text).maxTokens(maxTokens), listener);
    }

    /** Returns when the answer has ended, why ever; being cancelled is an end and no exception. The listener may be null. */
    public GenerationResult generate(GenerationOptions options, GenerationListener listener) {
        Check.notNull("options", options);
        Answer answer = new Answer(listener);
        long session = handle.enter();
        try {
            options.run(session, answer);
        } catch (ThimbleException exception) {
            // While the input was read; afterwards the last event says so.
            if (exception.code() != ErrorCode.CANCELLED) throw exception;
            return new GenerationResult(GenerationEnd.CANCELLED, null);
        } finally {
            handle.leave();
        }
        return answer.result();
    }

    /**
     * Asks the call that runs now, or the next one that computes, to end: within one layer of one pass. What was read or written until then
     * stays. From any thread; does nothing to a closed session.
     */
    public void cancel() {
        handle.interruptNow();
    }

    boolean isClosed() {
        return handle.isClosed();
    }

    /** An answer to messages, see {@link Native#turn}. Throws where the prompt was cancelled. */
    void turn(ConversationOptions options, byte[][] messages, byte[][] texts, Turn turn) {
        long session = handle.enter();
        try {
            byte[] stops = GenerationOptions.joined(options.stopStrings);
            long[] numbers = {options.maxTokens, options.stopStrings.length, options.thinking.ordinal()};
            Native.turn(session, numbers, messages, texts, stops, turn);
        } finally {
            handle.leave();
        }
    }

    /** The same for a model without a chat template: what follows the text. */
    void plainTurn(ConversationOptions options, String text, Turn turn) {
        GenerationOptions generation = new GenerationOptions().text(text).maxTokens(options.maxTokens).stopStrings(options.stopStrings);
        long session = handle.enter();
        try {
            generation.run(session, new Callbacks() {
                @Override
                boolean progress(long done, long total) {
                    return turn.progress(done, total);
                }

                @Override
                boolean event(byte[] utf8, long[] numbers, float logprob, int[] topIds, float[] topLogprobs) {
                    turn.event(utf8, numbers, logprob, topIds, topLogprobs);
                    return turn.plainText(Utf8.decode(utf8));
                }
            });
        } finally {
            handle.leave();
        }
    }

    /** Appends ids to the context. {@link ErrorCode#CANCELLED} keeps the finished passes. */
    public void prefill(int... ids) {
        Check.notNull("ids", ids);
        handle.use(session -> Native.prefill(session, ids));
    }

    /** One vector for a text, of an encoder: as the model's own files say, {@link Model#tokenize} with what belongs around a text. */
    public float[] embed(String text) {
        return embed(engine.tokenizeWhole(text), Pooling.MODEL);
    }

    /**
     * One vector for ids, {@link ModelInfo#outputs} numbers, of length 1 where the model's files do not say otherwise. Nothing stays in the
     * context. {@link ErrorCode#WRONG_STATE} for decoders, {@link ErrorCode#CONTEXT_FULL} for more ids than {@link EngineOptions#chunkTokens}.
     */
    public float[] embed(int[] ids, Pooling pooling) {
        Check.notNull("ids", ids);
        int number = Check.notNull("pooling", pooling).ordinal();
        return handle.with(session -> Native.embed(session, ids, number));
    }

    /** Tokens in the context. */
    public long position() {
        return handle.with(Native::position);
    }

    /** Room for tokens in all. */
    public long capacity() {
        return handle.with(Native::capacity);
    }

    /** Forgets everything from this position on; 0 forgets all. */
    public void rewind(long position) {
        Check.notNegative("position", position);
        handle.use(session -> Native.rewind(session, position));
    }

    /** The smallest position beside 0 that {@link #rewind} takes; 0: it takes all. */
    public long rewindLimit() {
        return handle.with(Native::rewindLimit);
    }

    /** Other sampling from here on; the random numbers begin anew at its seed. */
    public void setSampling(Sampling sampling) {
        Check.notNull("sampling", sampling);
        handle.use(session -> Native.setSampling(session, sampling.numbers()));
    }

    /** Bytes that {@link #save} would write now. */
    public long savedBytes() {
        return handle.with(Native::stateBytes);
    }

    /** Writes the context to where a descriptor stands (ParcelFileDescriptor.getFd(), also a pipe), to go on another time. */
    public void save(int fd) {
        handle.use(session -> Native.stateSave(session, fd));
    }

    /** The same behind bytes of the caller's. */
    void save(int fd, byte[] head) {
        long session = handle.enter();
        try {
            Native.fdWrite(fd, head);
            Native.stateSave(session, fd);
        } finally {
            handle.leave();
        }
    }

    /** Goes on where a saved context ended, bit by bit. Checked wholly before anything changes. Length 0: to the end. */
    public void load(int fd, long offset, long length) {
        Check.notNegative("offset", offset);
        Check.notNegative("length", length);
        handle.use(session -> Native.stateLoad(session, fd, offset, length));
    }

    /** Cancels what runs. Returns at once; the context's place in the engine is free when the last call has left. */
    @Override
    public void close() {
        handle.close();
    }
}
