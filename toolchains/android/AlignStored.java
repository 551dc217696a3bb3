import java.io.ByteArrayOutputStream;
import java.io.FileOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Collections;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/**
 * java AlignStored.java ALIGNMENT FROM TO: the archive with what is stored in it at multiples of the alignment, said in an extra field
 * (0xd935) that signing keeps to. zipalign writes none, and an apksigner that is older than pages of 16,384 bytes moves its libraries again.
 */
public final class AlignStored {
    private static final class Counting extends FilterOutputStream {
        long count;

        Counting(OutputStream out) {
            super(out);
        }

        @Override
        public void write(int b) throws IOException {
            out.write(b);
            ++count;
        }

        @Override
        public void write(byte[] bytes, int offset, int size) throws IOException {
            out.write(bytes, offset, size);
            count += size;
        }
    }

    public static void main(String[] arguments) throws IOException {
        int alignment = Integer.parseInt(arguments[0]);
        try (ZipFile in = new ZipFile(arguments[1]); Counting file = new Counting(new FileOutputStream(arguments[2])); ZipOutputStream out = new ZipOutputStream(file)) {
            for (ZipEntry from : Collections.list(in.entries())) {
                ZipEntry to = new ZipEntry(from.getName());
                to.setTime(from.getTime());
                to.setMethod(from.getMethod());
                if (from.getMethod() == ZipEntry.STORED) {
                    to.setSize(from.getSize());
                    to.setCrc(from.getCrc());
                    int head = 30 + from.getName().getBytes("UTF-8").length + 6;
                    int padding = (int) ((alignment - (file.count + head) % alignment) % alignment);
                    to.setExtra(ByteBuffer.allocate(6 + padding).order(ByteOrder.LITTLE_ENDIAN).putShort((short) 0xd935).putShort((short) (2 + padding))
                                    .putShort((short) alignment).array());
                }
                out.putNextEntry(to);
                ByteArrayOutputStream bytes = new ByteArrayOutputStream();
                in.getInputStream(from).transferTo(bytes);
                bytes.writeTo(out);
                out.closeEntry();
            }
        }
    }
}
