package dev.thimble;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;

/**
 * A model that says what a test wants: a GPT-2 whose only knowledge is what follows at each position, so that an answer is chosen by how many
 * tokens its prompt has. Tokens are bytes and the roles' marks. Its chat template has reasoning and tool calls.
 */
public final class ScriptedModel {
    private static final String[] MARKS = {"<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>"};
    private static final int TOKENS = 256 + MARKS.length;
    private static final int END = TOKENS - 1;
    private static final int WIDTH = 64;
    private static final int INNER = 8;
    private static final int POSITIONS = 512;

    private static final String TEMPLATE =
        "{% for m in messages %}{{ '<|' + m.role + '|>' }}{% if m.reasoning_content %}{{ '<think>' + m.reasoning_content + '</think>' }}{% endif %}"
        + "{{ m.content }}{% for c in m.tool_calls %}{{ '<call>' + {'name': c.function.name, 'arguments': c.function.arguments}|tojson + '</call>' }}"
        + "{% endfor %}{{ '<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

    private final int[] next = new int[POSITIONS];
    private final StringBuilder tensors = new StringBuilder();
    private final ByteArrayOutputStream data = new ByteArrayOutputStream();

    public ScriptedModel() {
        Arrays.fill(next, END);
    }

    /** Tokens of a text in which marks stand. */
    public static int tokens(String text) {
        for (String mark : MARKS) text = text.replace(mark, "#");
        return text.getBytes(StandardCharsets.UTF_8).length;
    }

    /** To this prompt, with all marks, it answers so. */
    public ScriptedModel says(String prompt, String answer) {
        int at = tokens(prompt) - 1;
        for (byte b : answer.getBytes(StandardCharsets.UTF_8)) next[at++] = b & 0xff;
        next[at] = END;
        return this;
    }

    /** A .thimble file, made by the program THIMBLE. */
    public Path convert(String thimble) throws Exception {
        Path folder = Files.createTempDirectory("thimble");
        write(folder, "config.json", "{\"model_type\":\"gpt2\",\"vocab_size\":" + TOKENS + ",\"n_positions\":" + POSITIONS + ",\"n_embd\":" + WIDTH
            + ",\"n_layer\":1,\"n_head\":2,\"n_inner\":" + INNER + ",\"bos_token_id\":" + END + ",\"eos_token_id\":" + END + "}");
        write(folder, "tokenizer.json", tokenizer());
        write(folder, "template.jinja", TEMPLATE);
        Files.write(folder.resolve("model.safetensors"), weights());
        Path model = folder.resolve("scripted.thimble");
        Process process = new ProcessBuilder(thimble, "convert", folder.toString(), "-o", model.toString(), "--weights", "f32", "--chat-template",
                                             folder.resolve("template.jinja").toString()).redirectErrorStream(true).start();
        byte[] said = TestMain.all(process.getInputStream());
        TestMain.equal(process.waitFor(), 0, new String(said, StandardCharsets.UTF_8));
        for (java.io.File file : folder.toFile().listFiles()) file.deleteOnExit();
        folder.toFile().deleteOnExit();
        return model;
    }

    private static void write(Path folder, String name, String text) throws Exception {
        Files.write(folder.resolve(name), text.getBytes(StandardCharsets.UTF_8));
    }

    /** GPT-2's letters for bytes: those that can be seen stand for themselves, the others for what follows 255. */
    private static String tokenizer() {
        StringBuilder vocabulary = new StringBuilder();
        int others = 256;
        for (int b = 0; b < 256; ++b) {
            boolean seen = (b > 32 && b < 127) || (b > 160 && b != 173);
            Json.text(vocabulary.append(b == 0 ? "" : ","), String.valueOf((char) (seen ? b : others++)));
            vocabulary.append(':').append(b);
        }
        StringBuilder marks = new StringBuilder();
        for (int i = 0; i < MARKS.length; ++i) {
            marks.append(i == 0 ? "" : ",").append("{\"id\":").append(256 + i).append(",\"content\":\"").append(MARKS[i])
                .append("\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}");
        }
        String bytes = "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true}";
        return "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[" + marks + "],\"normalizer\":null,\"pre_tokenizer\":" + bytes
            + ",\"post_processor\":" + bytes + ",\"decoder\":" + bytes
            + ",\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":\"\",\"end_of_word_suffix\":\"\","
            + "\"fuse_unk\":false,\"byte_fallback\":false,\"vocab\":{" + vocabulary + "},\"merges\":[]}}";
    }

    /** Each token is a random vector, each position ten times that of the token which follows it; nothing else has a say. */
    private byte[] weights() throws Exception {
        Random random = new Random(1);
        float[] table = new float[TOKENS * WIDTH];
        for (int i = 0; i < table.length; ++i) table[i] = random.nextBoolean() ? 1 : -1;
        float[] positions = new float[POSITIONS * WIDTH];
        for (int i = 0; i < positions.length; ++i) positions[i] = 10 * table[next[i / WIDTH] * WIDTH + i % WIDTH];
        add("wte.weight", table, TOKENS, WIDTH);
        add("wpe.weight", positions, POSITIONS, WIDTH);
        for (String norm : new String[] {"h.0.ln_1", "h.0.ln_2", "ln_f"}) {
            float[] ones = new float[WIDTH];
            Arrays.fill(ones, 1);
            add(norm + ".weight", ones, WIDTH);
            add(norm + ".bias", new float[WIDTH], WIDTH);
        }
        linear("h.0.attn.c_attn", WIDTH, 3 * WIDTH);
        linear("h.0.attn.c_proj", WIDTH, WIDTH);
        linear("h.0.mlp.c_fc", WIDTH, INNER);
        linear("h.0.mlp.c_proj", INNER, WIDTH);
        byte[] header = ("{" + tensors + "}").getBytes(StandardCharsets.UTF_8);
        ByteBuffer file = ByteBuffer.allocate(8 + header.length + data.size()).order(ByteOrder.LITTLE_ENDIAN);
        return file.putLong(header.length).put(header).put(data.toByteArray()).array();
    }

    private void linear(String name, int in, int out) throws Exception {
        add(name + ".weight", new float[in * out], in, out);
        add(name + ".bias", new float[out], out);
    }

    private void add(String name, float[] values, int... shape) throws Exception {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) bytes.putFloat(value);
        int begin = data.size();
        data.write(bytes.array());
        if (tensors.length() > 0) tensors.append(',');
        tensors.append('"').append(name).append("\":{\"dtype\":\"F32\",\"shape\":").append(Arrays.toString(shape)).append(",\"data_offsets\":[")
            .append(begin).append(',').append(data.size()).append("]}");
    }
}
