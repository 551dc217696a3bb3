package dev.thimble;

/** How much {@link Engine#trim} gives back; each level does what those before it do. */
public enum TrimLevel {
    /** What holds nothing between calls. */
    SCRATCH(1),
    /** Pages of the model file, which are read from it again. */
    WEIGHTS(2),
    /** Half of what rows of the cache take, as far as {@link EngineOptions#minCache} allows; what follows is computed from coarser rows. */
    CACHE(3),
    /** All sessions, into a file of {@link EngineOptions#park}; each comes back with the next call for it. */
    PARK(4),
    /** Weights that were packed into the arena; the next pass packs them again. */
    PARK_ALL(5);

    // Of android.content.ComponentCallbacks2.
    private static final int RUNNING_CRITICAL = 15;
    private static final int BACKGROUND = 40;
    private static final int COMPLETE = 80;

    private final int number;

    TrimLevel(int number) {
        this.number = number;
    }

    /**
     * For a level of ComponentCallbacks2.onTrimMemory: buffers while the app runs, the file's pages where that is critical or nobody looks,
     * sessions when it is in the background, everything when it is next to be ended.
     */
    public static TrimLevel of(int componentCallbacksLevel) {
        if (componentCallbacksLevel >= COMPLETE) return PARK_ALL;
        if (componentCallbacksLevel >= BACKGROUND) return PARK;
        return componentCallbacksLevel >= RUNNING_CRITICAL ? WEIGHTS : SCRATCH;
    }

    int number() {
        return number;
    }
}
