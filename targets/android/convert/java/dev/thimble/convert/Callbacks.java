package dev.thimble.convert;

import java.nio.charset.StandardCharsets;

/** What native code calls by name. */
final class Callbacks {
    private final ConvertListener listener;

    Callbacks(ConvertListener listener) {
        this.listener = listener;
    }

    boolean tensor(byte[] name, long done, long total) {
        return listener == null || listener.onTensor(new String(name, StandardCharsets.UTF_8), done, total);
    }
}
