package dev.thimble.sample;

import android.content.Context;
import android.os.Handler;
import android.os.Looper;
import android.os.ParcelFileDescriptor;
import dev.thimble.Conversation;
import dev.thimble.ConversationListener;
import dev.thimble.ConversationOptions;
import dev.thimble.Engine;
import dev.thimble.EngineOptions;
import dev.thimble.ErrorCode;
import dev.thimble.MemoryPlan;
import dev.thimble.Message;
import dev.thimble.Model;
import dev.thimble.Profile;
import dev.thimble.ThimbleException;
import dev.thimble.TrimLevel;
import java.io.File;
import java.io.IOException;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicReference;

/**
 * One conversation with one model, on a thread of its own. Its methods are the main thread's and return at once; what has changed the listener
 * hears there. What was said is saved after each answer, so that nothing is lost when Android ends the process.
 */
final class Chat {
    interface Listener {
        void onChanged(ChatState state);
    }

    private static final int ANSWER_TOKENS = 120;
    private static final long PICTURE_NANOS = 100_000_000;
    /** One for all: the next chat begins when the one before has been saved. */
    private static final ExecutorService WORKER = Executors.newSingleThreadExecutor();

    private final Context context;
    private final Handler main = new Handler(Looper.getMainLooper());
    private Listener listener;
    private ChatState state = ChatState.empty();
    private final AtomicReference<ChatState> news = new AtomicReference<>();

    // Of the worker, but for cancelling and closing, which any thread may do.
    private volatile Conversation conversation;
    private volatile boolean stopped;
    private Model model;
    private EngineOptions options;
    private Engine engine;
    private String name = "";
    private final StringBuilder partial = new StringBuilder();
    private MemoryPlan plan;
    private List<MemoryPlan.Line> lines = Collections.emptyList();
    private long planned;

    Chat(Context context) {
        this.context = context;
    }

    void setListener(Listener listener) {
        this.listener = listener;
        if (listener != null) listener.onChanged(state);
    }

    ChatState state() {
        return state;
    }

    void open(ModelSource source) {
        stop();
        WORKER.execute(() -> guarded(() -> load(source)));
    }

    void send(String text) {
        stopped = false;
        WORKER.execute(() -> guarded(() -> answer(text)));
    }

    /** The answer, also while its prompt is read. */
    void stop() {
        stopped = true;
        Conversation now = conversation;
        if (now != null) now.cancel();
    }

    void save() {
        WORKER.execute(() -> guarded(this::write));
    }

    /** A level of ComponentCallbacks2. An answer that nobody sees any more is ended; one on the screen is written to its end first. */
    void trim(int level) {
        TrimLevel to = TrimLevel.of(level);
        if (to.compareTo(TrimLevel.PARK) >= 0) stop();
        WORKER.execute(() -> guarded(() -> {
            write();
            if (engine != null) engine.trim(to);
            tell(false, false, "");
        }));
    }

    /** Runs on the main thread once all that was asked for before is done. */
    void whenIdle(Runnable then) {
        WORKER.execute(() -> main.post(then));
    }

    /** What was asked for before is done first. */
    void close() {
        listener = null;
        stop();
        WORKER.execute(this::release);
    }

    private interface Step {
        void run() throws IOException;
    }

    private void guarded(Step step) {
        try {
            step.run();
        } catch (IOException | ThimbleException exception) {
            tell(false, false, String.valueOf(exception.getMessage()));
        }
    }

    private void load(ModelSource source) throws IOException {
        release();
        name = source.name();
        tell(true, false, "");
        model = source.open(context);
        options = ModelSource.options(context, model);
        engine = Engine.create(model, options);
        conversation = engine.createConversation(new ConversationOptions().maxTokens(ANSWER_TOKENS));
        read();
        tell(false, false, "");
    }

    private void answer(String text) throws IOException {
        if (conversation == null) return;
        partial.setLength(0);
        partial.append("user: ").append(text).append("\n\nassistant: ");
        tell(false, true, "");
        ConversationListener pieces = new ConversationListener() {
            @Override
            public boolean onText(String piece) {
                partial.append(piece);
                tell(false, true, "");
                return !stopped;
            }

            @Override
            public boolean onPrompt(long done, long total) {
                return !stopped;
            }
        };
        for (;;) {
            try {
                conversation.send(text, pieces);
                break;
            } catch (ThimbleException exception) {
                if (exception.code() != ErrorCode.CONTEXT_FULL || !conversation.forgetOldest()) throw exception;
            }
        }
        tell(false, false, "");
        write();
    }

    private File file() {
        return new File(context.getNoBackupFilesDir(), name + ".conversation");
    }

    /** Complete or not at all. */
    private void write() throws IOException {
        if (conversation == null || conversation.messages().isEmpty()) return;
        File part = new File(file().getPath() + ".part");
        int mode = ParcelFileDescriptor.MODE_WRITE_ONLY | ParcelFileDescriptor.MODE_CREATE | ParcelFileDescriptor.MODE_TRUNCATE;
        try (ParcelFileDescriptor out = ParcelFileDescriptor.open(part, mode)) {
            conversation.save(out.getFd());
        }
        if (!part.renameTo(file())) throw new IOException(part + " could not be renamed");
    }

    private void read() throws IOException {
        if (!file().exists()) return;
        try (ParcelFileDescriptor in = ParcelFileDescriptor.open(file(), ParcelFileDescriptor.MODE_READ_ONLY)) {
            conversation.load(in.getFd(), 0, 0);
        } catch (ThimbleException exception) {
            tell(false, false, String.valueOf(exception.getMessage())); // a new conversation, then
        }
    }

    private void release() {
        if (conversation != null) conversation.close();
        if (engine != null) engine.close();
        if (model != null) model.close();
        conversation = null;
        engine = null;
        model = null;
    }

    private void tell(boolean loading, boolean answering, String error) {
        List<Message> messages = conversation == null ? Collections.<Message>emptyList() : conversation.messages();
        long now = System.nanoTime();
        if (engine == null) plan = null;
        if (engine != null && (plan == null || !answering || now - planned > PICTURE_NANOS)) {
            plan = model.plan(options);
            lines = engine.measureLines();
            planned = now;
        }
        Profile profile = engine == null ? null : engine.profile(false);
        ChatState next = new ChatState(name, messages, partial.toString(), loading, answering, error, plan, lines, profile);
        // A slow screen sees the latest, and not one after the other.
        if (news.getAndSet(next) != null) return;
        main.post(() -> {
            state = news.getAndSet(null);
            if (listener != null) listener.onChanged(state);
        });
    }
}
