package dev.thimble;

import static dev.thimble.TestMain.check;
import static dev.thimble.TestMain.equal;
import static dev.thimble.TestMain.refused;
import static dev.thimble.TestMain.small;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** What fits, before anything is loaded, and weights that are packed once. */
final class FitTests {
    private FitTests() {}

    static void twoKindsOfBytes() {
        try (Model model = Model.open(TestMain.model)) {
            MemoryPlan plan = model.plan(small());
            equal(plan.anonymousBytes(), plan.arenaBytes() + plan.outsideBytes(), "anonymous");
            equal(plan.fileBackedBytes(), plan.mappedBytes(), "file-backed");
            long outside = 0;
            for (MemoryPlan.Line line : plan.lines()) {
                if (line.lifetime() == MemoryPlan.Lifetime.MAPPED) equal(line.anonymousBytes(), 0L, line.name());
                if (line.lifetime() == MemoryPlan.Lifetime.OUTSIDE) outside += line.anonymousBytes();
            }
            equal(outside, plan.outsideBytes(), "lines outside");
            MemoryPlan early = model.planAt(small(), 10);
            equal(early.atTokens(), 10L, "tokens");
            equal(plan.atTokens(), 128L, "tokens of the whole");
            equal(early.anonymousBytes(), plan.anonymousBytes(), "the same engine");
            check(early.touchedAnonymousBytes() <= plan.touchedAnonymousBytes() && plan.touchedAnonymousBytes() <= plan.anonymousBytes() + 65536, "touched");
        }
    }

    static void willItFit() throws Exception {
        try (Model model = Model.open(TestMain.model)) {
            WillItFit fit = model.willItFit(small(), null);
            check(fit.fits() && fit.reason().isEmpty() && fit.missingBytes() == 0, "a small model: " + fit.reason());
            equal(fit.neededBytes(), model.plan(small()).anonymousBytes(), "needed");
            SystemMemory memory = SystemMemory.now();
            check(memory.machineBytes() > 0 && memory.availableBytes() > 0, "what the system says");
            // As Android's ActivityManager would say it on a phone that is full.
            WillItFit none = model.willItFit(small(), memory.caller(1 << 20));
            equal(none.fits(), false, "in 1 MiB");
            equal(none.limit(), SystemMemory.Limit.CALLER, "who decided");
            equal(none.missingBytes(), none.neededBytes() - (1 << 20), "missing");
            check(!none.reason().isEmpty(), "a reason");
            equal(model.willItFit(small(), memory.caller(0)).missingBytes(), none.neededBytes(), "with nothing left");
            check(model.willItFit(small(), memory.caller(SystemMemory.NO_LIMIT)).fits(), "without a limit of the caller's");
            refused(ErrorCode.OUT_OF_RANGE, () -> model.willItFit(new EngineOptions().threads(65), null));
        }
    }

    static void whatFitsABudget() throws Exception {
        try (Model model = Model.open(TestMain.model)) {
            long budget = model.plan(new EngineOptions().cache(CacheType.Q8)).anonymousBytes();
            List<Solution> solutions = model.solve(null, budget, 0);
            check(solutions.size() >= 3, "kinds of rows");
            Solution best = solutions.get(0);
            check(best.fits() && best.anonymousBytes() <= budget && best.contextTokens() == 512, "the best");
            equal(model.plan(best.apply(new EngineOptions())).arenaBytes(), best.arenaBytes(), "applied");
            Solution none = model.solve(null, 1000, 0).get(0);
            check(!none.fits() && none.overBytes() > 0 && !none.largestLine().isEmpty() && none.largestLineBytes() > 0, "what is too large");
            refused(ErrorCode.INVALID_ARGUMENT, () -> model.solve(null, 0, 0));
            refused(ErrorCode.OUT_OF_RANGE, () -> model.solve(null, -1, 0));
            refused(ErrorCode.OVER_BUDGET, () -> Engine.create(model, small().memoryBudgetBytes(1 << 20)));
        }
    }

    /** What Java says of phones is what the program says. */
    static void phoneTiers() throws Exception {
        String said = output("plan", TestMain.model, "--devices", "--json");
        for (PhoneTier tier : PhoneTier.values()) {
            String phone = "\"device\":\"phone " + (tier.memoryBytes() >> 30) + " GB, ";
            String memory = "\"memory_bytes\":" + tier.memoryBytes() + ",\"budget_anonymous_bytes\":";
            check(said.contains(phone + "foreground\"," + memory + tier.foregroundBytes() + ","), "foreground of " + tier + ": " + said);
            check(said.contains(phone + "background\"," + memory + tier.backgroundBytes() + ","), "background of " + tier);
        }
        equal(said.split("\"device\":\"phone ", -1).length - 1, 2 * PhoneTier.values().length, "phones");
        equal(PhoneTier.of(3_700_000_000L), PhoneTier.GB_4, "a phone of 4 GB, as the kernel has it");
        equal(PhoneTier.of(4L << 30), PhoneTier.GB_4, "all of it");
        equal(PhoneTier.of(7_600_000_000L), PhoneTier.GB_8, "8 GB");
        equal(PhoneTier.of(24L << 30), PhoneTier.GB_16, "more than there are figures for");
        try (Model model = Model.open(TestMain.model)) {
            PhoneTier tier = PhoneTier.of(0);
            check(model.willItFit(small(), SystemMemory.now().caller(tier.backgroundBytes())).fits(), "a small model on a small phone");
            check(model.solve(null, tier.foregroundBytes(), 0).get(0).fits(), "its longest context");
        }
    }

    static void threadsOfFastProcessors() {
        equal(EngineOptions.threadsFor(0xf0, 8), 4, "four large ones of eight");
        equal(EngineOptions.threadsFor(0xc0, 8), 2, "two");
        equal(EngineOptions.threadsFor(0xfc, 8), 4, "more than memory needs");
        equal(EngineOptions.threadsFor(0, 4), 4, "all alike");
        equal(EngineOptions.threadsFor(0, 1), 1, "one");
        try (Model model = Model.open(TestMain.model)) {
            int expected = EngineOptions.threadsFor(Thimble.performanceCpus(), Runtime.getRuntime().availableProcessors());
            equal(model.plan(small().fastThreads()).threads(), (long) expected, "of this machine");
        }
    }

    private static String output(String... arguments) throws Exception {
        List<String> command = new ArrayList<>(Arrays.asList(arguments));
        command.add(0, TestMain.program);
        Process process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        String said = new String(TestMain.all(process.getInputStream()), "UTF-8");
        equal(process.waitFor(), 0, "exit code of " + command);
        return said;
    }

    static void packedOnce() throws Exception {
        Path folder = Files.createTempDirectory("thimble");
        try (Model model = Model.open(TestMain.model)) {
            if (model.plan(small()).packedWeightBytes() == 0) return; // this processor reads the file's own layout
            EngineOptions options = small().packCache(folder.resolve("packs").toString());
            MemoryPlan plan = model.plan(options);
            equal(plan.packedWeightBytes(), 0L, "packed into the arena");
            check(plan.packCacheBytes() > 0, "packed into a file");
            long[] written = new long[2];
            for (int i = 0; i < 2; ++i) {
                try (Engine engine = Engine.create(model, options); Session session = engine.openSession()) {
                    equal(session.generate("Once", 3, null).generatedTokens(), 3L, "tokens");
                }
                File[] files = folder.resolve("packs").toFile().listFiles();
                equal(files.length, 1, "files");
                written[i] = files[0].lastModified();
            }
            equal(written[1], written[0], "written once");
            refused(ErrorCode.INVALID_ARGUMENT, () -> new EngineOptions().packCache("a\0b"));
        } finally {
            File[] files = folder.resolve("packs").toFile().listFiles();
            if (files != null) for (File file : files) file.delete();
            folder.resolve("packs").toFile().delete();
            folder.toFile().delete();
        }
    }

    static void memoryGivenBackIsTakenAgain() throws Exception {
        Path folder = Files.createTempDirectory("thimble");
        EngineOptions options = small().park(folder.resolve("parked").toString());
        GenerationOptions more = new GenerationOptions().maxTokens(8);
        StringBuilder expected = new StringBuilder();
        try (TestMain.Open untouched = new TestMain.Open(small())) {
            untouched.session.generate("Once upon a time", 8, text -> true);
            for (int i = 0; i < 5; ++i) untouched.session.generate(more, text -> expected.append(text) != null);
        }
        try (Model model = Model.open(TestMain.model)) {
            StringBuilder got = new StringBuilder();
            long position;
            try (Engine engine = Engine.create(model, options); Session session = engine.openSession()) {
                session.generate("Once upon a time", 8, text -> true);
                session.generate(more, text -> got.append(text) != null);
                for (TrimLevel level : TrimLevel.values()) {
                    if (level == TrimLevel.CACHE) continue;  // below: it changes what comes after
                    Trimmed trimmed = engine.trim(level);
                    boolean parks = level.compareTo(TrimLevel.PARK) >= 0;
                    equal(trimmed.parkedSessions(), parks ? 1 : 0, "parked by " + level);
                    check(trimmed.parkedBytes() > 0 == parks, "written by " + level);
                    check(trimmed.anonymousBytes() > 0, "given back by " + level);
                    session.generate(more, text -> got.append(text) != null);
                }
                equal(got.toString(), expected.toString(), "the text");
                session.generate(more, text -> {
                    try {
                        refused(ErrorCode.BUSY, () -> engine.trim(TrimLevel.PARK));
                    } catch (Exception exception) {
                        throw new AssertionError(exception);
                    }
                    return false;
                });
                position = session.position();
                engine.trim(TrimLevel.PARK);
                refused(ErrorCode.INVALID_ARGUMENT, () -> engine.trim(null));
            }
            // As after the process was ended.
            try (Engine engine = Engine.create(model, options); Session recovered = engine.recoverSession(0)) {
                equal(recovered.position(), position, "position");
                refused(ErrorCode.OUT_OF_RANGE, () -> engine.recoverSession(7));
            }
            try (Engine coarser = Engine.create(model, small().minCache(CacheType.Q4)); Session session = coarser.openSession()) {
                session.generate("Once upon a time", 8, text -> true);
                check(coarser.trim(TrimLevel.CACHE).anonymousBytes() > 0, "given back by CACHE");
                position = session.position();
                session.generate(more, text -> true);
                check(session.position() > position, "goes on with coarser rows");
            }
            Engine unparked = Engine.create(model, small());
            refused(ErrorCode.WRONG_STATE, () -> unparked.trim(TrimLevel.CACHE));
            refused(ErrorCode.WRONG_STATE, () -> unparked.trim(TrimLevel.PARK));
            unparked.close();
            TestMain.closed(() -> unparked.trim(TrimLevel.SCRATCH));
        } finally {
            for (File file : folder.toFile().listFiles()) file.delete();
            folder.toFile().delete();
        }
        int[] levels = {5, 10, 15, 20, 40, 60, 80};
        StringBuilder names = new StringBuilder();
        for (int level : levels) names.append(TrimLevel.of(level)).append(' ');
        equal(names.toString(), "SCRATCH SCRATCH WEIGHTS WEIGHTS PARK PARK PARK_ALL ", "levels of ComponentCallbacks2");
    }

    static void whatIsInMemoryAndWhatItTook() throws Exception {
        EngineOptions options = small().profileSlices(64);
        try (TestMain.Open open = new TestMain.Open(options)) {
            long arena = 0;
            for (MemoryPlan.Line line : open.model.plan(options).lines()) arena += line.lifetime() == MemoryPlan.Lifetime.ARENA ? 1 : 0;
            long[] touched = new long[2];
            for (int i = 0; i < 2; ++i) {
                int lines = 0;
                for (MemoryPlan.Line line : open.engine.measureLines()) {
                    check(line.touchedBytes() >= 0 && line.lifetime() == MemoryPlan.Lifetime.ARENA, line.name());
                    touched[i] += line.touchedBytes();
                    ++lines;
                }
                equal((long) lines, arena, "lines of the arena");
                if (i == 0) open.session.generate("Once upon a time", 30, null);
            }
            check(touched[1] > touched[0], "nothing was touched: " + touched[0] + ", then " + touched[1]);
            long calls = 0;
            for (Operation operation : open.engine.operations(true)) {
                check(operation.nanos() >= 0 && operation.calls() > 0, operation.name());
                if (operation.name().equals("attention")) calls += operation.calls();
            }
            check(calls > 0, "attention");
            List<Operation> slices = open.engine.slices();
            equal(slices.size(), 64, "as many slices as the options keep");
            for (int i = 0; i < slices.size(); ++i) {
                Operation slice = slices.get(i);
                check(slice.calls() == 1 && slice.nanos() >= 0 && !slice.name().equals("sample"), "a slice: " + slice.name());
                check(i == 0 || slice.startNanos() >= slices.get(i - 1).startNanos(), "the oldest first");
            }
            long last = slices.get(63).startNanos() + slices.get(63).nanos();
            check(Math.abs(System.nanoTime() - last) < 60_000_000_000L, "on System.nanoTime's clock: " + last);
            check(open.engine.operations(false).isEmpty(), "reset");
        }
        try (TestMain.Open open = new TestMain.Open(small())) {
            refused(ErrorCode.WRONG_STATE, () -> open.engine.operations(false));
            refused(ErrorCode.WRONG_STATE, open.engine::slices);
        }
    }
}
