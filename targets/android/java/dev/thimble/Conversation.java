package dev.thimble;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * Messages back and forth, as the model was trained to read them: {@link Engine#createConversation}. What was read already is not read
 * again. A model without a chat template reads the texts of all messages one after the other and goes on with them.
 *
 * <p>One answer at a time: {@link ErrorCode#BUSY} for a second one. {@link #cancel}, {@link #messages} and {@link #close} are for any thread at
 * any time. Where sending fails or is cancelled before the answer began, the conversation is as it was.
 */
public final class Conversation implements AutoCloseable {
    private final Session session;
    private final ConversationOptions options;
    private final boolean plain;

    private final Object lock = new Object();
    // Guarded by the lock.
    private List<Message> messages = new ArrayList<>();
    private boolean inUse;
    private boolean answering;
    private boolean cancelled; // the answer that is being written
    private boolean late;      // an answer had ended when it was cancelled: the session's next one hears of it
    /** How many messages a plain model has in its context; -1: it has to read all of them. Only of the thread that answers. */
    private int plainRead;

    Conversation(Session session, ConversationOptions options) {
        this.session = session;
        this.options = options;
        plain = session.engine().info().chatTemplate().isEmpty();
        if (options.sampling != null) session.setSampling(options.sampling);
        if (!options.system.isEmpty()) messages.add(Message.system(options.system));
    }

    public Engine engine() {
        return session.engine();
    }

    /** Whether messages cross as plain text: the model has no chat template. */
    public boolean isPlain() {
        return plain;
    }

    /** All of them, the system's first. */
    public List<Message> messages() {
        synchronized (lock) {
            return Collections.unmodifiableList(new ArrayList<>(messages));
        }
    }

    /** Other messages from here on, such as those of an older conversation; the next answer reads what is new of them. */
    public void setMessages(List<Message> all) {
        begin(false);
        try {
            List<Message> copy = new ArrayList<>(Check.notNull("messages", all));
            for (Message message : copy) Check.notNull("message", message);
            plainRead = -1;
            synchronized (lock) {
                messages = copy;
            }
        } finally {
            end(true);
        }
    }

    /** Says this as the user and writes the answer, which the listener (or null) gets as it comes. */
    public Reply send(String text, ConversationListener listener) {
        return send(Collections.singletonList(Message.user(text)), listener);
    }

    /** The same for any messages: the results of tools, most of all. */
    public Reply send(List<Message> more, ConversationListener listener) {
        begin(true);
        boolean heard = false;
        try {
            List<Message> all;
            synchronized (lock) {
                all = new ArrayList<>(messages);
            }
            for (Message message : Check.notNull("messages", more)) all.add(Check.notNull("message", message));
            if (all.isEmpty()) throw new ThimbleException(ErrorCode.INVALID_ARGUMENT, "messages: none; an answer needs something to answer");
            Turn turn = new Turn(listener);
            boolean answered = plain ? writePlain(all, turn) : write(all, turn);
            // A listener's no may have come before the cancel was seen.
            heard = answered ? turn.result().end() == GenerationEnd.CANCELLED : !turn.refused();
            if (!answered) return new Reply(null, new GenerationResult(GenerationEnd.CANCELLED, null));
            Message message = turn.message();
            all.add(message);
            synchronized (lock) {
                messages = all;
            }
            return new Reply(message, turn.result());
        } finally {
            end(heard);
        }
    }

    /** Asks the answer that is being written now to end, also while its prompt is read; does nothing where there is none. */
    public void cancel() {
        synchronized (lock) {
            if (!answering || cancelled) return;
            cancelled = true;
            session.cancel();
        }
    }

    /** Forgets the user's oldest message and all that followed it up to the next one, for a context that is full. False: the last one stays. */
    public boolean forgetOldest() {
        begin(false);
        try {
            List<Message> kept = new ArrayList<>();
            int users = 0;
            synchronized (lock) {
                for (Message message : messages) {
                    if (message.is("user")) ++users;
                    if (message.is("system") || users > 1) kept.add(message);
                }
                if (users < 2) return false;
                messages = kept;
            }
            plainRead = -1;
            return true;
        } finally {
            end(true);
        }
    }

    /** Tokens in the context, and room in all. */
    public long position() {
        return session.position();
    }

    public long capacity() {
        return session.capacity();
    }

    /** Writes messages and context to where a descriptor stands (ParcelFileDescriptor.getFd()), to go on in another process. */
    public void save(int fd) {
        begin(false);
        try {
            List<Message> all;
            synchronized (lock) {
                all = messages;
            }
            session.save(fd, SavedConversation.encode(all, plainRead));
        } finally {
            end(true);
        }
    }

    /**
     * Goes on where a saved conversation ended: messages, and the context if it was saved with the same model and options. False: messages
     * only; the next answer reads them anew. {@link ErrorCode#NOT_A_STATE} and {@link ErrorCode#STATE_DAMAGED} for messages that cannot be
     * read, and nothing has changed. Length 0: to the end.
     */
    public boolean load(int fd, long offset, long length) {
        Check.notNegative("offset", offset);
        Check.notNegative("length", length);
        begin(false);
        try {
            SavedConversation saved = SavedConversation.read(fd, offset);
            boolean whole = true;
            try {
                session.load(fd, offset + saved.bytes(), length == 0 ? 0 : Math.max(1, length - saved.bytes()));
            } catch (ThimbleException exception) {
                whole = false; // the context is what it was, which the next answer compares with the messages
            }
            plainRead = whole ? saved.plainRead() : -1;
            synchronized (lock) {
                messages = new ArrayList<>(saved.messages());
            }
            return whole;
        } finally {
            end(true);
        }
    }

    /** Cancels what runs. Returns at once. */
    @Override
    public void close() {
        session.close();
    }

    private void begin(boolean answer) {
        synchronized (lock) {
            if (inUse) throw new ThimbleException(ErrorCode.BUSY, "the conversation is in use by another call; call again afterwards");
            inUse = true;
            answering = answer;
            cancelled = false;
        }
    }

    /** heard: a cancel of this call has had its effect. */
    private void end(boolean heard) {
        synchronized (lock) {
            inUse = answering = false;
            late |= cancelled && !heard;
        }
    }

    /** Whether this answer was ended by a cancel that came too late for the one before it. */
    private boolean wasLate(Turn turn) {
        synchronized (lock) {
            boolean was = late && !cancelled && !turn.refused() && !session.isClosed();
            if (was) late = false;
            return was;
        }
    }

    private interface Run {
        void run();
    }

    /** False: it was cancelled before the answer began. */
    private boolean unlessCancelled(Turn turn, Run run) {
        for (;;) {
            try {
                run.run();
                return true;
            } catch (ThimbleException exception) {
                if (exception.code() != ErrorCode.CANCELLED) throw exception;
                if (!wasLate(turn)) return false;
            }
        }
    }

    private boolean write(List<Message> all, Turn turn) {
        byte[][] fields = new byte[all.size() * Message.FIELDS][];
        for (int i = 0; i < all.size(); ++i) System.arraycopy(all.get(i).fields(), 0, fields, i * Message.FIELDS, Message.FIELDS);
        byte[][] texts = {options.tools, options.documents, options.variables, options.template};
        return unlessCancelled(turn, () -> session.turn(options, fields, texts, turn));
    }

    private boolean writePlain(List<Message> all, Turn turn) {
        return unlessCancelled(turn, () -> {
            boolean again = plainRead < 0;
            if (again) session.rewind(0);
            StringBuilder text = new StringBuilder();
            for (Message message : all.subList(again ? 0 : plainRead, all.size())) text.append(message.text());
            plainRead = -1; // until it has gone well
            session.plainTurn(options, text.toString(), turn);
            plainRead = all.size() + 1;
        });
    }
}
