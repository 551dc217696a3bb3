package dev.thimble.android;

import android.app.ActivityManager;
import android.content.Context;
import dev.thimble.PhoneTier;
import dev.thimble.SystemMemory;

/** How much Android leaves this process. */
public final class AndroidMemory {
    private AndroidMemory() {}

    /**
     * For {@link dev.thimble.Model#willItFit}: what the kernel says, and what ActivityManager says is available above the threshold at which
     * Android begins to kill processes in the background.
     */
    public static SystemMemory of(Context context) {
        ActivityManager.MemoryInfo info = info(context);
        return SystemMemory.now().caller(info.lowMemory ? 0 : Math.max(0, info.availMem - info.threshold));
    }

    /** What an app may have on this phone. */
    public static PhoneTier tier(Context context) {
        return PhoneTier.of(info(context).totalMem);
    }

    private static ActivityManager.MemoryInfo info(Context context) {
        ActivityManager.MemoryInfo info = new ActivityManager.MemoryInfo();
        context.getSystemService(ActivityManager.class).getMemoryInfo(info);
        return info;
    }
}
