package dev.thimble;

import java.util.ArrayList;
import java.util.List;

/** An open model file, read-only and mapped. May be used by any number of threads. Engines made of it keep the file open, also when this is closed. */
public final class Model implements AutoCloseable {
    static final class ModelHandle extends Handle {
        ModelHandle(Object owner, long pointer) {
            super(owner, "model", null, pointer);
        }

        @Override
        void release(long pointer) {
            Native.modelClose(pointer);
        }
    }

    final Handle handle;

    private Model(long pointer) {
        handle = new ModelHandle(this, pointer);
    }

    /** Checks the header; reads nothing of the weights. */
    public static Model open(String path) {
        return new Model(Native.modelOpen(Utf8.terminated("path", path)));
    }

    /**
     * The part of a file that a descriptor is open for, such as an asset that lies uncompressed in the APK: the numbers of an
     * AssetFileDescriptor. The descriptor stays the caller's and may be closed afterwards.
     *
     * @param offset a multiple of 64 (16,384 is what zipalign gives when asked to)
     * @param length 0: to the end
     */
    public static Model open(int fd, long offset, long length) {
        Check.notNegative("offset", offset);
        Check.notNegative("length", length);
        return new Model(Native.modelOpenFd(fd, offset, length));
    }

    public ModelInfo info() {
        return info(-1);
    }

    /** Of any network of the file, counted from 0. */
    public ModelInfo partInfo(int part) {
        return info(Check.notNegative("part", part));
    }

    /** Every byte by name, before anything is loaded. Null stands for the default options. */
    public MemoryPlan plan(EngineOptions options) {
        return planned(options, -1);
    }

    /** The same for a moment when every session has read so many tokens: {@link MemoryPlan#touchedAnonymousBytes}. */
    public MemoryPlan planAt(EngineOptions options, long tokens) {
        return planned(options, Check.notNegative("tokens", tokens));
    }

    /**
     * Whether an engine with these options finds memory now; null memory: as {@link SystemMemory#now} says. An engine can be made all the
     * same: Android may kill the app for it, which no error tells.
     */
    public WillItFit willItFit(EngineOptions options, SystemMemory memory) {
        EngineOptions used = options == null ? new EngineOptions() : options;
        long[] fit = new long[WillItFit.NUMBERS];
        byte[] reason = handle.with(model -> Native.willFit(model, used.numbers(), used.texts(), memory == null ? null : memory.numbers(), fit));
        return new WillItFit(fit, reason == null ? "" : Utf8.decode(reason));
    }

    /**
     * The longest context for each type of cache rows, best first, within so many bytes: anonymous ones (which Android's limiter and
     * Google Play count), and all together with those of the file. 0: any number; at least one of the two.
     */
    public List<Solution> solve(EngineOptions options, long anonymousBytes, long totalBytes) {
        EngineOptions used = options == null ? new EngineOptions() : options;
        long[] budget = {Check.notNegative("anonymousBytes", anonymousBytes), Check.notNegative("totalBytes", totalBytes)};
        List<Solution> solutions = new ArrayList<>();
        Callbacks callbacks = new Callbacks() {
            @Override
            void solution(String largestLine, long[] numbers) {
                solutions.add(new Solution(largestLine, numbers));
            }
        };
        handle.use(model -> Native.solve(model, used.numbers(), used.texts(), budget, callbacks));
        return solutions;
    }

    /** Reads every byte: checksums, padding, tokenizer, finite weights. Progress (or null) counts bytes. */
    public void verify(ProgressListener progress) {
        handle.use(model -> Native.modelVerify(model, new Callbacks.Progress(progress)));
    }

    /** Ids without a begin of text; markers such as "&lt;|im_start|&gt;" are text like any other. */
    public int[] tokenize(String text) {
        byte[] utf8 = Utf8.encode(Check.notNull("text", text));
        return handle.with(model -> Native.tokenize(model, utf8, false));
    }

    public String detokenize(int... ids) {
        Check.notNull("ids", ids);
        return handle.with(model -> Utf8.decode(Native.detokenize(model, ids)));
    }

    /** Whether the model ends its text with this id. */
    public boolean isEnd(int id) {
        return handle.with(model -> Native.isEnd(model, id));
    }

    @Override
    public void close() {
        handle.close();
    }

    private MemoryPlan planned(EngineOptions options, long tokens) {
        EngineOptions used = options == null ? new EngineOptions() : options;
        List<MemoryPlan.Line> lines = new ArrayList<>();
        long[] numbers = new long[MemoryPlan.NUMBERS];
        String[] names = handle.with(model -> Native.plan(model, used.numbers(), used.texts(), tokens, numbers, new Callbacks.Lines(lines)));
        return new MemoryPlan(numbers, names[0], names[1], lines);
    }

    private ModelInfo info(int part) {
        long[] numbers = new long[ModelInfo.NUMBERS];
        return handle.with(model -> new ModelInfo(numbers, Native.modelInfo(model, part, numbers)));
    }
}
