package dev.thimble.sample;

import android.content.Context;
import dev.thimble.CacheType;
import dev.thimble.EngineOptions;
import dev.thimble.Model;
import dev.thimble.WillItFit;
import dev.thimble.android.AndroidFiles;
import dev.thimble.android.AndroidMemory;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** A model that can be picked: the one in the APK, or a file in the app's folder "models". */
final class ModelSource {
    static final String ASSET = "stories-qmqa.thimble";
    private static final int MOST_TOKENS = 2048;

    private final String name;
    private final File file; // null: the asset

    private ModelSource(String name, File file) {
        this.name = name;
        this.file = file;
    }

    static List<ModelSource> all(Context context) {
        List<ModelSource> all = new ArrayList<>();
        all.add(new ModelSource(ASSET, null));
        File[] files = new File(context.getFilesDir(), "models").listFiles();
        if (files != null) {
            for (File file : files) all.add(new ModelSource(file.getName(), file));
        }
        return all;
    }

    /** By its name; the asset where there is none such any more. */
    static ModelSource find(Context context, String name) {
        List<ModelSource> all = all(context);
        for (ModelSource source : all) {
            if (source.name.equals(name)) return source;
        }
        return all.get(0);
    }

    String name() {
        return name;
    }

    Model open(Context context) throws IOException {
        return file == null ? AndroidFiles.openAsset(context.getAssets(), name) : Model.open(file.getPath());
    }

    /** Weights are packed for this processor once, in the app's cache folder; sessions are parked beside them. */
    static EngineOptions options(Context context, Model model) {
        return new EngineOptions().contextTokens((int) Math.min(MOST_TOKENS, model.info().maxPositions())).cache(CacheType.Q8)
            .fastThreads().packCache(new File(context.getCacheDir(), "packs").getPath())
            .park(new File(context.getCacheDir(), "parked").getPath());
    }

    WillItFit willItFit(Context context) throws IOException {
        try (Model model = open(context)) {
            return model.willItFit(options(context, model), AndroidMemory.of(context));
        }
    }
}
