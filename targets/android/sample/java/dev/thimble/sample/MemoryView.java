package dev.thimble.sample;

import android.content.Context;
import android.graphics.Canvas;
import android.graphics.Paint;
import android.util.AttributeSet;
import android.util.TypedValue;
import android.view.View;
import dev.thimble.MemoryPlan;
import dev.thimble.Profile;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * The engine's memory as two bars: the process's own bytes by what they are for, with what is in memory now in full colour and what is only
 * planned paler, and the file's. Under them what passes have taken.
 */
public final class MemoryView extends View {
    private static final int[] COLOURS = {0xff1565c0, 0xff2e7d32, 0xffef6c00, 0xff6a1b9a};
    private static final String[] KINDS = {"cache", "packed weights", "scratch and the rest", "file"};

    private final Paint paint = new Paint(Paint.ANTI_ALIAS_FLAG);
    private MemoryPlan plan;
    private Profile profile;
    /** Of cache, packed weights and the rest: planned, and in memory now. */
    private final long[] planned = new long[3];
    private final long[] touched = new long[3];

    public MemoryView(Context context, AttributeSet attributes) {
        super(context, attributes);
        paint.setTextSize(TypedValue.applyDimension(TypedValue.COMPLEX_UNIT_SP, 11, getResources().getDisplayMetrics()));
    }

    /** Null before there is an engine. */
    void show(MemoryPlan plan, List<MemoryPlan.Line> lines, Profile profile) {
        this.plan = plan;
        this.profile = profile;
        if (plan != null) add(lines);
        setContentDescription(describe());
        invalidate();
    }

    private void add(List<MemoryPlan.Line> lines) {
        planned[0] = plan.cacheBytes();
        planned[1] = plan.packedWeightBytes();
        planned[2] = plan.anonymousBytes() - planned[0] - planned[1];
        Arrays.fill(touched, 0);
        for (MemoryPlan.Line line : lines) {
            int kind = line.name().startsWith("kv_") ? 0 : line.name().equals("packed_weights") ? 1 : 2;
            touched[kind] += line.touchedBytes();
        }
        // Buffers of different phases share their places, and lines share pages.
        for (int i = 0; i < touched.length; ++i) touched[i] = Math.min(touched[i], planned[i]);
    }

    String describe() {
        if (plan == null) return "";
        return String.format(Locale.US, "%s in memory of %s, %s of files; %d tokens, %.1f ms a pass", megabytes(touched[0] + touched[1] + touched[2]),
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
        long longest = Math.max(1, Math.max(plan.anonymousBytes(), plan.fileBackedBytes()));
        float scale = getWidth() / (float) longest;
        float at = 0;
        for (int i = 0; i < planned.length; ++i) {
            paint.setColor(COLOURS[i]);
            paint.setAlpha(80);
            canvas.drawRect(at, 0, at + planned[i] * scale, bar, paint);
            paint.setAlpha(255);
            canvas.drawRect(at, 0, at + touched[i] * scale, bar, paint);
            at += planned[i] * scale;
        }
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
