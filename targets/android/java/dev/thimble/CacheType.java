package dev.thimble;

/** What a row of the cache is made of; in the order of the C API's thimble_cache_type. */
public enum CacheType {
    F16,
    F32,
    /** int8 with a scale per row and head. */
    Q8,
    /** int4 with a factor per 32 elements; the newest 64 tokens are read in int8. */
    Q4
}
