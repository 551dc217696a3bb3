package dev.thimble;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * A model made ready in one block of memory, with its threads and room for a fixed number of sessions. Making it is the only thing that
 * takes memory and threads. May be used by any number of threads.
 */
public final class Engine implements AutoCloseable {
    static final class EngineHandle extends Handle {
        EngineHandle(Object owner, Handle model, long pointer) {
            super(owner, "engine", model, pointer);
        }

        @Override
        void release(long pointer) {
            Native.engineClose(pointer);
        }

        @Override
        boolean closesChildren() {
            return true;
        }
    }

    final Handle handle;
    private final Model model;
    private final List<String> warnings;

    private Engine(Model model, long pointer, List<String> warnings) {
        this.model = model;
        this.warnings = Collections.unmodifiableList(warnings);
        handle = new EngineHandle(this, model.handle, pointer);
    }

    public static Engine create(Model model, EngineOptions options) {
        return create(model, options, null);
    }

    /** Takes exactly {@link MemoryPlan#arenaBytes}; null options are the default ones. Progress (or null) is asked all the time and can cancel. */
    public static Engine create(Model model, EngineOptions options, ProgressListener progress) {
        EngineOptions used = options == null ? new EngineOptions() : options;
        List<String> warnings = new ArrayList<>();
        long opened = Check.notNull("model", model).handle.enter();
        try {
            long engine = Native.engineCreate(opened, used.numbers(), used.texts(), new Callbacks.Loading(progress, warnings));
            return new Engine(model, engine, warnings);
        } finally {
            model.handle.leave();
        }
    }

    /** What it was made of. */
    public Model model() {
        return model;
    }

    /** Of the network that it runs; also when the model is closed. */
    public ModelInfo info() {
        long[] numbers = new long[ModelInfo.NUMBERS];
        return handle.with(engine -> new ModelInfo(numbers, Native.modelInfo(Native.engineModel(engine), -1, numbers)));
    }

    /** Also when the model is closed. */
    int[] tokenizeWhole(String text) {
        byte[] utf8 = Utf8.encode(Check.notNull("text", text));
        return handle.with(engine -> Native.tokenize(Native.engineModel(engine), utf8, true));
    }

    /** What works, but not as one may expect; empty where all is as asked for. */
    public List<String> warnings() {
        return warnings;
    }

    /**
     * Reads what every session begins with: exactly {@link EngineOptions#prefixTokens} ids, while no session is open. Progress (or null)
     * counts tokens.
     */
    public void readPrefix(int[] ids, ProgressListener progress) {
        Check.notNull("ids", ids);
        handle.use(engine -> Native.engineReadPrefix(engine, ids, new Callbacks.Progress(progress)));
    }

    /** An empty context; {@link ErrorCode#NO_SESSION} when {@link EngineOptions#maxSessions} are open. */
    public Session openSession() {
        return handle.with(engine -> new Session(this, Native.sessionOpen(engine)));
    }

    /** The arena's lines of the plan, with {@link MemoryPlan.Line#touchedBytes} as the system says now: what a live picture draws. */
    public List<MemoryPlan.Line> measureLines() {
        List<MemoryPlan.Line> lines = new ArrayList<>();
        handle.use(engine -> Native.engineMeasureLines(engine, new Callbacks.Lines(lines)));
        return lines;
    }

    /**
     * What each operation has taken since the engine was made, or since the last call with reset; {@link ErrorCode#WRONG_STATE} without
     * {@link EngineOptions#profileSlices}.
     */
    public List<Operation> operations(boolean reset) {
        List<Operation> operations = new ArrayList<>();
        handle.use(engine -> Native.engineOperations(engine, reset, new Callbacks.Operations(operations)));
        return operations;
    }

    /**
     * The newest ones one by one, the oldest first, but for sampling: as many as {@link EngineOptions#profileSlices} keeps; {@link Operation#startNanos}
     * says when. No session may be in use meanwhile.
     */
    public List<Operation> slices() {
        List<Operation> slices = new ArrayList<>();
        handle.use(engine -> Native.engineSlices(engine, new Callbacks.Operations(slices)));
        return slices;
    }

    /**
     * Lets go of what it can have again, for onTrimMemory ({@link TrimLevel#of}). All sessions stay usable, with the same next token; what was
     * let go of comes back with the next call that needs it. From any thread; {@link ErrorCode#BUSY} for parking while a session is in use,
     * {@link ErrorCode#WRONG_STATE} for parking without {@link EngineOptions#park}.
     */
    public Trimmed trim(TrimLevel level) {
        int number = Check.notNull("level", level).number();
        long[] numbers = new long[Trimmed.NUMBERS];
        handle.use(engine -> Native.engineTrim(engine, number, numbers));
        return new Trimmed(numbers);
    }

    /**
     * The index-th session of those that were parked last in {@link EngineOptions#park}, by this engine or by one whose process was ended
     * since; {@link ErrorCode#OUT_OF_RANGE} where there are fewer.
     */
    public Session recoverSession(int index) {
        Check.notNegative("index", index);
        return handle.with(engine -> new Session(this, Native.sessionRecover(engine, index)));
    }

    /** Takes a session of the engine's, which closing it gives back. Null options are the default ones. */
    public Conversation createConversation(ConversationOptions options) {
        Session session = openSession();
        try {
            return new Conversation(session, options == null ? new ConversationOptions() : options);
        } catch (RuntimeException exception) {
            session.close();
            throw exception;
        }
    }

    /** What passes have taken since the engine was made, or since the last call with reset. */
    public Profile profile(boolean reset) {
        long[] numbers = new long[Profile.NUMBERS];
        handle.use(engine -> Native.engineProfile(engine, reset, numbers));
        return new Profile(numbers);
    }

    /** Closes its sessions, too: answers that are being written end with {@link GenerationEnd#CANCELLED}. Returns at once. */
    @Override
    public void close() {
        handle.close();
    }
}
