package dev.thimble;

/** What an engine is made for. 0 is the default of every number; thimble.h says more about each. */
public final class EngineOptions {
    private final long[] numbers = new long[20];
    private byte[] kernels;
    private byte[] packCache;
    private byte[] park;
    private Sampling sampling = new Sampling();

    /** Positions of each session; 0: what the model was trained for. */
    public EngineOptions contextTokens(int tokens) {
        return set(0, "contextTokens", tokens);
    }

    /** Sessions that can be open at once, each with a cache of its own; 0: one. */
    public EngineOptions maxSessions(int sessions) {
        return set(1, "maxSessions", sessions);
    }

    /** 0 or 1: the calling thread alone. */
    public EngineOptions threads(int threads) {
        return set(2, "threads", threads);
    }

    /** As many threads as pay on this device, on its fast processors where those differ: {@link #threads} and {@link #cpuMask}. */
    public EngineOptions fastThreads() {
        long fast = Thimble.performanceCpus();
        return threads(threadsFor(fast, Runtime.getRuntime().availableProcessors())).cpuMask(fast);
    }

    /** Memory is what decoding waits for, and four processors read as fast as it gives. */
    static int threadsFor(long fastCpus, int processors) {
        return Math.max(1, Math.min(4, fastCpus != 0 ? Long.bitCount(fastCpus) : processors));
    }

    public EngineOptions cache(CacheType both) {
        return cache(both, both);
    }

    public EngineOptions cache(CacheType keys, CacheType values) {
        set(3, "keys", Check.notNull("keys", keys).ordinal());
        return set(4, "values", Check.notNull("values", values).ordinal());
    }

    /** How coarse {@link TrimLevel#CACHE} may make rows: {@link CacheType#Q8} or {@link CacheType#Q4}; without it rows keep their type. */
    public EngineOptions minCache(CacheType least) {
        return set(19, "minCache", Check.notNull("minCache", least).ordinal());
    }

    /** Tokens per pass; 0: 64. Cancelling, progress and other sessions get their turn after each. */
    public EngineOptions chunkTokens(int tokens) {
        return set(5, "chunkTokens", tokens);
    }

    /** Longest text that sessions take; 0: 8 per context token. */
    public EngineOptions maxTextBytes(int bytes) {
        return set(7, "maxTextBytes", bytes);
    }

    /** The most that {@link GenerationOptions#topTokens} may ask for. */
    public EngineOptions topTokens(int tokens) {
        return set(8, "topTokens", tokens);
    }

    /** Layers see the last tokens only, and the first {@link #sinkTokens}; 0: all. Bounds the cache. */
    public EngineOptions windowTokens(int tokens) {
        return set(9, "windowTokens", tokens);
    }

    public EngineOptions sinkTokens(int tokens) {
        return set(10, "sinkTokens", tokens);
    }

    /** True: nothing is read from the file once the engine is made; for files that somebody may change or cut short underneath. */
    public EngineOptions copyWeights(boolean copy) {
        return set(11, "copyWeights", copy ? 1 : 0);
    }

    /** Each worker on one processor of {@link #cpuMask} alone. */
    public EngineOptions cpuStrict(boolean strict) {
        return set(12, "cpuStrict", strict ? 1 : 0);
    }

    /** Processors for the engine's own threads, bit by bit; 0: any. See {@link Thimble#performanceCpus}. */
    public EngineOptions cpuMask(long mask) {
        numbers[13] = mask;
        return this;
    }

    /** What every session begins with: a multiple of 256, for {@link Engine#readPrefix}; 0: none. */
    public EngineOptions prefixTokens(int tokens) {
        return set(14, "prefixTokens", tokens);
    }

    /** Which network of the file; 0: the main one. */
    public EngineOptions part(int part) {
        return set(15, "part", part);
    }

    /** Bits of the cache's rows by layer, as fit into so many bytes a session; 0: as {@link #cache} says. */
    public EngineOptions cacheBudgetBytes(long bytes) {
        return set(16, "cacheBudgetBytes", bytes);
    }

    /** One of {@link Thimble#kernelTables}; null: the best this processor has. */
    public EngineOptions kernels(String name) {
        kernels = name == null ? null : Utf8.terminated("kernels", name);
        return this;
    }

    /** Not 0: an engine that would take more memory that nobody else has is refused with {@link ErrorCode#OVER_BUDGET}, and nothing was taken. */
    public EngineOptions memoryBudgetBytes(long bytes) {
        return set(17, "memoryBudgetBytes", bytes);
    }

    /**
     * A folder, made where it is not there, such as one in Context.getCacheDir(): weights that are packed for this processor go into a
     * file there, written once for each model and mapped from then on, instead of taking memory at every start. Null: none.
     */
    public EngineOptions packCache(String folder) {
        packCache = folder == null ? null : Utf8.terminated("packCache", folder);
        return this;
    }

    /** Not 0: {@link Engine#operations} says what each operation of each block takes; the arena has room for the newest so many. */
    public EngineOptions profileSlices(int slices) {
        return set(18, "profileSlices", slices);
    }

    /**
     * A path for {@link TrimLevel#PARK}: making the engine opens (and makes) two files, PATH.0 and PATH.1, for itself alone, and closes them
     * with it. Null: it cannot be parked.
     */
    public EngineOptions park(String path) {
        park = path == null ? null : Utf8.terminated("park", path);
        return this;
    }

    /** What sessions start with; bounds later {@link Session#setSampling}. */
    public EngineOptions sampling(Sampling sampling) {
        this.sampling = Check.notNull("sampling", sampling);
        return this;
    }

    /**
     * Context, sessions, threads, key cache, value cache, chunk, logits rows, text bytes, top tokens, window, sinks, weights, strict, mask,
     * prefix, part, cache budget, memory budget, profile slices; then those of {@link Sampling#numbers}.
     */
    long[] numbers() {
        long[] samplingNumbers = sampling.numbers();
        long[] all = new long[numbers.length + samplingNumbers.length];
        System.arraycopy(numbers, 0, all, 0, numbers.length);
        System.arraycopy(samplingNumbers, 0, all, numbers.length, samplingNumbers.length);
        return all;
    }

    /** Kernels, pack cache, park: terminated or null. */
    byte[][] texts() {
        return new byte[][] {kernels, packCache, park};
    }

    private EngineOptions set(int at, String what, long value) {
        numbers[at] = Check.notNegative(what, value);
        return this;
    }
}
