package dev.thimble;

import static dev.thimble.TestMain.check;
import static dev.thimble.TestMain.closed;
import static dev.thimble.TestMain.comesThrough;
import static dev.thimble.TestMain.equal;
import static dev.thimble.TestMain.refused;
import static dev.thimble.TestMain.small;

import dev.thimble.TestMain.Open;
import dev.thimble.TestMain.Worker;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What is refused, in which words; nothing ends the process. */
final class ErrorTests {
    private ErrorTests() {}

    static void codesAreThoseOfTheCApi() throws Exception {
        Path header = TestMain.sources.resolve("runtime/include/thimble/codes.h");
        Matcher row = Pattern.compile("X\\((\\w+), k\\w+, (\\d+), \"([^\"]+)\"").matcher(
            new String(Files.readAllBytes(header), StandardCharsets.UTF_8));
        int rows = 0;
        for (; row.find(); ++rows) {
            ErrorCode code = ErrorCode.valueOf(row.group(1));
            equal(code.number(), Integer.parseInt(row.group(2)), code.name());
            equal(Native.codeName(code.number()), row.group(3), code.name());
        }
        equal(ErrorCode.values().length, rows + 1, "codes and UNKNOWN");
        equal(ErrorCode.of(12345), ErrorCode.UNKNOWN, "a code from the future");
    }

    static void filesThatAreNoModels() throws Exception {
        ThimbleException missing = refused(ErrorCode.IO, () -> Model.open("/nowhere/m\u00f6del-\uD83D\uDE00.thimble"));
        check(missing.getMessage().contains("No such file"), "the system's reason: " + missing.getMessage());
        check(missing.help().length() > 10 && missing.number() == 500, "help and number");
        refused(ErrorCode.INVALID_ARGUMENT, () -> Model.open(null));
        refused(ErrorCode.INVALID_ARGUMENT, () -> Model.open("a\0b"));
        refused(ErrorCode.IO, () -> Model.open(-1, 0, 0));
        byte[] model = Files.readAllBytes(Paths.get(TestMain.model));
        refused(ErrorCode.NOT_A_MODEL, () -> Model.open(TestMain.temporary(new byte[100000]).toString()));
        refused(ErrorCode.TRUNCATED, () -> Model.open(TestMain.temporary(Arrays.copyOf(model, model.length / 2)).toString()));
        refused(ErrorCode.TRAILING_BYTES, () -> Model.open(TestMain.temporary(model, new byte[1]).toString()));
        byte[] damaged = model.clone();
        damaged[model.length / 2] ^= 1;
        try (Model opened = Model.open(TestMain.temporary(damaged).toString())) {
            refused(ErrorCode.CORRUPT, () -> opened.verify(null));
        }
    }

    static void optionsThatAreNone() throws Exception {
        try (Model model = Model.open(TestMain.model)) {
            refused(ErrorCode.OUT_OF_RANGE, () -> new EngineOptions().contextTokens(-1));
            refused(ErrorCode.OUT_OF_RANGE, () -> Engine.create(model, new EngineOptions().threads(65)));
            refused(ErrorCode.UNSUPPORTED, () -> Engine.create(model, new EngineOptions().kernels("n\u00f6")));
            refused(ErrorCode.OUT_OF_RANGE, () -> model.plan(new EngineOptions().sampling(new Sampling().topP(2))));
            refused(ErrorCode.OUT_OF_RANGE, () -> model.plan(new EngineOptions().sampling(new Sampling().temperature(Float.NaN))));
            refused(ErrorCode.INVALID_ARGUMENT, () -> new EngineOptions().cache(null));
            refused(ErrorCode.INVALID_ARGUMENT, () -> Engine.create(null, null));
            refused(ErrorCode.OUT_OF_RANGE, () -> model.partInfo(7));
            refused(ErrorCode.INVALID_TOKEN, () -> model.detokenize(1 << 30));
            check(model.plan(null).arenaBytes() > model.plan(small().cache(CacheType.Q4)).arenaBytes(), "options are heard");
        }
    }

    static void anArrayOfAnotherLength() throws Exception {
        refused(ErrorCode.INVALID_ARGUMENT, () -> Native.engineCreate(0, new long[3], null, null));
    }

    static void sessionsRefuse() throws Exception {
        try (Open open = new Open(small())) {
            refused(ErrorCode.NO_SESSION, open.engine::openSession);
            refused(ErrorCode.NO_SESSION, open.session::fork);
            refused(ErrorCode.INVALID_TOKEN, () -> open.session.prefill(-1));
            refused(ErrorCode.OUT_OF_RANGE, () -> open.session.rewind(5));
            refused(ErrorCode.OUT_OF_RANGE, () -> open.session.setSampling(new Sampling().repeatPenalty(-1)));
            refused(ErrorCode.CONTEXT_FULL, () -> open.session.prefill(new int[129]));
            refused(ErrorCode.IO, () -> open.session.save(-1));
            equal(open.session.position(), 0L, "position");
        }
    }

    static void listenersThatThrow() throws Exception {
        try (Open open = new Open(small())) {
            RuntimeException own = new RuntimeException("the app's own");
            comesThrough(own, () -> open.session.generate("Once", 20, text -> {
                throw own;
            }));
            equal(open.session.generate(" and", 3, null).generatedTokens(), 3L, "the next answer");
            comesThrough(own, () -> Engine.create(open.model, small(), (done, total) -> {
                throw own;
            }));
            StackOverflowError[] deep = {null};
            try {
                open.session.generate(" so", 3, text -> endless(0) > 0);
            } catch (StackOverflowError error) {
                deep[0] = error;
            }
            check(deep[0] != null, "errors go through, too");
        }
    }

    private static int endless(int depth) {
        return endless(depth + 1) + 1;
    }

    static void twoThreadsAndOneSession() throws Exception {
        try (Open open = new Open(small())) {
            CountDownLatch begun = new CountDownLatch(1);
            CountDownLatch refusedNow = new CountDownLatch(1);
            Worker worker = Worker.begin(() -> {
                open.session.generate("Once", 5, text -> {
                    begun.countDown();
                    try {
                        refusedNow.await();
                    } catch (InterruptedException interrupted) {
                        return false;
                    }
                    return true;
                });
            });
            begun.await();
            refused(ErrorCode.BUSY, () -> open.session.prefill(300));
            refused(ErrorCode.BUSY, () -> open.session.rewind(0));
            check(open.session.position() > 0, "looking is allowed");
            refusedNow.countDown();
            worker.done();
            open.session.generate("Once", 5, text -> {
                try {
                    refused(ErrorCode.BUSY, () -> open.session.generate("again", 1, null));
                } catch (Exception exception) {
                    throw new AssertionError(exception);
                }
                return true;
            });
        }
    }

    static void closedIsClosed() throws Exception {
        int before = Handle.live();
        Open open = new Open(small());
        open.close();
        open.close();
        equal(Handle.live(), before, "handles");
        closed(open.model::info);
        closed(() -> open.model.plan(null));
        closed(() -> Engine.create(open.model, null));
        closed(open.engine::openSession);
        closed(open.session::position);
        closed(open.session::fork);
        closed(() -> open.session.generate("Once", 1, null));
        open.session.cancel();
    }
}
