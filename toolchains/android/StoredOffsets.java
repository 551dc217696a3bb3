import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;

/** java StoredOffsets.java ALIGNMENT ARCHIVE: libraries and models in it must be stored at multiples of the alignment. Exit status 1 where one is not, or there is none. */
public final class StoredOffsets {
    public static void main(String[] arguments) throws Exception {
        int alignment = Integer.parseInt(arguments[0]);
        ByteBuffer zip;
        try (RandomAccessFile file = new RandomAccessFile(arguments[1], "r")) {
            zip = file.getChannel().map(FileChannel.MapMode.READ_ONLY, 0, file.length()).order(ByteOrder.LITTLE_ENDIAN);
        }
        int end = zip.limit() - 22;
        while (zip.getInt(end) != 0x06054b50) --end;
        int at = zip.getInt(end + 16);
        int checked = 0;
        int wrong = 0;
        for (int left = zip.getShort(end + 10) & 0xffff; left > 0; --left) {
            byte[] name = new byte[zip.getShort(at + 28) & 0xffff];
            for (int i = 0; i < name.length; ++i) name[i] = zip.get(at + 46 + i);
            int local = zip.getInt(at + 42);
            int data = local + 30 + (zip.getShort(local + 26) & 0xffff) + (zip.getShort(local + 28) & 0xffff);
            String text = new String(name, StandardCharsets.UTF_8);
            if (text.endsWith(".so") || text.endsWith(".thimble")) {
                boolean good = zip.getShort(at + 10) == 0 && data % alignment == 0;
                System.out.println((good ? "ok    " : "WRONG ") + text + ": method " + zip.getShort(at + 10) + ", from " + data);
                ++checked;
                if (!good) ++wrong;
            }
            at += 46 + name.length + (zip.getShort(at + 30) & 0xffff) + (zip.getShort(at + 32) & 0xffff);
        }
        System.exit(checked > 0 && wrong == 0 ? 0 : 1);
    }
}
