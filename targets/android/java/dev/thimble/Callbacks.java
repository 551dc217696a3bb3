package dev.thimble;

import java.util.List;

/** What native code calls, on the thread of the native call. It finds these methods by name (consumer-rules.pro keeps them). */
abstract class Callbacks {
    static final class Progress extends Callbacks {
        private final ProgressListener listener;

        Progress(ProgressListener listener) {
            this.listener = listener;
        }

        @Override
        boolean progress(long done, long total) {
            return listener == null || listener.onProgress(done, total);
        }
    }

    static final class Loading extends Callbacks {
        private final ProgressListener listener;
        private final List<String> warnings;

        Loading(ProgressListener listener, List<String> warnings) {
            this.listener = listener;
            this.warnings = warnings;
        }

        @Override
        boolean progress(long done, long total) {
            return listener == null || listener.onProgress(done, total);
        }

        @Override
        void warning(byte[] message) {
            warnings.add(Utf8.decode(message));
        }
    }

    static final class Lines extends Callbacks {
        private final List<MemoryPlan.Line> lines;

        Lines(List<MemoryPlan.Line> lines) {
            this.lines = lines;
        }

        @Override
        void planLine(String name, long[] numbers) {
            lines.add(new MemoryPlan.Line(name, numbers));
        }
    }

    static final class Operations extends Callbacks {
        private final List<Operation> operations;

        Operations(List<Operation> operations) {
            this.operations = operations;
        }

        @Override
        void operation(String mixer, String name, long[] numbers) {
            operations.add(new Operation(mixer, name, numbers));
        }
    }

    /** False ends the call. */
    boolean progress(long done, long total) {
        return true;
    }

    void warning(byte[] message) {}

    /** Numbers: see {@link MemoryPlan.Line}. */
    void planLine(String name, long[] numbers) {}

    /** Numbers: see {@link GenerationEvent}. False ends the answer. */
    boolean event(byte[] text, long[] numbers, float logprob, int[] topIds, float[] topLogprobs) {
        return true;
    }

    /** A part of an answer, see {@link Turn}. False ends the answer. */
    boolean part(int kind, byte[] text, byte[] id, byte[] why) {
        return true;
    }

    /** Numbers: see {@link Solution}. */
    void solution(String largestLine, long[] numbers) {}

    /** Numbers: see {@link Operation}. */
    void operation(String mixer, String name, long[] numbers) {}
}
