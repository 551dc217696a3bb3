package dev.thimble;

/** How an encoder's rows become one vector: {@link Session#embed}. In the order of the C API's thimble_pooling. */
public enum Pooling {
    /** As the model's own files say; the mean where they say nothing. */
    MODEL,
    MEAN,
    /** That of the first id (CLS). */
    FIRST,
    LAST
}
