package dev.thimble.sample;

import dev.thimble.MemoryPlan;
import dev.thimble.Message;
import dev.thimble.Profile;
import java.util.Collections;
import java.util.List;

/** What is to be seen: handed to the main thread, never changed. */
final class ChatState {
    final String model;
    final List<Message> messages;
    final String partial; // question and answer, while it is written
    final boolean loading;
    final boolean answering;
    final String error;   // "": none
    /** Null before a model is loaded. */
    final MemoryPlan plan;
    /** The arena's, as they are in memory now. */
    final List<MemoryPlan.Line> lines;
    final Profile profile;

    ChatState(String model, List<Message> messages, String partial, boolean loading, boolean answering, String error, MemoryPlan plan,
              List<MemoryPlan.Line> lines, Profile profile) {
        this.model = model;
        this.messages = messages;
        this.partial = partial;
        this.loading = loading;
        this.answering = answering;
        this.error = error;
        this.plan = plan;
        this.lines = lines;
        this.profile = profile;
    }

    static ChatState empty() {
        return new ChatState("", Collections.<Message>emptyList(), "", false, false, "", null,
                             Collections.<MemoryPlan.Line>emptyList(), null);
    }

    boolean ready() {
        return plan != null && !loading && !answering;
    }

    String text() {
        StringBuilder text = new StringBuilder();
        for (Message message : messages) {
            if (!message.role().equals("system")) text.append(message.role()).append(": ").append(message.text().trim()).append("\n\n");
        }
        if (answering) text.append(partial);
        if (!error.isEmpty()) text.append('[').append(error).append(']');
        return text.toString();
    }
}
