package dev.thimble.sample;

import android.content.Context;
import android.graphics.Canvas;
import android.graphics.Paint;
import android.util.AttributeSet;
import android.util.TypedValue;
import android.view.View;
import dev.thimble.MemoryPlan;
import dev.thimble.Profile;
import java.util.Locale;

/**
 * The engine's memory as two bars: the process's own bytes by what they are for, with what no token has reached yet paler, and the file's.
 * Under them what passes have taken.
 */
public final class MemoryView extends View {
    private static final int[] COLOURS = {0xff1565c0, 0xff2e7d32, 0xffef6c00, 0xff6a1b9a};
    private static final String[] KINDS = {"cache", "packed weights", "scratch and the rest", "file"};

    private final Paint paint = new Paint(Paint.ANTI_ALIAS_FLAG);
    private MemoryPlan plan;
    private Profile profile;

    public MemoryView(Context context, AttributeSet attributes) {
        super(context, attributes);
        paint.setTextSize(TypedValue.applyDimension(TypedValue.COMPLEX_UNIT_SP, 11, getResources().getDisplayMetrics()));
    }

    /** Null before there is an engine. */
    void show(MemoryPlan plan, Profile profile) {
        this.plan = plan;
        this.profile = profile;
        setContentDescription(describe());
        invalidate();
    }

    String describe() {
        if (plan == null) return "";
        return String.format(Locale.US, "%s touched of %s, %s of files; %d tokens, %.1f ms a pass", megabytes(plan.touchedAnonymousBytes()),
                             megabytes(plan.anonymousBytes()), megabytes(plan.fileBackedBytes()), profile.tokens(),
                             profile.steps() == 0 ? 0.0 : profile.totalNanos() / 1e6 / profile.steps());
    }

    static String megabytes(long bytes) {
        return String.format(Locale.US, "%.1f MB", bytes / 1e6);
    }

    @Override
    protected void onDraw(Canvas canvas) {
        super.onDraw(canvas);
        if (plan == null) return;
        float bar = getHeight() / 4f;
        long[] parts = {plan.cacheBytes(), plan.packedWeightBytes(), plan.anonymousBytes() - plan.cacheBytes() - plan.packedWeightBytes()};
        long longest = Math.max(1, Math.max(plan.anonymousBytes(), plan.fileBackedBytes()));
        float scale = getWidth() / (float) longest;
        float at = 0;
        for (int i = 0; i < parts.length; ++i) {
            paint.setColor(COLOURS[i]);
            canvas.drawRect(at, 0, at + parts[i] * scale, bar, paint);
            at += parts[i] * scale;
        }
        // Of the cache, what no token has reached.
        float untouched = Math.min(parts[0], Math.max(0, plan.anonymousBytes() - plan.touchedAnonymousBytes())) * scale;
        paint.setColor(0x99ffffff);
        canvas.drawRect(parts[0] * scale - untouched, 0, parts[0] * scale, bar, paint);
        paint.setColor(COLOURS[3]);
        canvas.drawRect(0, bar, plan.fileBackedBytes() * scale, 2 * bar, paint);
        float x = 0;
        for (int i = 0; i < KINDS.length; ++i) {
            paint.setColor(COLOURS[i]);
            canvas.drawText(KINDS[i], x, 2.9f * bar, paint);
            x += paint.measureText(KINDS[i] + "  ");
        }
        paint.setColor(0xff000000);
        canvas.drawText(describe(), 0, 3.8f * bar, paint);
    }
}
