package dev.thimble;

import static dev.thimble.TestMain.check;
import static dev.thimble.TestMain.equal;

import dev.thimble.TestMain.Open;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Characters that JNI's own strings would spoil. */
final class TextTests {
    private static final String GRIN = "\uD83D\uDE00";

    private TextTests() {}

    static void textsSurviveTheWayThereAndBack() {
        try (Model model = Model.open(TestMain.model)) {
            for (String text : new String[] {"Once upon a time", "", "\u00e9", GRIN, "a\0b", "\u201chello\u201d \uD834\uDD1E\uFFFF", GRIN + "\0" + GRIN}) {
                int[] ids = model.tokenize(text);
                equal(model.detokenize(ids).trim(), text.trim(), "text of " + Arrays.toString(ids));
            }
            equal(model.detokenize(model.tokenize("a\uD83Db")).trim(), "a?b", "half a surrogate pair");
            char[] much = new char[100000];
            Arrays.fill(much, '\u20ac');
            equal(model.detokenize(model.tokenize(new String(much))).trim().length(), much.length, "a long text");
        }
    }

    static void halfACharacterIsNoCrash() {
        try (Model model = Model.open(TestMain.model)) {
            int[] ids = model.tokenize(GRIN);
            check(ids.length > 2, "the tokenizer has a token for it: the other tests are worth less");
            String half = model.detokenize(Arrays.copyOf(ids, ids.length - 1));
            check(half.contains("\uFFFD"), "half a character: " + half);
        }
    }

    static void charactersCutBetweenTokensComeWhole() {
        // Hot enough, a model writes any token with about the same probability, its byte tokens among them.
        EngineOptions options = new EngineOptions().sampling(new Sampling().temperature(1000).topK(0).topP(1).minP(0));
        int whole = 0;
        try (Open open = new Open(options)) {
            for (int seed = 1; seed <= 30 && whole < 3; ++seed) {
                open.session.rewind(0);
                open.session.setSampling(new Sampling().temperature(1000).topK(0).topP(1).minP(0).seed(seed));
                List<Integer> ids = new ArrayList<>();
                StringBuilder streamed = new StringBuilder();
                int[] found = {0};
                open.session.generate(new GenerationOptions().text("Once").ignoreEnds(true), new GenerationListener() {
                    private boolean waiting;

                    @Override
                    public boolean onText(String text) {
                        return true;
                    }

                    @Override
                    public boolean onEvent(GenerationEvent event) {
                        if (event.id() >= 0) ids.add(event.id());
                        String text = event.text();
                        streamed.append(text);
                        boolean made = text.codePoints().anyMatch(c -> c >= 0x80 && c != 0xFFFD);
                        if (waiting && made) ++found[0];
                        waiting = text.isEmpty();
                        return true;
                    }
                });
                whole += found[0];
                String all = open.model.detokenize(ids.stream().mapToInt(Integer::intValue).toArray());
                equal(streamed.toString().replaceAll("\uFFFD+", "?").trim(), all.replaceAll("\uFFFD+", "?").trim(), "all of seed " + seed);
            }
        }
        check(whole >= 3, "only " + whole + " characters were put together");
    }
}
