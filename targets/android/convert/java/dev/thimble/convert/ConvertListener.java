package dev.thimble.convert;

/** How far a conversion is; called on the thread that converts. What it throws ends the conversion and goes on to that caller. */
@FunctionalInterface
public interface ConvertListener {
    /** The tensor that is being written, and how many of all weights are. False ends it with ErrorCode.CANCELLED, and leaves no file. */
    boolean onTensor(String tensor, long doneWeights, long totalWeights);
}
