package dev.thimble;

import static dev.thimble.TestMain.check;
import static dev.thimble.TestMain.equal;
import static dev.thimble.TestMain.refused;
import static dev.thimble.TestMain.small;

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
        try {
            new Converter(source(), file.getPath()).convert((tensor, done, total) -> {
                throw own;
            });
            throw new AssertionError("it was lost");
        } catch (RuntimeException caught) {
            check(caught == own, "another exception: " + caught);
        }
        equal(file.getParentFile().list().length, 0, "files");
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
