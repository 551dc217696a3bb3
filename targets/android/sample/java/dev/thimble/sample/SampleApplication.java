package dev.thimble.sample;

import android.app.Application;

/** Keeps the chat while activities come and go, and hears when Android wants memory back. */
public final class SampleApplication extends Application {
    private Chat chat;

    /** Of the main thread. */
    Chat chat() {
        if (chat == null) chat = new Chat(this);
        return chat;
    }

    /** The user has left; the conversation is in its file. */
    void closeChat() {
        if (chat != null) chat.close();
        chat = null;
    }

    @Override
    public void onTrimMemory(int level) {
        super.onTrimMemory(level);
        if (chat != null) chat.trim(level);
    }
}
