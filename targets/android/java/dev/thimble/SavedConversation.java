package dev.thimble;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.zip.CRC32;

/**
 * The messages of a saved conversation, in front of its session's state:
 *
 * <pre>
 * magic (8), bytes of the messages (4), their CRC-32 (4), messages: how many a plain model has read, how many there are, then for each
 * role, text, reasoning, name, id of a call, how many calls, for each id, name, arguments. Texts: bytes (4), UTF-8. Big-endian.
 * </pre>
 */
final class SavedConversation {
    private static final long MAGIC = 0x7468696d43560001L; // "thimCV", version 1
    private static final int HEAD_BYTES = 16;
    private static final int MOST_BYTES = 1 << 26;

    private final List<Message> messages;
    private final int plainRead;
    private final int bytes;

    private SavedConversation(List<Message> messages, int plainRead, int bytes) {
        this.messages = messages;
        this.plainRead = plainRead;
        this.bytes = bytes;
    }

    List<Message> messages() {
        return messages;
    }

    /** See {@link Conversation}. */
    int plainRead() {
        return plainRead;
    }

    /** In front of the session's state. */
    int bytes() {
        return bytes;
    }

    static byte[] encode(List<Message> messages, int plainRead) {
        try {
            ByteArrayOutputStream body = new ByteArrayOutputStream();
            DataOutputStream out = new DataOutputStream(body);
            out.writeInt(plainRead);
            out.writeInt(messages.size());
            for (Message message : messages) {
                for (String text : new String[] {message.role(), message.text(), message.reasoning(), message.name(), message.callId()}) put(out, text);
                out.writeInt(message.calls().size());
                for (ToolCall call : message.calls()) {
                    for (String text : new String[] {call.id(), call.name(), call.arguments()}) put(out, text);
                }
            }
            if (body.size() > MOST_BYTES) throw new ThimbleException(ErrorCode.SIZE_OVERFLOW, "messages: " + body.size() + " bytes, expected at most " + MOST_BYTES);
            ByteArrayOutputStream all = new ByteArrayOutputStream();
            DataOutputStream head = new DataOutputStream(all);
            head.writeLong(MAGIC);
            head.writeInt(body.size());
            head.writeInt(checksum(body.toByteArray()));
            body.writeTo(all);
            return all.toByteArray();
        } catch (IOException impossible) {
            throw new IllegalStateException(impossible); // nothing but memory is written to
        }
    }

    static SavedConversation read(int fd, long offset) {
        byte[] head = new byte[HEAD_BYTES];
        int got = Native.fdRead(fd, offset, head);
        try {
            DataInputStream in = new DataInputStream(new ByteArrayInputStream(head));
            if (got < 8 || in.readLong() != MAGIC) throw new ThimbleException(ErrorCode.NOT_A_STATE, "not a saved conversation");
            int size = in.readInt();
            int checksum = in.readInt();
            if (got < HEAD_BYTES || size < 0 || size > MOST_BYTES) throw damaged("its head");
            byte[] body = new byte[size];
            if (Native.fdRead(fd, offset + HEAD_BYTES, body) != size) throw damaged("its length");
            if (checksum(body) != checksum) throw damaged("the messages' checksum");
            return decode(body);
        } catch (IOException cut) {
            throw damaged("the length of a text");
        }
    }

    private static SavedConversation decode(byte[] body) throws IOException {
        DataInputStream in = new DataInputStream(new ByteArrayInputStream(body));
        int plainRead = in.readInt();
        int count = in.readInt();
        List<Message> messages = new ArrayList<>();
        for (int i = 0; i < count; ++i) {
            String role = take(in);
            String text = take(in);
            String reasoning = take(in);
            String name = take(in);
            String callId = take(in);
            List<ToolCall> calls = new ArrayList<>();
            for (int left = in.readInt(); left > 0; --left) calls.add(new ToolCall(take(in), take(in), take(in)));
            messages.add(new Message(role, text, reasoning, calls, name, callId));
        }
        return new SavedConversation(Collections.unmodifiableList(messages), plainRead, HEAD_BYTES + body.length);
    }

    private static void put(DataOutputStream out, String text) throws IOException {
        byte[] utf8 = Utf8.encode(text);
        out.writeInt(utf8.length);
        out.write(utf8);
    }

    private static String take(DataInputStream in) throws IOException {
        int size = in.readInt();
        if (size < 0 || size > in.available()) throw new IOException();
        byte[] utf8 = new byte[size];
        in.readFully(utf8);
        return Utf8.decode(utf8);
    }

    private static int checksum(byte[] bytes) {
        CRC32 crc = new CRC32();
        crc.update(bytes);
        return (int) crc.getValue();
    }

    private static ThimbleException damaged(String what) {
        return new ThimbleException(ErrorCode.STATE_DAMAGED, "saved conversation: " + what + " is wrong");
    }
}
