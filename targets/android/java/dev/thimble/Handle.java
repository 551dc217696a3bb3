package dev.thimble;

import java.lang.ref.PhantomReference;
import java.lang.ref.ReferenceQueue;
import java.util.HashSet;
import java.util.Set;
import java.util.function.LongConsumer;
import java.util.function.LongFunction;

/**
 * The native half of a {@link Model}, {@link Engine} or {@link Session}: a pointer that is released once it is closed and nobody uses it.
 * Calls are made by {@link #with} and {@link #use}, or stand between {@link #enter} and {@link #leave}; a child (an engine of a model, a session of an engine) uses its parent as long as
 * it lives, so that the order of closing does not matter. {@link #close} never waits.
 *
 * <p>As a phantom reference to its owner it is also the net for what nobody closed (java.lang.ref.Cleaner is younger than API 26). It must
 * therefore never refer to its owner.
 */
abstract class Handle extends PhantomReference<Object> {
    private static final ReferenceQueue<Object> DROPPED = new ReferenceQueue<>();
    /** Keeps references alive until they are released: nobody else does, once the owner is gone. */
    private static final Set<Handle> LIVE = new HashSet<>();

    static {
        Thread net = new Thread(Handle::closeDropped, "thimble-net");
        net.setDaemon(true);
        net.start();
    }

    private final String what;
    private final Handle parent;
    private final Set<Handle> children = new HashSet<>();
    private long pointer;
    private int uses;
    private boolean closed;

    /** With a parent that is entered by the calling thread. Throws, and has released the pointer, where that is being closed. */
    Handle(Object owner, String what, Handle parent, long pointer) {
        super(owner, DROPPED);
        this.what = what;
        this.parent = parent;
        this.pointer = pointer;
        synchronized (LIVE) {
            LIVE.add(this);
        }
        if (parent != null && !parent.adopt(this)) {
            close();
            throw parent.gone();
        }
    }

    /** Frees what the pointer stands for; called once, with no lock held. */
    abstract void release(long pointer);

    /** Asks the calls that run to end; the lock is held. */
    void interrupt(long pointer) {}

    /** Whether closing this closes what was made of it, too. */
    boolean closesChildren() {
        return false;
    }

    /** The pointer, valid until {@link #leave}. */
    final synchronized long enter() {
        if (closed) throw gone();
        ++uses;
        return pointer;
    }

    final void leave() {
        long free;
        synchronized (this) {
            --uses;
            free = takeUnused();
        }
        free(free);
    }

    /** What the call gives, with the pointer valid as long. */
    final <T> T with(LongFunction<T> call) {
        long opened = enter();
        try {
            return call.apply(opened);
        } finally {
            leave();
        }
    }

    final void use(LongConsumer call) {
        long opened = enter();
        try {
            call.accept(opened);
        } finally {
            leave();
        }
    }

    final void close() {
        long free;
        Handle[] made;
        synchronized (this) {
            if (closed) return;
            closed = true;
            if (uses > 0) interrupt(pointer);
            free = takeUnused();
            made = children.toArray(new Handle[0]);
        }
        free(free);
        if (!closesChildren()) return;
        for (Handle child : made) child.close();
    }

    final synchronized void interruptNow() {
        if (pointer != 0 && !closed) interrupt(pointer);
    }

    final synchronized boolean isClosed() {
        return closed;
    }

    /** How many pointers are not released. */
    static int live() {
        synchronized (LIVE) {
            return LIVE.size();
        }
    }

    private IllegalStateException gone() {
        return new IllegalStateException("the " + what + " is closed");
    }

    private synchronized boolean adopt(Handle child) {
        ++uses;
        children.add(child);
        return !closed;
    }

    private synchronized void disown(Handle child) {
        children.remove(child);
    }

    private long takeUnused() {
        if (!closed || uses > 0) return 0;
        long taken = pointer;
        pointer = 0;
        return taken;
    }

    private void free(long taken) {
        if (taken == 0) return;
        release(taken);
        clear();
        synchronized (LIVE) {
            LIVE.remove(this);
        }
        if (parent != null) {
            parent.disown(this);
            parent.leave();
        }
    }

    private static void closeDropped() {
        for (;;) {
            try {
                ((Handle) DROPPED.remove()).close();
            } catch (InterruptedException interrupted) {
                // Nobody has a reason to; the net stays.
            }
        }
    }
}
