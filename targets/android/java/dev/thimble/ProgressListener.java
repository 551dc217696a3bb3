package dev.thimble;

/** How far something long is; called on the thread that waits for it. */
@FunctionalInterface
public interface ProgressListener {
    /** The unit of both is the call's own. False ends the call with {@link ErrorCode#CANCELLED}. */
    boolean onProgress(long done, long total);
}
