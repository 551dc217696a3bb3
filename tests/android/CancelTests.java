package dev.thimble;

import static dev.thimble.TestMain.check;
import static dev.thimble.TestMain.closed;
import static dev.thimble.TestMain.equal;
import static dev.thimble.TestMain.refused;
import static dev.thimble.TestMain.small;
import static dev.thimble.TestMain.waitUntil;

import dev.thimble.TestMain.Open;
import dev.thimble.TestMain.Worker;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;

/** Stopping in every phase, from another thread, and everything is as good as before. */
final class CancelTests {
    private CancelTests() {}

    private static int[] manyIds() {
        int[] ids = new int[500];
        Arrays.fill(ids, 300);
        return ids;
    }

    /** A listener that stops once another thread has said so. */
    private static ProgressListener stoppedFromOutside(Worker[] worker) {
        AtomicBoolean stop = new AtomicBoolean();
        CountDownLatch begun = new CountDownLatch(1);
        worker[0] = Worker.begin(() -> {
            begun.await();
            stop.set(true);
        });
        return (done, total) -> {
            begun.countDown();
            try {
                worker[0].join(); // so that the next thing is seen
            } catch (InterruptedException interrupted) {
                return true;
            }
            return !stop.get();
        };
    }

    static void loading() throws Exception {
        Worker[] worker = new Worker[1];
        try (Model model = Model.open(TestMain.model)) {
            int before = Handle.live();
            refused(ErrorCode.CANCELLED, () -> Engine.create(model, small(), stoppedFromOutside(worker)));
            worker[0].done();
            equal(Handle.live(), before, "handles");
            Engine.create(model, small()).close();
        }
    }

    static void verifying() throws Exception {
        Worker[] worker = new Worker[1];
        try (Model model = Model.open(TestMain.model)) {
            refused(ErrorCode.CANCELLED, () -> model.verify(stoppedFromOutside(worker)));
            worker[0].done();
            model.verify((done, total) -> true);
        }
    }

    static void readingThePrefix() throws Exception {
        Worker[] worker = new Worker[1];
        try (Model model = Model.open(TestMain.model); Engine engine = Engine.create(model, new EngineOptions().prefixTokens(256))) {
            int[] ids = Arrays.copyOf(manyIds(), 256);
            refused(ErrorCode.CANCELLED, () -> engine.readPrefix(ids, stoppedFromOutside(worker)));
            worker[0].done();
            engine.readPrefix(ids, null);
            engine.openSession().close();
        }
    }

    static void prefill() throws Exception {
        // Nothing tells when it is underway but the position, so that a loaded machine may see it too late.
        try (Open open = new Open(small().contextTokens(512).chunkTokens(1).kernels("scalar"))) {
            long position = 500;
            for (int tries = 0; tries < 20 && position == 500; ++tries) {
                open.session.rewind(0);
                Worker worker = Worker.begin(() -> {
                    waitUntil(() -> open.session.position() > 0, "something was read");
                    open.session.cancel();
                });
                try {
                    open.session.prefill(manyIds());
                    worker.done();
                    refused(ErrorCode.CANCELLED, () -> open.session.prefill(300)); // the next call, then
                } catch (ThimbleException exception) {
                    equal(exception.code(), ErrorCode.CANCELLED, exception.getMessage());
                    worker.done();
                }
                position = open.session.position();
            }
            check(position > 0 && position < 500, "kept passes: " + position);
            open.session.rewind(0);
            open.session.prefill(1, 300);
        }
    }

    static void thePrompt() throws Exception {
        try (Open open = new Open(small().contextTokens(512).chunkTokens(4))) {
            CountDownLatch begun = new CountDownLatch(1);
            CountDownLatch cancelled = new CountDownLatch(1);
            Worker worker = Worker.begin(() -> {
                begun.await();
                open.session.cancel();
                cancelled.countDown();
            });
            GenerationResult result = open.session.generate(new GenerationOptions().ids(manyIds()), new GenerationListener() {
                @Override
                public boolean onText(String text) {
                    throw new AssertionError("it was not cancelled");
                }

                @Override
                public boolean onPrompt(long done, long total) {
                    begun.countDown();
                    try {
                        cancelled.await();
                    } catch (InterruptedException interrupted) {
                        return false;
                    }
                    return true;
                }
            });
            worker.done();
            equal(result.end(), GenerationEnd.CANCELLED, "end");
            check(open.session.position() < 500, "it went on to the end");
            equal(open.session.generate(" and", 3, null).generatedTokens(), 3L, "the next answer");
        }
    }

    static void thePromptByItsListener() {
        try (Open open = new Open(small().chunkTokens(4))) {
            GenerationResult result = open.session.generate(new GenerationOptions().ids(Arrays.copyOf(manyIds(), 100)), new GenerationListener() {
                @Override
                public boolean onText(String text) {
                    return true;
                }

                @Override
                public boolean onPrompt(long done, long total) {
                    return false;
                }
            });
            equal(result.end(), GenerationEnd.CANCELLED, "end");
        }
    }

    static void theAnswer() throws Exception {
        try (Open open = new Open(small())) {
            CountDownLatch begun = new CountDownLatch(3);
            CountDownLatch cancelled = new CountDownLatch(1);
            Worker worker = Worker.begin(() -> {
                begun.await();
                open.session.cancel();
                cancelled.countDown();
            });
            GenerationResult result = open.session.generate("Once upon a time", 100, text -> {
                begun.countDown();
                try {
                    if (begun.getCount() == 0) cancelled.await();
                } catch (InterruptedException interrupted) {
                    return false;
                }
                return true;
            });
            worker.done();
            equal(result.end(), GenerationEnd.CANCELLED, "end");
            check(result.generatedTokens() < 100, "it went on to the end");
            equal(open.session.generate(" and", 3, null).generatedTokens(), 3L, "the next answer");
        }
    }

    static void closingWhileAnotherThreadGenerates() throws Exception {
        for (int what = 0; what < 3; ++what) {
            int before = Handle.live();
            Open open = new Open(small().contextTokens(512));
            int closing = what;
            CountDownLatch begun = new CountDownLatch(1);
            CountDownLatch closedNow = new CountDownLatch(1);
            Worker worker = Worker.begin(() -> {
                GenerationResult result = open.session.generate(new GenerationOptions().text("Once").ignoreEnds(true), text -> {
                    begun.countDown();
                    try {
                        closedNow.await();
                    } catch (InterruptedException interrupted) {
                        return false;
                    }
                    return true;
                });
                equal(result.end(), closing == 2 ? GenerationEnd.CONTEXT_FULL : GenerationEnd.CANCELLED, "end");
            });
            begun.await();
            if (what == 0) open.session.close();
            if (what == 1) open.engine.close();
            if (what == 2) open.model.close(); // the engine goes on
            if (what != 2) closed(open.session::position);
            closedNow.countDown();
            worker.done();
            open.close();
            equal(Handle.live(), before, "handles after closing " + what);
        }
    }

    static void closingInItsOwnListener() throws Exception {
        int before = Handle.live();
        try (Open open = new Open(small())) {
            GenerationResult result = open.session.generate("Once", 50, text -> {
                open.engine.close();
                return true;
            });
            equal(result.end(), GenerationEnd.CANCELLED, "end");
            closed(open.session::position);
            closed(open.engine::openSession);
            open.session.cancel(); // nothing, but no harm
        }
        equal(Handle.live(), before, "handles");
    }
}
