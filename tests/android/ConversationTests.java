package dev.thimble;

import static dev.thimble.TestMain.check;
import static dev.thimble.TestMain.closed;
import static dev.thimble.TestMain.comesThrough;
import static dev.thimble.TestMain.equal;
import static dev.thimble.TestMain.refused;
import static dev.thimble.TestMain.small;

import dev.thimble.TestMain.Worker;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;

/** Messages, parts of answers, tools, stopping, and going on another time. */
final class ConversationTests {
    private static final String SMILE = "\uD83D\uDE00";
    private static final String ASKED = "<|user|>What is it?<|end|><|assistant|>";
    private static final String CALL = "<call>{\"name\": \"look\", \"arguments\": {\"at\": \"\u00e9" + SMILE + "\"}}</call>";
    private static final String FIRST = "<think>Hm.</think>Let me see" + CALL;
    private static final String WITH_RESULT = ASKED + FIRST + "<|end|><|tool|>{\"a\": 1}<|end|><|assistant|>";
    private static final String SECOND = "It is " + SMILE + ".";

    private static String model;

    private ConversationTests() {}

    /** Engine and conversation of a model that says FIRST to ASKED, SECOND to its result, and nothing else. */
    private static final class Talk implements AutoCloseable {
        final Engine engine;
        final Conversation conversation;

        Talk(EngineOptions engineOptions, ConversationOptions options) throws Exception {
            if (model == null) model = new ScriptedModel().says(ASKED, FIRST).says(WITH_RESULT, SECOND).convert(TestMain.program).toString();
            try (Model opened = Model.open(model)) {
                engine = Engine.create(opened, engineOptions.contextTokens(400).sampling(new Sampling().temperature(0)));
            }
            conversation = engine.createConversation(options);
        }

        Talk() throws Exception {
            this(new EngineOptions(), null);
        }

        @Override
        public void close() {
            conversation.close();
            engine.close();
        }
    }

    /** Everything that a listener hears; pieces of one kind in one. */
    private static class Heard implements ConversationListener {
        final List<String> all = new ArrayList<>();

        private boolean add(String kind, String text) {
            int last = all.size() - 1;
            if (last >= 0 && all.get(last).startsWith(kind) && !kind.equals("call ")) {
                all.set(last, all.get(last) + text);
            } else {
                all.add(kind + text);
            }
            return true;
        }

        @Override
        public boolean onText(String text) {
            return add("text ", text);
        }

        @Override
        public boolean onReasoning(String text) {
            return add("reasoning ", text);
        }

        @Override
        public boolean onToolCall(ToolCall call) {
            return add("call ", call.name() + call.arguments());
        }

        @Override
        public boolean onBrokenToolCall(String written, String why) {
            return add("broken ", written + (why.isEmpty() ? "" : "!"));
        }
    }

    private static Message result(Reply reply) {
        return Message.toolResult(reply.message().calls().get(0), "{\"a\": 1}");
    }

    static void partsBecomeAMessageAndToolsGoBack() throws Exception {
        try (Talk talk = new Talk()) {
            equal(talk.conversation.isPlain(), false, "plain");
            Heard heard = new Heard();
            Reply reply = talk.conversation.send("What is it?", heard);
            equal(heard.all, Arrays.asList("reasoning Hm.", "text Let me see", "call look{\"at\": \"\u00e9" + SMILE + "\"}"), "parts");
            equal(reply.result().end(), GenerationEnd.END_TOKEN, "end");
            equal(reply.result().promptTokens(), (long) ScriptedModel.tokens(ASKED), "prompt");
            Message message = reply.message();
            equal(message.text() + message.reasoning() + message.role(), "Let me seeHm.assistant", "message");
            equal(message.calls().size(), 1, "calls");
            Reply next = talk.conversation.send(Collections.singletonList(result(reply)), null);
            equal(next.message().text(), SECOND, "after the result");
            // What it said itself is there already, but for its end.
            equal(next.result().promptTokens(), (long) ScriptedModel.tokens("<|end|><|tool|>{\"a\": 1}<|end|><|assistant|>"), "read for the second answer");
            equal(talk.conversation.messages().size(), 4, "messages");
            equal(talk.conversation.messages().get(2).name(), "look", "whose result it is");
        }
    }

    static void callsThatCannotBeRead() throws Exception {
        String broken = "Well<call>{\"name\": \"look\", \"arguments\": {\"at\"</call>";
        Path path = new ScriptedModel().says(ASKED, broken).convert(TestMain.program);
        try (Model opened = Model.open(path.toString()); Engine engine = Engine.create(opened, small()); Conversation conversation = engine.createConversation(null)) {
            Heard heard = new Heard();
            Reply reply = conversation.send("What is it?", heard);
            equal(heard.all.get(0), "text Well", "text");
            check(heard.all.get(1).startsWith("broken ") && heard.all.get(1).endsWith("!"), "broken: " + heard.all);
            equal(reply.message().calls().size(), 0, "calls");
            check(reply.message().text().startsWith("Well"), reply.message().text());
        }
    }

    static void whatIsRefusedChangesNothing() throws Exception {
        try (Talk talk = new Talk(new EngineOptions(), new ConversationOptions().system("Be kind."))) {
            List<Message> before = talk.conversation.messages();
            equal(before.size(), 1, "the system's");
            refused(ErrorCode.INVALID_ARGUMENT, () -> talk.conversation.send((String) null, null));
            refused(ErrorCode.INVALID_ARGUMENT, () -> talk.conversation.send(Collections.singletonList(null), null));
            refused(ErrorCode.CONTEXT_FULL, () -> talk.conversation.send(new String(new char[450]).replace('\0', 'a'), null));
            RuntimeException own = new RuntimeException("the app's own");
            comesThrough(own, () -> talk.conversation.send("What is it?", new Heard() {
                @Override
                public boolean onPrompt(long done, long total) {
                    throw own;
                }
            }));
            equal(talk.conversation.messages(), before, "messages");
            try (Talk tools = new Talk(new EngineOptions(), new ConversationOptions().tools("[{"))) {
                check(refused(ErrorCode.INVALID_ARGUMENT, () -> tools.conversation.send("What is it?", null)).getMessage().contains("tools"), "names the tools");
            }
            try (Talk other = new Talk(new EngineOptions(), new ConversationOptions().template("n\u00f6"))) {
                try {
                    other.conversation.send("What is it?", null);
                    throw new AssertionError("a template that is not there");
                } catch (ThimbleException exception) {
                    check(exception.getMessage().contains("template"), exception.getMessage());
                }
            }
        }
        try (Talk empty = new Talk()) {
            refused(ErrorCode.INVALID_ARGUMENT, () -> empty.conversation.send(Collections.<Message>emptyList(), null));
        }
    }

    static void cancelledInThePrompt() throws Exception {
        try (Talk talk = new Talk(new EngineOptions().chunkTokens(4), null)) {
            Reply reply = talk.conversation.send("What is it?", new Heard() {
                @Override
                public boolean onPrompt(long done, long total) {
                    talk.conversation.cancel();
                    return true;
                }

                @Override
                public boolean onText(String text) {
                    throw new AssertionError("it was not cancelled");
                }
            });
            equal(reply.result().end(), GenerationEnd.CANCELLED, "end");
            check(reply.message() == null && talk.conversation.messages().isEmpty(), "the conversation is as it was");
            check(talk.conversation.position() <= 8, "one chunk more at most: " + talk.conversation.position());
            reply = talk.conversation.send("What is it?", new Heard() {
                @Override
                public boolean onPrompt(long done, long total) {
                    return false;
                }
            });
            check(reply.message() == null, "by its listener");
            reply = talk.conversation.send("What is it?", new Heard() {
                @Override
                public boolean onPrompt(long done, long total) {
                    talk.conversation.cancel(); // which nothing sees any more
                    return false;
                }
            });
            check(reply.message() == null, "by both");
            equal(talk.conversation.send("What is it?", null).message().text(), "Let me see", "the next answer");
        }
    }

    static void cancelledInTheAnswer() throws Exception {
        try (Talk talk = new Talk()) {
            CountDownLatch begun = new CountDownLatch(1);
            CountDownLatch cancelled = new CountDownLatch(1);
            Worker worker = Worker.begin(() -> {
                begun.await();
                talk.conversation.cancel();
                cancelled.countDown();
            });
            Reply reply = talk.conversation.send("What is it?", text -> {
                begun.countDown();
                try {
                    cancelled.await();
                } catch (InterruptedException interrupted) {
                    return false;
                }
                return true;
            });
            worker.done();
            equal(reply.result().end(), GenerationEnd.CANCELLED, "end");
            equal(reply.message().text(), "L", "what came before it");
            equal(talk.conversation.messages().size(), 2, "half an answer is one");
            talk.conversation.setMessages(Collections.<Message>emptyList());
            Reply stopped = talk.conversation.send("What is it?", text -> false);
            equal(stopped.result().end(), GenerationEnd.STOPPED, "end");
            talk.conversation.setMessages(Collections.<Message>emptyList());
            equal(talk.conversation.send("What is it?", null).message().text(), "Let me see", "the next answer");
        }
    }

    /** What comes too late for one answer must not end the next. */
    static void cancelledTooLate() throws Exception {
        try (Talk talk = new Talk(new EngineOptions(), new ConversationOptions().maxTokens(ScriptedModel.tokens("<think>Hm.</think>L")))) {
            for (int i = 0; i < 3; ++i) {
                Reply reply = talk.conversation.send("What is it?", text -> {
                    talk.conversation.cancel();
                    return true;
                });
                equal(reply.result().end(), GenerationEnd.MAX_TOKENS, "the answer " + i);
                talk.conversation.setMessages(Collections.<Message>emptyList());
                talk.conversation.cancel(); // nothing to cancel
            }
        }
    }

    static void oneAnswerAtATime() throws Exception {
        try (Talk talk = new Talk()) {
            talk.conversation.send("What is it?", text -> {
                try {
                    refused(ErrorCode.BUSY, () -> talk.conversation.send("again", null));
                    refused(ErrorCode.BUSY, () -> talk.conversation.forgetOldest());
                    refused(ErrorCode.BUSY, () -> talk.conversation.save(1));
                } catch (Exception exception) {
                    throw new AssertionError(exception);
                }
                return talk.conversation.messages().isEmpty();
            });
        }
    }

    static void closingInItsOwnListener() throws Exception {
        int before = Handle.live();
        try (Talk talk = new Talk()) {
            Reply reply = talk.conversation.send("What is it?", text -> {
                talk.conversation.close();
                return true;
            });
            equal(reply.result().end(), GenerationEnd.CANCELLED, "end");
            closed(() -> talk.conversation.send("again", null));
            talk.conversation.cancel();
        }
        equal(Handle.live(), before, "handles");
    }

    static void savedConversationsGoOn() throws Exception {
        Path file = TestMain.temporary(new byte[100]);
        Message call;
        try (Talk talk = new Talk(new EngineOptions(), null)) {
            call = result(talk.conversation.send("What is it?", null));
            try (FileOutputStream out = new FileOutputStream(file.toFile(), true)) {
                talk.conversation.save(TestMain.number(out.getFD()));
            }
        }
        // Another process would do the same. The second cannot take the context: its rows are of another kind.
        for (CacheType rows : new CacheType[] {CacheType.F16, CacheType.Q8}) {
            try (Talk talk = new Talk(new EngineOptions().cache(rows), null); FileInputStream in = new FileInputStream(file.toFile())) {
                equal(talk.conversation.load(TestMain.number(in.getFD()), 100, 0), rows == CacheType.F16, "with its context");
                equal(talk.conversation.messages().size(), 2, "messages");
                equal(talk.conversation.messages().get(1).calls().get(0).arguments(), "{\"at\": \"\u00e9" + SMILE + "\"}", "a call");
                Reply reply = talk.conversation.send(Collections.singletonList(call), null);
                equal(reply.message().text(), SECOND, "the second answer");
                String read = rows == CacheType.F16 ? "<|end|><|tool|>{\"a\": 1}<|end|><|assistant|>" : WITH_RESULT;
                equal(reply.result().promptTokens(), (long) ScriptedModel.tokens(read), "read for it");
            }
        }
        byte[] saved = Files.readAllBytes(file);
        try (Talk talk = new Talk()) {
            byte[] damaged = saved.clone();
            damaged[100 + 30] ^= 1;
            refused(ErrorCode.STATE_DAMAGED, () -> load(talk, damaged));
            refused(ErrorCode.STATE_DAMAGED, () -> load(talk, Arrays.copyOf(saved, 120)));
            refused(ErrorCode.NOT_A_STATE, () -> load(talk, new byte[200]));
            refused(ErrorCode.NOT_A_STATE, () -> load(talk, new byte[0]));
            refused(ErrorCode.IO, () -> talk.conversation.load(-1, 0, 0));
            check(talk.conversation.messages().isEmpty(), "it is as it was");
            // Killed while it was saved: the messages are whole, the context is not.
            equal(load(talk, Arrays.copyOf(saved, saved.length - 10)), false, "with its context");
            equal(talk.conversation.messages().size(), 2, "messages");
        }
    }

    private static boolean load(Talk talk, byte[] bytes) throws Exception {
        try (FileInputStream in = new FileInputStream(TestMain.temporary(bytes).toFile())) {
            return talk.conversation.load(TestMain.number(in.getFD()), Math.min(100, bytes.length), 0);
        }
    }

    static void aFullContextForgetsTheOldest() throws Exception {
        try (Talk talk = new Talk(new EngineOptions(), new ConversationOptions().system("S"))) {
            check(!talk.conversation.forgetOldest(), "nothing to forget");
            talk.conversation.setMessages(Arrays.asList(Message.system("S"), Message.user("a"), Message.assistant("b"), Message.user("c"), Message.assistant("d")));
            check(talk.conversation.forgetOldest(), "forgotten");
            equal(talk.conversation.messages().size(), 3, "messages");
            equal(talk.conversation.messages().get(1).text(), "c", "the oldest now");
            check(!talk.conversation.forgetOldest(), "the last one stays");
        }
    }

    /** The shipped model has no chat template: what is said is what it reads. */
    static void aModelWithoutATemplateGoesOnWithTheText() throws Exception {
        Path file = TestMain.temporary(new byte[0]);
        ConversationOptions options = new ConversationOptions().maxTokens(20);
        String first;
        String second;
        long position;
        try (Model opened = Model.open(TestMain.model); Engine engine = Engine.create(opened, small()); Conversation conversation = engine.createConversation(options)) {
            equal(conversation.isPlain(), true, "plain");
            StringBuilder heard = new StringBuilder();
            first = conversation.send("Once upon a time", piece -> heard.append(piece) != null).message().text();
            equal(first, heard.toString(), "streamed");
            position = conversation.position();
            try (FileOutputStream out = new FileOutputStream(file.toFile())) {
                conversation.save(TestMain.number(out.getFD()));
            }
            Reply reply = conversation.send(" Then", null);
            second = reply.message().text();
            check(reply.result().promptTokens() < 5, "only what is new was read: " + reply.result().promptTokens());
        }
        try (Model opened = Model.open(TestMain.model); Engine engine = Engine.create(opened, small()); Conversation conversation = engine.createConversation(options);
             FileInputStream in = new FileInputStream(file.toFile())) {
            equal(conversation.load(TestMain.number(in.getFD()), 0, 0), true, "with its context");
            equal(conversation.position(), position, "position");
            Reply reply = conversation.send(" Then", null);
            equal(reply.message().text(), second, "it goes on alike");
            check(reply.result().promptTokens() < 5, "and reads nothing again");
            conversation.setMessages(Arrays.asList(Message.user("Once upon a time"), Message.assistant(first)));
            check(conversation.send(" Then", null).result().promptTokens() > 10, "other messages are read wholly");
        }
    }
}
