package dev.thimble;

/** What the native library says about itself and the processor. */
public final class Thimble {
    private Thimble() {}

    public static String version() {
        return Native.version();
    }

    /** Names of the kernel tables that this processor can run, best last. */
    public static String[] kernelTables() {
        return Native.kernelTables().split(" ");
    }

    /** The processors of a big.LITTLE system that are at least half as fast as its fastest; 0 where all are alike or nobody says. */
    public static long performanceCpus() {
        return Native.performanceCpus();
    }
}
