package dev.thimble;

import java.io.FileDescriptor;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.concurrent.Callable;

/** Runs the static methods without arguments of one class of tests: java dev.thimble.TestMain CLASS MODEL SOURCE-TREE PROGRAM. */
final class TestMain {
    static String model;
    static Path sources;
    /** thimble, which converts. */
    static String program;

    private TestMain() {}

    interface Body {
        void run() throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        model = arguments[1];
        sources = Paths.get(arguments[2]);
        program = arguments[3];
        int failed = 0;
        int ran = 0;
        for (Method method : Class.forName("dev.thimble." + arguments[0]).getDeclaredMethods()) {
            if (Modifier.isPrivate(method.getModifiers()) || method.isSynthetic() || method.getParameterCount() != 0) continue;
            ++ran;
            long begin = System.nanoTime();
            try {
                method.invoke(null);
                System.out.println("ok    " + method.getName() + " " + (System.nanoTime() - begin) / 1000000 + " ms");
            } catch (InvocationTargetException failure) {
                ++failed;
                System.out.println("FAIL  " + method.getName());
                failure.getCause().printStackTrace(System.out);
            }
        }
        System.out.println(failed == 0 && ran > 0 ? "all " + ran + " passed" : failed + " of " + ran + " failed");
        System.exit(failed == 0 && ran > 0 ? 0 : 1);
    }

    static void check(boolean holds, String what) {
        if (!holds) throw new AssertionError(what);
    }

    static void equal(Object got, Object expected, String what) {
        if (!expected.equals(got)) throw new AssertionError(what + ": got " + got + ", expected " + expected);
    }

    static ThimbleException refused(ErrorCode code, Body body) throws Exception {
        try {
            body.run();
        } catch (ThimbleException exception) {
            equal(exception.code(), code, exception.getMessage());
            return exception;
        }
        throw new AssertionError("not refused as " + code);
    }

    /** What a listener throws reaches the caller as it is. */
    static void comesThrough(RuntimeException own, Body body) throws Exception {
        try {
            body.run();
        } catch (RuntimeException caught) {
            check(caught == own, "another exception: " + caught);
            return;
        }
        throw new AssertionError("the listener's exception was lost");
    }

    static void closed(Body body) throws Exception {
        try {
            body.run();
        } catch (IllegalStateException exception) {
            return;
        }
        throw new AssertionError("a closed handle was used");
    }

    static void waitUntil(Callable<Boolean> holds, String what) throws Exception {
        long end = System.nanoTime() + 20_000_000_000L;
        while (!holds.call()) {
            check(System.nanoTime() < end, "waited in vain until " + what);
            Thread.sleep(1);
        }
    }

    /** Starts it, and hands what it throws to whoever joins. */
    static final class Worker extends Thread {
        private final Body body;
        private volatile Throwable failure;

        private Worker(Body body) {
            this.body = body;
        }

        static Worker begin(Body body) {
            Worker worker = new Worker(body);
            worker.setDaemon(true);
            worker.start();
            return worker;
        }

        @Override
        public void run() {
            try {
                body.run();
            } catch (Throwable thrown) {
                failure = thrown;
            }
        }

        void done() throws Exception {
            join(60_000);
            check(!isAlive(), "a thread is still running");
            if (failure != null) throw new AssertionError("in another thread: " + failure, failure);
        }
    }

    /** What ParcelFileDescriptor.getFd() gives on Android. */
    static int number(FileDescriptor descriptor) throws Exception {
        Field field = FileDescriptor.class.getDeclaredField("fd");
        field.setAccessible(true);
        return field.getInt(descriptor);
    }

    static Path temporary(byte[]... parts) throws Exception {
        Path path = Files.createTempFile("thimble", null);
        path.toFile().deleteOnExit();
        try (java.io.OutputStream out = Files.newOutputStream(path)) {
            for (byte[] part : parts) out.write(part);
        }
        return path;
    }

    static byte[] all(java.io.InputStream in) throws Exception {
        java.io.ByteArrayOutputStream out = new java.io.ByteArrayOutputStream();
        byte[] piece = new byte[4096];
        for (int got = in.read(piece); got >= 0; got = in.read(piece)) out.write(piece, 0, got);
        return out.toByteArray();
    }

    static EngineOptions small() {
        return new EngineOptions().contextTokens(128).sampling(new Sampling().temperature(0));
    }

    /** Model, engine and session in one. */
    static final class Open implements AutoCloseable {
        final Model model = Model.open(TestMain.model);
        final Engine engine;
        final Session session;

        Open(EngineOptions options) {
            engine = Engine.create(model, options);
            session = engine.openSession();
        }

        @Override
        public void close() {
            session.close();
            engine.close();
            model.close();
        }
    }
}
