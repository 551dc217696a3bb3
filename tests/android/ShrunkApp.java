package app;

import dev.thimble.Engine;
import dev.thimble.EngineOptions;
import dev.thimble.ErrorCode;
import dev.thimble.GenerationResult;
import dev.thimble.Model;
import dev.thimble.Session;
import dev.thimble.ThimbleException;

/** An app as R8 sees one: uses callbacks of every kind, and is run after shrinking (toolchains/android.sh). */
public final class ShrunkApp {
    private ShrunkApp() {}

    public static void main(String[] arguments) {
        boolean[] asked = {false};
        StringBuilder story = new StringBuilder();
        try (Model model = Model.open(arguments[0])) {
            int lines = model.plan(null).lines().size();
            try (Engine engine = Engine.create(model, new EngineOptions().contextTokens(64), (done, total) -> asked[0] = true);
                 Session session = engine.openSession()) {
                GenerationResult result = session.generate("Once upon a time", 8, text -> story.append(text) != null);
                try {
                    session.prefill(-1);
                } catch (ThimbleException exception) {
                    if (lines > 5 && asked[0] && result.generatedTokens() == 8 && story.length() > 0 && exception.code() == ErrorCode.INVALID_TOKEN)
                        System.out.println("the app works:" + story);
                }
            }
        }
    }
}
