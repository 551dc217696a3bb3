package dev.thimble.sample;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;
import static org.robolectric.Shadows.shadowOf;

import android.app.ActivityManager;
import android.app.AlertDialog;
import android.content.ComponentCallbacks2;
import android.os.Bundle;
import android.os.Looper;
import android.os.ParcelFileDescriptor;
import android.widget.EditText;
import android.widget.TextView;
import dev.thimble.Conversation;
import dev.thimble.ConversationOptions;
import dev.thimble.Engine;
import dev.thimble.EngineOptions;
import dev.thimble.MemoryPlan;
import dev.thimble.Message;
import dev.thimble.Model;
import dev.thimble.PhoneTier;
import dev.thimble.Sampling;
import dev.thimble.Session;
import dev.thimble.android.AndroidFiles;
import dev.thimble.android.AndroidMemory;
import java.io.File;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.List;
import java.util.function.Predicate;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;
import org.robolectric.shadows.ShadowAlertDialog;

/** From onCreate over the asset to destroy, with all that happens to an app between. */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = 34)
public class ChatActivityTest {
    private ActivityController<ChatActivity> controller;

    @Before
    public void aPhoneWithRoom() {
        memory(1L << 30);
    }

    private static void memory(long bytes) {
        ActivityManager.MemoryInfo info = new ActivityManager.MemoryInfo();
        info.availMem = bytes;
        info.totalMem = 3_700_000_000L;
        shadowOf(RuntimeEnvironment.getApplication().getSystemService(ActivityManager.class)).setMemoryInfo(info);
    }

    private SampleApplication app() {
        return (SampleApplication) RuntimeEnvironment.getApplication();
    }

    private ChatState until(String what, Predicate<ChatState> holds) throws Exception {
        long end = System.nanoTime() + 30_000_000_000L;
        for (;;) {
            // One at a time: an answer makes more while they run.
            if (!shadowOf(Looper.getMainLooper()).isIdle()) shadowOf(Looper.getMainLooper()).runOneTask();
            ChatState state = app().chat().state();
            if (holds.test(state)) return state;
            assertTrue("waited in vain: " + what + "; " + state.text(), System.nanoTime() < end);
            if (shadowOf(Looper.getMainLooper()).isIdle()) Thread.sleep(1);
        }
    }

    private void say(String text) {
        ((EditText) controller.get().findViewById(R.id.say)).setText(text);
        controller.get().findViewById(R.id.send).performClick();
    }

    private String text(int id) {
        return ((TextView) controller.get().findViewById(id)).getText().toString();
    }

    private static long inMemory(ChatState state) {
        long sum = 0;
        for (MemoryPlan.Line line : state.lines) sum += line.touchedBytes();
        return sum;
    }

    /** What the main thread asked for has been done. */
    private void trimmed() throws Exception {
        boolean[] done = {false};
        app().chat().whenIdle(() -> done[0] = true);
        until("trimmed", state -> done[0]);
    }

    private static boolean isMapped(String name) throws Exception {
        for (String line : Files.readAllLines(Paths.get("/proc/self/maps"))) {
            if (line.endsWith(name)) return true;
        }
        return false;
    }

    @Test
    public void fromTheFirstStartToTheNextAfterBeingKilled() throws Exception {
        controller = Robolectric.buildActivity(ChatActivity.class).setup();
        ChatState loaded = until("loaded", ChatState::ready);
        assertEquals(ModelSource.ASSET, loaded.model);
        assertTrue("the model is used where it lies in the APK", isMapped("resources.apk"));
        assertTrue(text(R.id.status).contains("MB of its own"));
        MemoryView memory = controller.get().findViewById(R.id.memory);
        assertTrue(memory.describe(), memory.describe().contains(" in memory of "));
        memory.layout(0, 0, 400, 72);
        memory.draw(new android.graphics.Canvas(android.graphics.Bitmap.createBitmap(400, 72, android.graphics.Bitmap.Config.ARGB_8888)));

        say("Once upon a time");
        until("an answer begins", state -> state.answering && state.partial.length() > 60);
        assertTrue(text(R.id.log).contains("assistant: "));
        controller.get().findViewById(R.id.stop).performClick();
        ChatState stopped = until("the answer has ended", ChatState::ready);
        assertEquals(2, stopped.messages.size());
        assertTrue(stopped.profile.tokens() > 5);
        assertTrue("the picture has changed", inMemory(stopped) > inMemory(loaded));

        for (int level : new int[] {ComponentCallbacks2.TRIM_MEMORY_RUNNING_LOW, ComponentCallbacks2.TRIM_MEMORY_UI_HIDDEN, ComponentCallbacks2.TRIM_MEMORY_COMPLETE}) {
            app().onTrimMemory(level);
            trimmed();
        }
        assertTrue("the session was parked", new File(app().getCacheDir(), "parked.0").length() > 0 || new File(app().getCacheDir(), "parked.1").length() > 0);
        long parked = inMemory(app().chat().state());
        assertTrue("given back: " + parked, parked < inMemory(stopped));
        say(" Then they");
        ChatState second = until("a second answer", state -> state.ready() && state.messages.size() == 4);
        assertTrue(second.error, second.error.isEmpty());

        ((EditText) controller.get().findViewById(R.id.say)).setText("half a sent");
        Bundle saved = new Bundle();
        controller.pause().stop().saveInstanceState(saved);
        List<Message> before = second.messages;
        app().closeChat(); // as if the process were gone: what it had in memory is
        controller.destroy();

        controller = Robolectric.buildActivity(ChatActivity.class).setup(saved);
        ChatState restored = until("restored", ChatState::ready);
        assertEquals(4, restored.messages.size());
        for (int i = 0; i < 4; ++i) assertEquals(before.get(i).text(), restored.messages.get(i).text());
        assertEquals("half a sent", text(R.id.say));
        say(" And");
        ChatState third = until("a third answer", state -> state.ready() && state.messages.size() == 6);
        assertTrue("the context came back, too, and was not read again: " + third.profile.tokens(), third.profile.tokens() < 130);
        controller.pause().stop();
        controller.get().finish();
        controller.destroy();
    }

    @Test
    public void whatIsPickedIsSaidToFitOrNot() throws Exception {
        File models = new File(app().getFilesDir(), "models");
        assertTrue(models.mkdirs());
        Files.write(new File(models, "rubbish.thimble").toPath(), new byte[100]);
        controller = Robolectric.buildActivity(ChatActivity.class).setup();
        until("loaded", ChatState::ready);
        List<ModelSource> all = ModelSource.all(app());
        assertEquals(2, all.size());
        assertEquals(PhoneTier.GB_4, AndroidMemory.tier(app()));
        assertTrue(controller.get().line(all.get(0)), controller.get().line(all.get(0)).contains(" of "));
        memory(1000);
        assertTrue(controller.get().line(all.get(0)), controller.get().line(all.get(0)).endsWith("missing"));
        assertTrue(controller.get().line(all.get(1)), controller.get().line(all.get(1)).startsWith("rubbish.thimble: "));
        controller.get().findViewById(R.id.model).performClick();
        shadowOf(Looper.getMainLooper()).idle();
        AlertDialog dialog = ShadowAlertDialog.getLatestAlertDialog();
        assertEquals(2, shadowOf(dialog).getItems().length);
        shadowOf(dialog).clickOnItem(1);
        ChatState state = until("refused", s -> !s.error.isEmpty());
        assertTrue(state.error, state.plan == null && state.error.length() > 10);
        controller.get().finish();
        controller.destroy();
    }

    /** Assets, and what a picker or a provider gives. */
    @Test
    public void modelsAndConversationsByAndroidsDescriptors() throws Exception {
        File file = new File(app().getFilesDir(), "picked.thimble");
        try (InputStream asset = app().getAssets().open(ModelSource.ASSET)) {
            Files.copy(asset, file.toPath());
        }
        File saved = new File(app().getFilesDir(), "saved");
        int writing = ParcelFileDescriptor.MODE_READ_WRITE | ParcelFileDescriptor.MODE_CREATE | ParcelFileDescriptor.MODE_TRUNCATE;
        EngineOptions options = new EngineOptions().contextTokens(128).sampling(new Sampling().temperature(0));
        List<Message> said;
        try (ParcelFileDescriptor picked = ParcelFileDescriptor.open(file, ParcelFileDescriptor.MODE_READ_ONLY); Model model = AndroidFiles.open(picked)) {
            picked.close(); // not needed any more
            assertTrue("mapped where it lies", isMapped("picked.thimble"));
            try (Engine engine = Engine.create(model, options); Conversation conversation = engine.createConversation(new ConversationOptions().maxTokens(10));
                 ParcelFileDescriptor out = ParcelFileDescriptor.open(saved, writing)) {
                conversation.send("Once upon a time", null);
                said = conversation.messages();
                AndroidFiles.save(conversation, out);
            }
        }
        try (Model model = AndroidFiles.openAsset(app().getAssets(), ModelSource.ASSET); Engine engine = Engine.create(model, options)) {
            try (Conversation conversation = engine.createConversation(new ConversationOptions().maxTokens(10));
                 ParcelFileDescriptor in = ParcelFileDescriptor.open(saved, ParcelFileDescriptor.MODE_READ_ONLY)) {
                assertTrue("with its context", AndroidFiles.load(conversation, in));
                assertEquals(said.size(), conversation.messages().size());
                assertEquals(said.get(1).text(), conversation.messages().get(1).text());
            }
            try (Session session = engine.openSession(); ParcelFileDescriptor both = ParcelFileDescriptor.open(saved, writing)) {
                session.prefill(1, 300, 301);
                AndroidFiles.save(session, both);
                session.rewind(0);
                AndroidFiles.load(session, both);
                assertEquals(3, session.position());
            }
        }
    }
}
