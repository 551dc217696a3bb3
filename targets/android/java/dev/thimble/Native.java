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

    /** Options: see {@link EngineOptions#numbers}. Numbers: see {@link MemoryPlan}. */
    static native String[] plan(long model, long[] options, byte[] terminatedKernels, long[] numbers, Callbacks callbacks);

    static native long engineCreate(long model, long[] options, byte[] terminatedKernels, Callbacks callbacks);

    static native void engineClose(long engine);

    static native long engineModel(long engine);

    static native void engineReadPrefix(long engine, int[] ids, Callbacks callbacks);

    /** Numbers: see {@link Profile}. */
    static native void engineProfile(long engine, boolean reset, long[] numbers);

    static native long sessionOpen(long engine);

    static native long sessionFork(long session);

    static native void sessionClose(long session);

    static native void cancel(long session);

    static native long position(long session);

    static native long capacity(long session);

    static native long rewindLimit(long session);

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

    static native int[] tokenize(long model, byte[] text, int flags);

    static native byte[] detokenize(long model, int[] ids);

    static native boolean isEnd(long model, int id);

    static native String codeName(int code);

    static native String codeHelp(int code);

    static native String version();

    static native String kernelTables();

    static native long performanceCpus();
}
