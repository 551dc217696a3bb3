package dev.thimble.android;

import android.content.res.AssetFileDescriptor;
import android.content.res.AssetManager;
import android.os.ParcelFileDescriptor;
import dev.thimble.Conversation;
import dev.thimble.Model;
import dev.thimble.Session;
import java.io.IOException;

/** Models, saved sessions and conversations by Android's own descriptors. */
public final class AndroidFiles {
    private AndroidFiles() {}

    /**
     * A model among the app's assets, mapped where it lies in the APK: stored there uncompressed (aapt's noCompress) at a multiple of 64.
     * A compressed asset has no descriptor, which is the IOException.
     */
    public static Model openAsset(AssetManager assets, String name) throws IOException {
        try (AssetFileDescriptor asset = assets.openFd(name)) {
            return open(asset);
        }
    }

    /** The descriptor stays the caller's and may be closed afterwards. */
    public static Model open(AssetFileDescriptor file) {
        long length = file.getDeclaredLength();
        return Model.open(file.getParcelFileDescriptor().getFd(), file.getStartOffset(),
                          length == AssetFileDescriptor.UNKNOWN_LENGTH ? 0 : length);
    }

    /** The whole file, such as one that the user picked. */
    public static Model open(ParcelFileDescriptor file) {
        return Model.open(file.getFd(), 0, 0);
    }

    /** To where the descriptor stands. */
    public static void save(Session session, ParcelFileDescriptor file) {
        session.save(file.getFd());
    }

    /** The whole file. */
    public static void load(Session session, ParcelFileDescriptor file) {
        session.load(file.getFd(), 0, 0);
    }

    /** To where the descriptor stands: messages, and the context behind them. */
    public static void save(Conversation conversation, ParcelFileDescriptor file) {
        conversation.save(file.getFd());
    }

    /** The whole file; says whether the context came back with the messages, see {@link Conversation#load}. */
    public static boolean load(Conversation conversation, ParcelFileDescriptor file) {
        return conversation.load(file.getFd(), 0, 0);
    }
}
