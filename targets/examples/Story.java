import dev.thimble.Engine;
import dev.thimble.EngineOptions;
import dev.thimble.Model;
import dev.thimble.Session;

/** What a model will take, then a story: {@code java -cp thimble.jar:. -Djava.library.path=FOLDER Story MODEL.thimble}. */
public final class Story {
  public static void main(String[] arguments) {
    EngineOptions options = new EngineOptions().contextTokens(512);
    try (Model model = Model.open(arguments[0])) {
      System.out.println(model.plan(options).arenaBytes() + " bytes");  // before anything is loaded
      try (Engine engine = Engine.create(model, options); Session session = engine.openSession()) {
        session.generate("Once upon a time", 60, text -> {
          System.out.print(text);
          return true;  // false stops it
        });
      }
    }
    System.out.println();
  }
}
