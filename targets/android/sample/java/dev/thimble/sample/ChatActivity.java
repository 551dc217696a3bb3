package dev.thimble.sample;

import android.app.Activity;
import android.app.AlertDialog;
import android.os.Bundle;
import android.view.View;
import android.widget.Button;
import android.widget.EditText;
import android.widget.ScrollView;
import android.widget.TextView;
import dev.thimble.ThimbleException;
import dev.thimble.WillItFit;
import java.io.IOException;
import java.util.List;

/** The only screen. What was said comes back after the process has been killed; half a sentence, too. */
public final class ChatActivity extends Activity implements Chat.Listener {
    private static final String MODEL = "model";

    private Chat chat;
    private TextView log;
    private TextView status;
    private EditText say;
    private MemoryView memory;
    private Button send;
    private Button stop;
    private ScrollView scroll;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.chat);
        log = findViewById(R.id.log);
        status = findViewById(R.id.status);
        say = findViewById(R.id.say);
        memory = findViewById(R.id.memory);
        send = findViewById(R.id.send);
        stop = findViewById(R.id.stop);
        scroll = findViewById(R.id.scroll);
        chat = ((SampleApplication) getApplication()).chat();
        send.setOnClickListener(view -> send());
        stop.setOnClickListener(view -> chat.stop());
        findViewById(R.id.model).setOnClickListener(view -> pick());
        chat.setListener(this);
        if (chat.state().model.isEmpty()) chat.open(ModelSource.find(this, saved == null ? "" : saved.getString(MODEL, "")));
    }

    @Override
    protected void onSaveInstanceState(Bundle out) {
        super.onSaveInstanceState(out); // the text that was begun among it
        out.putString(MODEL, chat.state().model);
    }

    @Override
    protected void onStop() {
        super.onStop();
        chat.save();
    }

    @Override
    protected void onDestroy() {
        chat.setListener(null);
        if (isFinishing()) ((SampleApplication) getApplication()).closeChat();
        super.onDestroy();
    }

    @Override
    public void onChanged(ChatState state) {
        log.setText(state.text());
        scroll.post(() -> scroll.fullScroll(View.FOCUS_DOWN));
        memory.show(state.plan, state.lines, state.profile);
        send.setEnabled(state.ready());
        stop.setEnabled(state.answering);
        if (state.loading) status.setText(getString(R.string.loading, state.model));
        if (!state.loading && state.plan != null) {
            status.setText(getString(R.string.ready, state.model, MemoryView.megabytes(state.plan.anonymousBytes()),
                                     MemoryView.megabytes(state.plan.fileBackedBytes())));
        }
    }

    private void send() {
        String text = say.getText().toString();
        if (text.isEmpty() || !chat.state().ready()) return;
        say.setText("");
        chat.send(text);
    }

    /** Every model with what it would take; all can be picked: the figures are Android's of this moment. */
    private void pick() {
        List<ModelSource> all = ModelSource.all(this);
        String[] lines = new String[all.size()];
        for (int i = 0; i < lines.length; ++i) lines[i] = line(all.get(i));
        new AlertDialog.Builder(this).setTitle(R.string.pick).setItems(lines, (dialog, which) -> chat.open(all.get(which))).show();
    }

    String line(ModelSource source) {
        try {
            WillItFit fit = source.willItFit(this);
            return fit.fits()
                ? getString(R.string.fits, source.name(), MemoryView.megabytes(fit.neededBytes()), MemoryView.megabytes(fit.availableBytes()))
                : getString(R.string.too_large, source.name(), MemoryView.megabytes(fit.missingBytes()));
        } catch (IOException | ThimbleException exception) {
            return getString(R.string.unreadable, source.name(), exception.getMessage());
        }
    }
}
