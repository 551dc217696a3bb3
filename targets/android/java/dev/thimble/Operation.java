package dev.thimble;

/** An operation of a block: of all passes together ({@link Engine#operations}), or once ({@link Engine#slices}). */
public final class Operation {
    private final String mixer;
    private final String name;
    private final long[] numbers; // layer, block, calls, start, ns, bytes, tasks that were shared, of these by other threads

    Operation(String mixer, String name, long[] numbers) {
        this.mixer = mixer;
        this.name = name;
        this.numbers = numbers;
    }

    /** What the block is: "attention", "feed_forward", ...; "": none. */
    public String mixer() {
        return mixer;
    }

    /** "embed", "norm", "projections", "attention", "activation", "output", "join", "head", "sample". */
    public String name() {
        return name;
    }

    /** -1: of none. */
    public int layer() {
        return (int) numbers[0];
    }

    /** Of the network, counted through; -1: of none. */
    public int block() {
        return (int) numbers[1];
    }

    public long calls() {
        return numbers[2];
    }

    /** Once: when it began, on the clock of System.nanoTime(). */
    public long startNanos() {
        return numbers[3];
    }

    public long nanos() {
        return numbers[4];
    }

    /** Of weights and cache rows that it read. */
    public long bytesRead() {
        return numbers[5];
    }

    /** Pieces of work that went to the engine's threads. */
    public long sharedTasks() {
        return numbers[6];
    }

    /** Of these, done by others than the calling thread. */
    public long othersTasks() {
        return numbers[7];
    }
}
