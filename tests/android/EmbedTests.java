package dev.thimble;

import static dev.thimble.TestMain.check;
import static dev.thimble.TestMain.equal;
import static dev.thimble.TestMain.refused;

import dev.thimble.convert.Converter;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/** Vectors of an encoder: the committed BERT fixture, converted here, against what its reference gives. */
final class EmbedTests {
    private EmbedTests() {}

    /** A list of numbers of the fixture's expectations. */
    private static double[] expected(String name) throws Exception {
        String json = new String(Files.readAllBytes(TestMain.sources.resolve("tests/golden/bert/expected.json")), "UTF-8");
        int begin = json.indexOf('[', json.indexOf("\"" + name + "\":"));
        String[] numbers = json.substring(begin + 1, json.indexOf(']', begin)).replace("[", "").split(",");
        return Arrays.stream(numbers).mapToDouble(number -> Double.parseDouble(number.trim())).toArray();
    }

    private static Model encoder() throws Exception {
        Path folder = Files.createTempDirectory("thimble");
        Path vocabulary = folder.resolve("vocab.txt");
        Files.write(vocabulary, "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\nweather\nis\nlove\n##ly\n.\n".getBytes("UTF-8"));
        File file = folder.resolve("bert.thimble").toFile();
        for (File each : new File[] {folder.toFile(), vocabulary.toFile(), file}) each.deleteOnExit();
        new Converter(TestMain.sources.resolve("tests/golden/bert").toString(), file.getPath()).recipe(Converter.Recipe.EXACT)
            .tokenizer(vocabulary.toString()).convert(null);
        return Model.open(file.getPath());
    }

    private static double distance(float[] got, double[] wanted) {
        equal(got.length, wanted.length, "numbers");
        double most = 0;
        for (int i = 0; i < got.length; ++i) most = Math.max(most, Math.abs(got[i] - wanted[i]));
        return most;
    }

    static void vectorsOfTheReference() throws Exception {
        int[] ids = Arrays.stream(expected("ids")).mapToInt(number -> (int) number).toArray();
        try (Model model = encoder(); Engine engine = Engine.create(model, new EngineOptions().cache(CacheType.F32)); Session session = engine.openSession()) {
            check(!model.info().isDecoder(), "an encoder");
            float[] vector = session.embed(ids, Pooling.MODEL);
            equal(vector.length, model.info().outputs(), "numbers");
            check(distance(vector, expected("embedding")) < 1e-5, "off by " + distance(vector, expected("embedding")));
            check(Arrays.equals(vector, session.embed(ids, Pooling.MEAN)), "the mean is what the model's files say");
            double[] first = Arrays.copyOf(expected("hidden"), vector.length);
            double length = Math.sqrt(Arrays.stream(first).map(number -> number * number).sum());
            for (int i = 0; i < first.length; ++i) first[i] /= length;
            check(distance(session.embed(ids, Pooling.FIRST), first) < 1e-5, "the first row");
            check(!Arrays.equals(session.embed(ids, Pooling.LAST), vector), "the last row is another one");
            equal(session.position(), 0L, "nothing stays in the context");
        }
    }

    static void vectorsOfTexts() throws Exception {
        Model model = encoder();
        Engine engine = Engine.create(model, new EngineOptions().cache(CacheType.F32));
        Session session = engine.openSession();
        float[] vector = session.embed("the weather is lovely.");
        // [CLS] and [SEP] stand around it.
        check(Arrays.equals(vector, session.embed(new int[] {2, 4, 5, 6, 7, 8, 9, 3}, Pooling.MODEL)), "ids of a text");
        double square = 0;
        for (float number : vector) square += number * number;
        check(Math.abs(square - 1) < 1e-5, "its length is " + Math.sqrt(square));
        model.close();
        check(Arrays.equals(session.embed("the weather is lovely."), vector), "without the model");
        refused(ErrorCode.INVALID_ARGUMENT, () -> session.embed(new int[0], Pooling.MODEL));
        refused(ErrorCode.INVALID_ARGUMENT, () -> session.embed(null, Pooling.MODEL));
        refused(ErrorCode.INVALID_ARGUMENT, () -> session.embed(new int[] {1}, null));
        refused(ErrorCode.INVALID_ARGUMENT, () -> session.embed((String) null));
        refused(ErrorCode.INVALID_TOKEN, () -> session.embed(new int[] {100000}, Pooling.MODEL));
        session.close();
        TestMain.closed(() -> session.embed("the weather"));
        engine.close();
        try (TestMain.Open open = new TestMain.Open(TestMain.small())) {
            refused(ErrorCode.WRONG_STATE, () -> open.session.embed("a decoder gives none"));
        }
    }
}
