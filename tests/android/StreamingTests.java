package dev.thimble;

import static dev.thimble.TestMain.check;
import static dev.thimble.TestMain.equal;
import static dev.thimble.TestMain.refused;
import static dev.thimble.TestMain.small;

import dev.thimble.TestMain.Open;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;

/** Plans, answers as they come, and going on another time. */
final class StreamingTests {
    private StreamingTests() {}

    static void planSaysWhatTheEngineTakes() {
        try (Model model = Model.open(TestMain.model)) {
            MemoryPlan plan = model.plan(small().maxSessions(2));
            long arena = 0;
            for (MemoryPlan.Line line : plan.lines()) {
                if (line.lifetime() == MemoryPlan.Lifetime.ARENA && !line.scratch()) arena += line.bytes();
            }
            check(arena > 0 && arena <= plan.arenaBytes(), "lines of the arena add up to " + arena + " of " + plan.arenaBytes());
            equal(plan.maxSessions(), 2L, "sessions");
            equal(plan.mappedBytes(), new File(TestMain.model).length(), "mapped bytes");
            equal(plan.arenaBytes() - model.plan(small()).arenaBytes(), plan.sessionBytes(), "what one more session costs");
            check(plan.kernels().length() > 0 && plan.filePacking().length() > 0, "names");
            ModelInfo info = model.info();
            equal(info.name().isEmpty(), false, "name");
            equal(info.maxPositions(), 512L, "positions");
            equal(info.isDecoder(), true, "decoder");
            equal(info.fileBytes(), new File(TestMain.model).length(), "file bytes");
        }
    }

    static void textStreamsAndAddsUp() {
        try (Open open = new Open(small().topTokens(3))) {
            StringBuilder streamed = new StringBuilder();
            GenerationResult result = open.session.generate("Once upon a time", 40, text -> {
                check(!text.isEmpty(), "an empty text");
                streamed.append(text);
                return true;
            });
            equal(result.end(), GenerationEnd.MAX_TOKENS, "end");
            equal(result.generatedTokens(), 40L, "tokens");
            check(result.promptTokens() > 2 && result.prefillNanos() > 0 && result.decodeNanos() > 0, "measures");
            open.session.rewind(0);
            List<Integer> ids = new ArrayList<>();
            List<Long> read = new ArrayList<>();
            open.session.generate(new GenerationOptions().text("Once upon a time").maxTokens(40).topTokens(3).logprobs(true),
                                  new GenerationListener() {
                @Override
                public boolean onText(String text) {
                    throw new AssertionError("onEvent is not to call it here");
                }

                @Override
                public boolean onEvent(GenerationEvent event) {
                    if (event.id() < 0) return true;
                    ids.add(event.id());
                    equal(event.topIds().length, 3, "top ids");
                    equal(event.topIds()[0], event.id(), "greedy is the likeliest");
                    equal(event.topLogprobs()[0], event.logprob(), "its logprob");
                    return true;
                }

                @Override
                public boolean onPrompt(long done, long total) {
                    read.add(done);
                    return true;
                }
            });
            equal(open.model.detokenize(ids.stream().mapToInt(Integer::intValue).toArray()).trim(), streamed.toString().trim(), "ids and text");
            check(!read.isEmpty(), "no progress of the prompt");
        }
    }

    static void stops() throws Exception {
        try (Open open = new Open(small())) {
            int[] tokens = {0};
            GenerationResult result = open.session.generate("Once upon a time", 40, text -> ++tokens[0] < 5);
            equal(result.end(), GenerationEnd.STOPPED, "false");
            StringBuilder text = new StringBuilder();
            open.session.rewind(0);
            result = open.session.generate(new GenerationOptions().text("Once upon a time").maxTokens(60).stopStrings("ü", "."),
                                           piece -> text.append(piece) != null);
            equal(result.end(), GenerationEnd.STOP_STRING, "a stop string");
            check(text.indexOf(".") < 0, "it was shown: " + text);
            refused(ErrorCode.INVALID_ARGUMENT, () -> open.session.generate(new GenerationOptions().stopStrings("a\0b"), null));
            refused(ErrorCode.OUT_OF_RANGE, () -> open.session.generate(new GenerationOptions().stopStrings(new String[17]).stopStrings(
                "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q"), null));
            result = open.session.generate("and", 0, null);
            equal(result.end(), GenerationEnd.CONTEXT_FULL, "a full context");
            refused(ErrorCode.CONTEXT_FULL, () -> open.session.generate("more", 1, null));
        }
    }

    static void savedSessionsGoOn() throws Exception {
        Path state = TestMain.temporary(new byte[100]);
        try (Open open = new Open(small().maxSessions(2))) {
            open.session.generate("Once upon a time", 20, null);
            try (FileOutputStream out = new FileOutputStream(state.toFile(), true)) {
                open.session.save(TestMain.number(out.getFD()));
            }
            equal(Files.size(state), 100 + open.session.savedBytes(), "bytes");
            StringBuilder first = new StringBuilder();
            StringBuilder second = new StringBuilder();
            try (Session fork = open.session.fork()) {
                equal(fork.position(), open.session.position(), "a fork's position");
            }
            open.session.generate(new GenerationOptions().maxTokens(20), text -> first.append(text) != null);
            try (Session other = open.engine.openSession(); FileInputStream in = new FileInputStream(state.toFile())) {
                other.load(TestMain.number(in.getFD()), 100, 0);
                other.generate(new GenerationOptions().maxTokens(20), text -> second.append(text) != null);
                refused(ErrorCode.NOT_A_STATE, () -> other.load(TestMain.number(in.getFD()), 0, 100));
            }
            check(first.length() > 0, "nothing written");
            equal(second.toString(), first.toString(), "text after loading");
        }
    }

    static void modelsInsideAFileAreMapped() throws Exception {
        Path path = TestMain.temporary(new byte[16384], Files.readAllBytes(Paths.get(TestMain.model)), new byte[5]);
        Model model;
        try (FileInputStream in = new FileInputStream(path.toFile())) {
            model = Model.open(TestMain.number(in.getFD()), 16384, new File(TestMain.model).length());
            refused(ErrorCode.OUT_OF_RANGE, () -> Model.open(TestMain.number(in.getFD()), -1, 0));
        }
        try (Model opened = model; Engine engine = Engine.create(opened, small()); Session session = engine.openSession()) {
            opened.verify(null);
            equal(session.generate("Once", 5, null).generatedTokens(), 5L, "tokens");
        }
    }

    static void prefixIsThereFromTheStart() throws Exception {
        try (Model model = Model.open(TestMain.model);
             Engine engine = Engine.create(model, new EngineOptions().prefixTokens(256))) {
            refused(ErrorCode.WRONG_STATE, engine::openSession);
            int[] ids = new int[256];
            java.util.Arrays.fill(ids, 300);
            engine.readPrefix(ids, null);
            try (Session session = engine.openSession()) {
                equal(session.position(), 256L, "position");
            }
            check(engine.profile(true).totalNanos() > 0 && engine.profile(false).tokens() == 0, "profile");
        }
    }
}
