package dev.thimble;

import java.util.Collections;
import java.util.List;

/** Every byte of an engine, before there is one: {@link Model#plan}. */
public final class MemoryPlan {
    static final int NUMBERS = 25;

    /** Where bytes are; in the order of the C API's thimble_lifetime. */
    public enum Lifetime {
        MAPPED,
        ARENA,
        OUTSIDE
    }

    /** A named piece. */
    public static final class Line {
        private final String name;
        private final long[] numbers; // lifetime, index, session, offset, bytes, scratch, anonymous, touched

        Line(String name, long[] numbers) {
            this.name = name;
            this.numbers = numbers;
        }

        /** "kv_cache", "packed_weights", ... */
        public String name() {
            return name;
        }

        public Lifetime lifetime() {
            return Lifetime.values()[(int) numbers[0]];
        }

        /** Layer or tensor; -1: none. */
        public int index() {
            return (int) numbers[1];
        }

        /** The session's place that it belongs to; -1: none; -2: the prefix that all begin with. */
        public int session() {
            return (int) numbers[2];
        }

        /** In the arena, or in the file. */
        public long offset() {
            return numbers[3];
        }

        public long bytes() {
            return numbers[4];
        }

        /** Overlaps scratch of other phases, so that it does not add to the total. */
        public boolean scratch() {
            return numbers[5] != 0;
        }

        /** All of {@link #bytes}, or 0: pages of the file. */
        public long anonymousBytes() {
            return numbers[6];
        }

        /** Of them: in memory at {@link MemoryPlan#atTokens}. */
        public long touchedBytes() {
            return numbers[7];
        }
    }

    private final long[] numbers; // in the order of the methods below
    private final String kernels;
    private final String filePacking;
    private final List<Line> lines;

    MemoryPlan(long[] numbers, String kernels, String filePacking, List<Line> lines) {
        this.numbers = numbers;
        this.kernels = kernels;
        this.filePacking = filePacking;
        this.lines = Collections.unmodifiableList(lines);
    }

    public List<Line> lines() {
        return lines;
    }

    /** The table that will be used. */
    public String kernels() {
        return kernels;
    }

    /** For which table the file is packed: "portable", "neondot", ... or "mixed". */
    public String filePacking() {
        return filePacking;
    }

    /** The options, filled in. */
    public long contextTokens() {
        return numbers[0];
    }

    public long maxSessions() {
        return numbers[1];
    }

    public long chunkTokens() {
        return numbers[2];
    }

    public long logitsRows() {
        return numbers[3];
    }

    public long threads() {
        return numbers[4];
    }

    /** Exactly what the engine takes: memory that nobody else has. */
    public long arenaBytes() {
        return numbers[5];
    }

    /** The file, read-only; the system can drop and read again what it needs room for. */
    public long mappedBytes() {
        return numbers[6];
    }

    /** Thread stacks, thread pool, copy of the header. */
    public long outsideBytes() {
        return numbers[7];
    }

    /** Of the arena, for all sessions and the prefix. */
    public long cacheBytes() {
        return numbers[8];
    }

    /** Of the arena: weights that the kernels do not read where the file has them. */
    public long packedWeightBytes() {
        return numbers[9];
    }

    /** Rows of one token in all layers. */
    public long cacheBytesPerToken() {
        return numbers[10];
    }

    /** The same model with separate keys and values for all heads in fp16. */
    public long baselineCacheBytesPerToken() {
        return numbers[11];
    }

    /** Of the mapping: weights that are used where they lie. */
    public long inPlaceWeightBytes() {
        return numbers[12];
    }

    /** Of {@link #packedWeightBytes}: the file has them in another packing. */
    public long repackedWeightBytes() {
        return numbers[13];
    }

    /** Of {@link #cacheBytes}: layers with a window; do not grow with the context. */
    public long cacheRingBytes() {
        return numbers[14];
    }

    /** Of {@link #cacheBytes}: with int4 rows, the newest tokens' in int8. */
    public long cacheRecentBytes() {
        return numbers[15];
    }

    /** What one more of {@link #contextTokens} costs a session. */
    public long cacheBytesPerContextToken() {
        return numbers[16];
    }

    /** Of the arena: what one more session costs. */
    public long sessionBytes() {
        return numbers[17];
    }

    /** Of the arena: the prefix of all sessions. */
    public long prefixBytes() {
        return numbers[18];
    }

    public long prefixTokens() {
        return numbers[19];
    }

    /** The process's own: what Android's limiter and Google Play count. The arena and what lies outside. */
    public long anonymousBytes() {
        return numbers[20];
    }

    /** Clean pages of files, which the system drops and reads again as it likes: at most so many. */
    public long fileBackedBytes() {
        return numbers[21];
    }

    /** That every session has read: the whole context but for {@link Model#planAt}. */
    public long atTokens() {
        return numbers[22];
    }

    /** Of {@link #anonymousBytes}: in memory then. */
    public long touchedAnonymousBytes() {
        return numbers[23];
    }

    /** Of {@link #mappedBytes}: a file in {@link EngineOptions#packCache}. */
    public long packCacheBytes() {
        return numbers[24];
    }
}
