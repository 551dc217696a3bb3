package dev.thimble;

/**
 * What an app may have on phones with so much memory, as Google Play counts it from February 2027 on: anonymous memory and swap, 90th
 * percentile of a day. The model file's own pages do not count. The same figures as {@code thimble plan MODEL --devices}.
 *
 * <p>{@code model.solve(options, tier.foregroundBytes(), 0)} gives the longest context;
 * {@code model.willItFit(options, SystemMemory.now().caller(tier.foregroundBytes()))} says whether these options stay within it.
 */
public enum PhoneTier {
    GB_4(4, 200, 100),
    GB_6(6, 225, 125),
    GB_8(8, 225, 150),
    GB_12(12, 325, 175),
    GB_16(16, 425, 200);

    private final long memory;
    private final long foreground;
    private final long background;

    PhoneTier(long gib, long foregroundHundredths, long backgroundHundredths) {
        memory = gib << 30;
        foreground = (foregroundHundredths << 30) / 100;
        background = (backgroundHundredths << 30) / 100;
    }

    /** Of a phone whose ActivityManager.MemoryInfo.totalMem is this: what the kernel leaves of the memory that it was sold with. */
    public static PhoneTier of(long totalMemory) {
        for (PhoneTier tier : values()) {
            if (totalMemory <= tier.memory) return tier;
        }
        return GB_16;
    }

    public long memoryBytes() {
        return memory;
    }

    /** For the whole app while somebody looks at it. */
    public long foregroundBytes() {
        return foreground;
    }

    /** And while nobody does: {@link Engine#trim} brings it there. */
    public long backgroundBytes() {
        return background;
    }
}
