package dev.thimble;

import static dev.thimble.TestMain.check;
import static dev.thimble.TestMain.equal;
import static dev.thimble.TestMain.small;
import static dev.thimble.TestMain.waitUntil;

import dev.thimble.TestMain.Open;
import dev.thimble.TestMain.Worker;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;

/** Nothing is left behind, however it was closed and by whom. */
final class LifetimeTests {
    private static final int THREADS = 64;

    private LifetimeTests() {}

    /** Memory that no file stands behind. */
    private static long anonymousBytes() throws Exception {
        for (String line : Files.readAllLines(Paths.get("/proc/self/status"), StandardCharsets.US_ASCII)) {
            if (line.startsWith("RssAnon:")) return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
        }
        throw new AssertionError("the system does not say");
    }

    private static int entries(String folder) {
        return new File(folder).list().length;
    }

    static void aThousandCyclesLeaveNothing() throws Exception {
        int handles = Handle.live();
        long resident = 0;
        int files = 0;
        int tasks = 0;
        for (int i = 0; i < 1000; ++i) {
            if (i == 200) {
                System.gc();
                resident = anonymousBytes();
                files = entries("/proc/self/fd");
                tasks = entries("/proc/self/task");
            }
            // Scalar kernels read the weights where they are: nothing to pack, a quarter of the time.
            try (Open open = new Open(small().contextTokens(64).kernels(i % 8 == 1 ? null : "scalar").threads(i % 8 == 0 ? 2 : 1))) {
                if (i % 4 == 0) open.session.generate("Once", 1, text -> true);
            }
        }
        System.gc();
        equal(Handle.live(), handles, "handles");
        // Java's own compiler and the C library's heap take some MB at times they choose; an engine left behind in every twentieth cycle is more.
        // A sanitizer's allocator keeps what was freed.
        long left = System.getenv("ASAN_OPTIONS") == null ? anonymousBytes() - resident : 0;
        check(left < (16 << 20), "800 cycles left " + left + " bytes");
        check(entries("/proc/self/fd") <= files + 1, "open files: " + files + ", then " + entries("/proc/self/fd"));
        check(entries("/proc/self/task") <= tasks + 4, "threads: " + tasks + ", then " + entries("/proc/self/task"));
    }

    static void whatNobodyClosedIsClosedAfterCollection() throws Exception {
        int handles = Handle.live();
        Session[] kept = {new Open(small()).session};
        check(Handle.live() >= handles + 2, "nothing was opened");
        System.gc();
        Thread.sleep(20);
        // The session alone is held: its engine must stay.
        equal(kept[0].generate("Once", 2, null).generatedTokens(), 2L, "tokens");
        kept[0] = null;
        waitUntil(() -> {
            System.gc();
            return Handle.live() == handles;
        }, "the collector's net has closed what nobody did");
    }

    static void manyThreadsAndOneEngine() throws Exception {
        int handles = Handle.live();
        AtomicInteger answers = new AtomicInteger();
        AtomicInteger busy = new AtomicInteger();
        try (Model model = Model.open(TestMain.model); Engine engine = Engine.create(model, small().contextTokens(64).maxSessions(THREADS + 1).threads(2));
             Session shared = engine.openSession()) {
            Worker[] workers = new Worker[THREADS];
            for (int i = 0; i < THREADS; ++i) {
                int own = i;
                workers[i] = Worker.begin(() -> {
                    for (int round = 0; round < 6; ++round) {
                        try (Session session = engine.openSession()) {
                            int kind = (own + round) % 4;
                            if (kind == 1) session.cancel();
                            GenerationResult result = session.generate("Once upon", 6, kind == 2 ? text -> false : text -> true);
                            equal(result.end(), kind == 1 ? GenerationEnd.CANCELLED : kind == 2 ? GenerationEnd.STOPPED : GenerationEnd.MAX_TOKENS, "end");
                            if (kind == 3) shared.cancel();
                            answers.incrementAndGet();
                        }
                        try {
                            if (ThreadLocalRandom.current().nextInt(2) == 0) shared.rewind(0);
                            shared.generate("and", 2, text -> true);
                        } catch (ThimbleException exception) {
                            if (exception.code() != ErrorCode.CANCELLED) equal(exception.code(), ErrorCode.BUSY, exception.getMessage());
                            busy.incrementAndGet();
                        }
                    }
                });
            }
            for (Worker worker : workers) worker.done();
        }
        equal(answers.get(), THREADS * 6, "answers");
        equal(Handle.live(), handles, "handles");
        System.out.println("      refused as busy: " + busy.get());
    }

    static void closingUnderneathManyThreads() throws Exception {
        int handles = Handle.live();
        for (int round = 0; round < 10; ++round) {
            Model model = Model.open(TestMain.model);
            Engine engine = Engine.create(model, small().contextTokens(64).maxSessions(8));
            Worker[] workers = new Worker[8];
            for (int i = 0; i < workers.length; ++i) {
                workers[i] = Worker.begin(() -> {
                    try {
                        for (;;) {
                            try (Session session = engine.openSession()) {
                                session.generate("Once", 8, text -> true);
                            }
                        }
                    } catch (IllegalStateException closed) {
                        return;
                    }
                });
            }
            Thread.sleep(round);
            engine.close();
            model.close();
            for (Worker worker : workers) worker.done();
            equal(Handle.live(), handles, "handles");
        }
    }
}
