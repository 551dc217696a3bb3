package dev.thimble;

/**
 * The native methods, as targets/android/jni implements them. Handles are pointers of the C API, which {@link Handle} keeps valid during a
 * call; texts are UTF-8, with a zero at the end where "terminated" is said; structs are arrays of numbers in the order named here.
 */
final class Native {
    static {
        System.loadLibrary("thimble_jni");
    }

    private Native() {}

    static native long modelOpen(byte[] terminatedPath);

    static native long modelOpenFd(int fd, long offset, long length);

    static native void modelClose(long model);

    static native void modelVerify(long model, Callbacks callbacks);

    /** part -1: the main one. Numbers: see {@link ModelInfo}. */
    static native byte[][] modelInfo(long model, int part, long[] numbers);

    /** Options: see {@link EngineOptions#numbers} and {@link EngineOptions#texts}. Tokens -1: a full context. Numbers: see {@link MemoryPlan}. */
    static native String[] plan(long model, long[] options, byte[][] texts, long tokens, long[] numbers, Callbacks callbacks);

    /** Budget: anonymous bytes, total bytes. Calls {@link Callbacks#solution} for each. */
    static native void solve(long model, long[] options, byte[][] texts, long[] budget, Callbacks callbacks);

    /** Memory: see {@link SystemMemory}; null: what the system says now. Fit: see {@link WillItFit}. Gives why it does not fit, or null. */
    static native byte[] willFit(long model, long[] options, byte[][] texts, long[] memory, long[] fit);

    /** Memory: see {@link SystemMemory}. Gives the name of the control group. */
    static native String systemMemory(long[] memory);

    static native long engineCreate(long model, long[] options, byte[][] texts, Callbacks callbacks);

    static native void engineClose(long engine);

    static native long engineModel(long engine);

    static native void engineReadPrefix(long engine, int[] ids, Callbacks callbacks);

    /** Numbers: see {@link Profile}. */
    static native void engineProfile(long engine, boolean reset, long[] numbers);

    /** Numbers: see {@link Trimmed}. */
    static native void engineTrim(long engine, int level, long[] numbers);

    /** Calls {@link Callbacks#planLine} for each. */
    static native void engineMeasureLines(long engine, Callbacks callbacks);

    /** Calls {@link Callbacks#operation} for each. */
    static native void engineOperations(long engine, boolean reset, Callbacks callbacks);

    /** Calls {@link Callbacks#operation} for each. */
    static native void engineSlices(long engine, Callbacks callbacks);

    static native long sessionOpen(long engine);

    static native long sessionRecover(long engine, int index);

    static native long sessionFork(long session);

    static native void sessionClose(long session);

    static native void cancel(long session);

    static native long position(long session);

    static native long capacity(long session);

    static native long rewindLimit(long session);

    /** Pooling: see {@link Pooling}. */
    static native float[] embed(long session, int[] ids, int pooling);

    static native void prefill(long session, int[] ids);

    static native void rewind(long session, long position);

    /** Sampling: see {@link Sampling#numbers}. */
    static native void setSampling(long session, long[] sampling);

    static native void samplingDefaults(long[] sampling);

    static native long stateBytes(long session);

    static native void stateSave(long session, int fd);

    static native void stateLoad(long session, int fd, long offset, long length);

    /** Numbers: flags, max_tokens, top_tokens, how many stops there are. Stops: terminated texts, one after the other. */
    static native void generate(long session, long[] numbers, byte[] text, int[] ids, int[] stopIds, byte[] stops, Callbacks callbacks);

    /**
     * Numbers: max_tokens, how many stops there are, thinking. Messages: {@link Message#fields} of all. Texts, terminated or null: tools,
     * documents, variables, template name. Parts go to {@link Callbacks#part}, the last event to {@link Callbacks#event}.
     */
    static native void turn(long session, long[] numbers, byte[][] messages, byte[][] texts, byte[] stops, Callbacks callbacks);

    /** All of the bytes, to where a descriptor stands. */
    static native void fdWrite(int fd, byte[] bytes);

    /** Fills the bytes from an offset on; fewer where the file ends. Gives how many. */
    static native int fdRead(int fd, long offset, byte[] bytes);

    /** Whole: with what the model wants in front of a text. */
    static native int[] tokenize(long model, byte[] text, boolean whole);

    static native byte[] detokenize(long model, int[] ids);

    static native boolean isEnd(long model, int id);

    static native String codeName(int code);

    static native String codeHelp(int code);

    static native String version();

    static native String kernelTables();

    static native long performanceCpus();
}
