package dev.thimble;

import static dev.thimble.TestMain.check;
import static dev.thimble.TestMain.comesThrough;
import static dev.thimble.TestMain.equal;
import static dev.thimble.TestMain.refused;
import static dev.thimble.TestMain.small;

import dev.thimble.TestMain.Worker;
import dev.thimble.convert.ConvertReport;
import dev.thimble.convert.Converter;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;

/** The converter's own library, beside the other one. */
final class ConvertTests {
    private ConvertTests() {}

    private static String source() {
        return TestMain.sources.resolve("tests/golden/gpt2").toString();
    }

    private static File output() throws Exception {
        File file = new File(Files.createTempDirectory("thimble").toFile(), "m\u00f6del.thimble");
        file.deleteOnExit();
        file.getParentFile().deleteOnExit();
        return file;
    }

    static void aModelThatRuns() throws Exception {
        File file = output();
        long[] last = new long[2];
        ConvertReport report = new Converter(source(), file.getPath()).recipe(Converter.Recipe.EXACT).name("m\u00f6del").convert((tensor, done, total) -> {
            check(!tensor.isEmpty() && done >= last[0] && done <= total, "progress: " + tensor);
            last[0] = done;
            last[1] = total;
            return true;
        });
        equal(report.name() + report.family(), "m\u00f6delgpt2", "name and family");
        equal(report.fileBytes(), file.length(), "bytes");
        check(report.weights() > 0 && last[1] > 0 && report.peakBufferBytes() > 0 && !report.hasTokenizer(), "report");
        try (Model model = Model.open(file.getPath()); Engine engine = Engine.create(model, small().contextTokens(20)); Session session = engine.openSession()) {
            equal(session.generate(new GenerationOptions().ids(1, 2, 3).maxTokens(5).ignoreEnds(true), null).generatedTokens(), 5L, "tokens");
        }
    }

    static void cancelledLeavesNothing() throws Exception {
        File file = output();
        refused(ErrorCode.CANCELLED, () -> new Converter(source(), file.getPath()).convert((tensor, done, total) -> done == 0));
        equal(file.getParentFile().list().length, 0, "files");
        RuntimeException own = new RuntimeException("the app's own");
        comesThrough(own, () -> new Converter(source(), file.getPath()).convert((tensor, done, total) -> {
            throw own;
        }));
        equal(file.getParentFile().list().length, 0, "files");
    }

    /** Each into a file of its own, and all into one: whoever was last, it is whole. */
    static void manyThreadsAtOnce() throws Exception {
        File common = output();
        Worker[] workers = new Worker[64];
        for (int i = 0; i < workers.length; ++i) {
            int own = i;
            workers[i] = Worker.begin(() -> {
                File file = own % 2 == 0 ? common : output();
                Converter converter = new Converter(source(), file.getPath());
                for (int round = 0; round < 3; ++round) {
                    if ((own + round) % 3 == 0) {
                        refused(ErrorCode.CANCELLED, () -> converter.convert((tensor, done, total) -> done < total / 2));
                        check(file == common || !file.exists() || round > 0, "a file of a conversion that was cancelled");
                    } else {
                        check(converter.convert(null).fileBytes() > 0, "bytes");
                    }
                }
                try (Model model = Model.open(file.getPath())) {
                    model.verify(null);
                }
            });
        }
        for (Worker worker : workers) worker.done();
        equal(common.getParentFile().list().length, 1, "files beside the common one");
    }

    /** The converter has no handle; a model of its file has, and is closed while the file is written anew. */
    static void theFileOfAnOpenModelIsReplaced() throws Exception {
        File file = output();
        new Converter(source(), file.getPath()).recipe(Converter.Recipe.EXACT).convert(null);
        GenerationOptions more = new GenerationOptions().ids(1, 2, 3).maxTokens(5).ignoreEnds(true);
        Model model = Model.open(file.getPath());
        Engine engine = Engine.create(model, small().contextTokens(20));
        Session session = engine.openSession();
        String before = ids(session, more);
        long[] rows = {0};
        new Converter(source(), file.getPath()).recipe(Converter.Recipe.EXACT).convert((tensor, done, total) -> {
            session.rewind(0);
            if (++rows[0] == 2) equal(ids(session, more), before, "from the older file");
            return true;
        });
        engine.close();
        model.close();
        TestMain.closed(() -> session.generate(more, null));
        try (Model again = Model.open(file.getPath()); Engine other = Engine.create(again, small().contextTokens(20)); Session fresh = other.openSession()) {
            equal(ids(fresh, more), before, "the same model again");
        }
        check(rows[0] > 2, "tensors");
    }

    private static String ids(Session session, GenerationOptions options) {
        StringBuilder ids = new StringBuilder();
        session.generate(options, new GenerationListener() {
            @Override
            public boolean onText(String text) {
                return true;
            }

            @Override
            public boolean onEvent(GenerationEvent event) {
                ids.append(event.id()).append(' ');
                return true;
            }
        });
        return ids.toString();
    }

    static void whatIsRefused() throws Exception {
        File file = output();
        Path rubbish = TestMain.temporary("GGUF and nothing behind it".getBytes("UTF-8"));
        try {
            new Converter(rubbish.toString(), file.getPath()).convert(null);
            throw new AssertionError("rubbish was converted");
        } catch (ThimbleException exception) {
            check(exception.getMessage().contains(rubbish.toString()) && exception.number() >= 200, exception.getMessage());
        }
        refused(ErrorCode.IO, () -> new Converter("/nowhere", file.getPath()).convert(null));
        check(!file.exists(), "a file");
    }
}
