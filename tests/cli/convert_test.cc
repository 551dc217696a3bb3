// `thimble convert` from committed fixtures, and everything that the result is then good for.
#include <signal.h>

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "tests/cli/process.h"
#include "tests/convert/gguf_testing.h"
#include "tests/support/json_testing.h"
#include "tests/support/model_builder.h"

namespace thimble::test {
namespace {

namespace fs = std::filesystem;

// Skips the test when the fixture is not committed.
std::string Source(const std::string& name) {
  const std::string folder = Golden(name);
  if (!fs::exists(folder)) SKIP("no fixture tests/golden/" + name);
  return folder;
}

TEST_CASE("convert, verify, inspect and logits agree with a fixture") {
  const std::string source = Source("paper_qmqa"), out = TemporaryFolder() + "/m.thimble";
  const Finished converted = RunThimble({"convert", source, "-o", out, "--weights", "f32", "--json"});
  INFO(converted.err);
  REQUIRE(converted.exit_code == 0);
  const Json report = ParseJson(converted.out);
  CHECK(report["family"] == "paper");
  CHECK(report["file_bytes"] == fs::file_size(out));
  CHECK(report["worst_relative_error"] == 0);
  CHECK(RunThimble({"verify", out}).exit_code == 0);

  const Json expected = ParseJson(ReadFile(source + "/expected.json"));
  const Json& sequence = expected["ids"];
  const Json& ids = sequence[0].is_array() ? sequence[0] : sequence;
  const Json& rows = sequence[0].is_array() ? expected["logits"][0] : expected["logits"];
  std::string list;
  for (const Json& id : ids.items()) list += (list.empty() ? "" : ",") + JsonText(id);
  const Finished logits = RunThimble({"logits", out, "--ids", list, "--kv", "f32", "--json"});
  REQUIRE(logits.exit_code == 0);
  const Json got = ParseJson(logits.out)["logits"];
  REQUIRE(got.size() == rows.size());
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    REQUIRE(got[i].size() == rows[i].size());
    for (size_t j = 0; j < got[i].size(); ++j)
      worst = std::max(worst, std::abs(got[i][j].as_double() - rows[i][j].as_double()));
  }
  CHECK(worst < 2e-4);
}

TEST_CASE("a model without a tokenizer says what to do") {
  const std::string out = TemporaryFolder() + "/m.thimble";
  REQUIRE(RunThimble({"convert", Source("llama"), "-o", out, "-q"}).exit_code == 0);
  const Finished finished = RunThimble({"run", out, "-p", "a"});
  CHECK(finished.exit_code == 4);
  CHECK(finished.err.find("--tokenizer FILE") != std::string::npos);
  CHECK(RunThimble({"tokenize", out, "-p", "a"}).exit_code == 4);
  CHECK(RunThimble({"plan", out, "--kv", "q4"}).exit_code == 0);
}

TEST_CASE("convert --shape writes a model that runs, and takes no source") {
  const std::string out = TemporaryFolder() + "/m.thimble";
  const Finished written = RunThimble({"convert", "--shape", "tiny", "-o", out, "--weights", "q4", "--json"});
  INFO(written.err);
  REQUIRE(written.exit_code == 0);
  CHECK(ParseJson(written.out)["name"] == "synthetic tiny");
  CHECK(RunThimble({"verify", out}).exit_code == 0);
  CHECK(RunThimble({"logits", out, "--ids", "1,2"}).exit_code == 0);
  const auto turned = [&] { return RunThimble({"inspect", out, "--json"}).out.find("\"turn\"") != std::string::npos; };
  CHECK(turned());
  CHECK(RunThimble({"convert", "--shape", "tiny", "-o", out, "--weights", "q4", "--no-turn", "-q"}).exit_code == 0);
  CHECK(!turned());
  const Finished both = RunThimble({"convert", "source", "--shape", "tiny", "-o", out});
  CHECK(both.exit_code == 2);
  CHECK(both.err.find("SRC: cannot be given with --shape") != std::string::npos);
  const Finished unknown = RunThimble({"convert", "--shape", "huge", "-o", out});
  CHECK(unknown.exit_code == 2);
  CHECK(unknown.err.find("'huge'; there are smollm2-135m") != std::string::npos);
}

TEST_CASE("convert replaces models, and nothing else unless forced") {
  const std::string source = Source("gpt2"), folder = TemporaryFolder(), out = folder + "/m.thimble";
  REQUIRE(RunThimble({"convert", source, "-o", out, "--weights", "f32"}).exit_code == 0);
  const auto before = fs::file_size(out);
  REQUIRE(RunThimble({"convert", source, "-o", out, "--weights", "q8"}).exit_code == 0);
  CHECK(fs::file_size(out) < before);
  CHECK(std::distance(fs::directory_iterator(folder), fs::directory_iterator()) ==
        1);  // no temporary file is left

  const std::string letter = WriteFile(folder + "/letter.txt", "dear reader");
  CHECK(RunThimble({"convert", source, "-o", letter}).exit_code == 2);
  CHECK(ReadFile(letter) == "dear reader");
  CHECK(RunThimble({"convert", source, "-o", letter, "--force"}).exit_code == 0);

  const std::string copy = folder + "/copy";
  fs::copy(source, copy);
  CHECK(RunThimble({"convert", copy, "-o", copy + "/config.json", "--force"}).exit_code == 2);
  CHECK(RunThimble({"convert", copy, "-o", copy}).exit_code == 6);
  CHECK(RunThimble({"convert", copy, "-o", folder + "/no/such/folder/m.thimble"}).exit_code == 6);
}

TEST_CASE("convert names what it does not understand") {
  const std::string source = Source("llama"), folder = TemporaryFolder(), copy = folder + "/copy",
                    out = folder + "/m.thimble";
  CHECK(RunThimble({"convert", source, "-o", out, "--weights", "q3"}).exit_code == 2);
  CHECK(RunThimble({"convert", source, "-o", out, "--recipe", "balanced", "--block", "48"}).exit_code == 2);
  CHECK(RunThimble({"convert", source}).exit_code == 2);
  fs::copy(source, copy);
  Json config = ParseJson(ReadFile(copy + "/config.json"));
  config["model_type"] = "mamba";
  WriteFile(copy + "/config.json", JsonText(config));
  const Finished unknown = RunThimble({"convert", copy, "-o", out});
  CHECK(unknown.exit_code == 4);
  CHECK(unknown.err.find("mamba") != std::string::npos);
  WriteFile(copy + "/config.json", "{");
  CHECK(RunThimble({"convert", copy, "-o", out}).exit_code == 3);
  CHECK_FALSE(fs::exists(out));
}

TEST_CASE("the shipped model is what its README's commands make") {
  if (sizeof(void*) != 8) SKIP("its contract is about 64 bits");
  const char* folder = std::getenv("THIMBLE_SHARED_DATA");
  const std::string data = folder != nullptr && folder[0] != 0 ? folder : THIMBLE_SHARED_DATA_DEFAULT;
  const std::string source = data + "/models/stories-qmqa";
  if (!fs::exists(source)) SKIP("needs models/stories-qmqa of the shared data (THIMBLE_SHARED_DATA)");
  const std::string out = TemporaryFolder() + "/stories-qmqa.thimble";
  REQUIRE(RunThimble({"convert", source, "-o", out, "--recipe", "rows", "--no-turn", "-q"}).exit_code == 0);
  REQUIRE(RunThimble({"pack", out, "--for", "portable", "--contract", "-c", "512", "--kv", "q8", "-q"}).exit_code == 0);
  CHECK((ReadFile(out) == ReadFile(ShippedModel())));
}

TEST_CASE("Ctrl-C ends the reading of a source at once") {
  // 30 MB of header take seconds to look through, and a conversion that was asked to stop used to finish that first.
  const std::string folder = TemporaryFolder() + "/model", out = folder + "/m.thimble";
  fs::copy(Golden("llama"), folder);
  std::string header = "{\"x\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}", padding(80, 't');
  for (size_t i = 0; i < 250'000; ++i)
    header += ",\"" + padding + std::to_string(i) + "\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}";
  header += "}";
  const uint64_t size = header.size();
  WriteFile(folder + "/model.safetensors", std::string(reinterpret_cast<const char*>(&size), 8) + header);
  const Finished stopped = RunThimble({"convert", folder, "-o", out}, {}, [](pid_t child) { kill(child, SIGINT); }, 100);
  INFO(stopped.err);
  CHECK(stopped.exit_code == 130);
  CHECK_FALSE(fs::exists(out));
}

TEST_CASE("convert lists what it can bring in") {
  const Finished text = RunThimble({"convert", "--list"});
  CHECK(text.exit_code == 0);
  for (const char* listed : {"paper", "gpt2", "llama", "mistral", "qwen3", "starcoder2", "gemma4_text", "llama2c",
                             "GGUF starcoder2", ".pt, .pth", ".gguf", "Q4_0", "Q2_K", "Q6_K", ".tiktoken",
                             "tokenizer.json", "SentencePiece", "vocab.json", "vocab.txt", "tokenizer.bin"}) {
    INFO(listed);
    CHECK(text.out.find(listed) != std::string::npos);
  }
  const Json json = ParseJson(RunThimble({"convert", "--list", "--json"}).out);
  CHECK(json["families"].size() >= 20);
  CHECK(json["model_files"].size() == 4);
  CHECK(json["tokenizers"].size() == 7);
  CHECK(RunThimble({"convert", "--help"}).out.find(".pt") != std::string::npos);
}

TEST_CASE("convert says which weights it chose, why, what they cost and where the result lies") {
  const std::string source = Source("smollm2"), folder = TemporaryFolder(), out = folder + "/m.thimble";
  const auto said = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"convert", "-o", out});
    const Finished finished = RunThimble(more);
    INFO(finished.err);
    REQUIRE(finished.exit_code == 0);
    return finished.out;
  };
  const auto has = [](const std::string& text, const std::string& part) {
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
  };
  const std::string usual = said({source});
  has(usual, "weights     q8_0 (quality): the default, whose loss cannot be seen; --weights f32 ");
  const std::string exact = said({source, "--weights", "f32"});
  has(exact, "weights     f32 (exact): asked for with --weights\n");
  has(exact, " bytes, 32.00 bits per weight: f32 ");
  has(exact, "written to  " + fs::canonical(out).string() + "\n");
  const std::string small = said({source, "--recipe", "balanced"});
  has(small, "weights     q4 (balanced, block 32): asked for with --recipe\n");
  has(small, " bits per weight: q8_0 ");
  has(small, " KiB, q4 ");
  has(said({source, "--recipe", "small"}), "q4 (small, block 32): asked for with --recipe\n");
  has(said({"--shape", "tiny"}), "weights     q4: the default with --shape\n");
  const std::string packed = said({source, "--weights", "q8", "--pack", "neondot,avx2"});
  has(packed, "written to  " + folder + "/m.neondot.thimble\nwritten to  " + folder + "/m.avx2.thimble\n");
  const Json json = ParseJson(said({source, "--weights", "q8", "--json"}));
  CHECK(json["weights_reason"] == "asked for with --weights");
  CHECK(json["bits_per_weight"].as_double() > 8);
  CHECK(json["bits_per_weight"].as_double() < 15);  // rows of 36 take two blocks of 32
  CHECK(json["files"][0] == out);
}

// Trained, and with a tokenizer, where the larger data are; else a random fixture, which has none.
TEST_CASE("convert to a number of bits: within the budget, the same file for every number of threads", "[slow]") {
  const std::string trained = SharedDataPath("models/stories-qmqa"), folder = TemporaryFolder(), text = folder + "/calibration.txt";
  const bool calibrated = !trained.empty() && fs::exists(trained);
  const std::string source = calibrated ? trained : Source("llama");
  WriteFile(text, "Once upon a time there was a dog. The dog had a red ball, and every day it ran to the park to play with its friend Tom.");
  std::string bytes[2];
  for (const int threads : {1, 2}) {
    const std::string out = folder + "/bits.thimble";
    std::vector<std::string> arguments = {"convert", source, "-o", out, "--weights", "5.5", "-t", std::to_string(threads), "--json"};
    if (calibrated) arguments.insert(arguments.end(), {"--calibration", text});
    const Finished finished = RunThimble(arguments);
    INFO(finished.err);
    REQUIRE(finished.exit_code == 0);
    const Json report = ParseJson(finished.out);
    CHECK(report["weights_type"] == "5.5");
    const char* reason = calibrated ? "measured with second moments over " : "measured with nothing: the model has no tokenizer";
    CHECK(report["weights_reason"].as_text().find(reason) != std::string::npos);
    double weights = 0, matrix_bytes = 0;
    for (const Json& tensor : report["tensors"].items()) {
      if (tensor["type"] == "f32") continue;
      CHECK(tensor["source_type"] == "F32");
      weights += tensor["shape"][0].as_double() * tensor["shape"][1].as_double();
      matrix_bytes += tensor["bytes"].as_double();
    }
    CHECK(8 * matrix_bytes / weights <= 5.5);
    CHECK(8 * matrix_bytes / weights > 5.3);
    CHECK(!fs::exists(out + ".floats"));
    CHECK(RunThimble({"verify", out}).exit_code == 0);
    CHECK(RunThimble({"logits", out, "--ids", "1,2,3"}).exit_code == 0);
    bytes[threads - 1] = ReadFile(out);
  }
  CHECK(bytes[0] == bytes[1]);
}

TEST_CASE("convert to a number of bits refuses by name what it cannot do", "[slow]") {
  const std::string source = Source("llama"), folder = TemporaryFolder(), out = folder + "/bits.thimble";
  const auto refused = [&](std::vector<std::string> more, int code, const std::string& text) {
    std::vector<std::string> arguments = {"convert", source, "-o", out, "-q"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Finished finished = RunThimble(arguments);
    INFO(finished.err);
    CHECK(finished.exit_code == code);
    CHECK(finished.err.find(text) != std::string::npos);
    CHECK(!fs::exists(out));
    CHECK(!fs::exists(out + ".floats"));
  };
  WriteFile(folder + "/damaged.dat", "abc");
  WriteFile(folder + "/empty.txt", "");
  refused({"--weights", "1.5"}, 2, "must be f32, q8, q4, q6, q5 or bits from 2 to 9");
  refused({"--weights", "4.8x"}, 2, "must be f32, q8, q4, q6, q5 or bits from 2 to 9");
  refused({"--weights", "2.5"}, 2, "2.50 bits per weight: too few; the smallest types take ");
  refused({"--weights", "q4"}, 2, "4.62 bits per weight: too few; the smallest types take ");  // of rows of 36
  refused({"--weights", "5", "--keep-head", "q8"}, 2, "--keep-head: cannot be given with --weights 5");
  refused({"--weights", "f32", "--calibration", folder + "/empty.txt"}, 2, "--calibration and --imatrix: need --weights with a number of bits");
  refused({"--weights", "5", "--calibration", folder + "/nowhere.txt"}, 6, "nowhere.txt");
  refused({"--weights", "5", "--calibration", folder + "/empty.txt"}, 4, "leave --calibration out");
  refused({"--weights", "5", "--imatrix", folder + "/damaged.dat"}, 3, "importance matrix: the number of entries takes 4 bytes, 3 are left");
  refused({"--weights", "5", "--imatrix", folder + "/damaged.dat", "--calibration", folder + "/empty.txt"}, 2, "give only one of these");
}

// A llama of one layer: D 32, two heads, F 32, 16 ids; every matrix in Q4_1 but the head, which is F16.
std::string QuantisedGguf() {
  GgufWriter file;
  file.String("general.architecture", "llama");
  for (const auto& [key, value] : std::vector<std::pair<std::string, uint32_t>>{
           {"context_length", 64}, {"embedding_length", 32}, {"block_count", 1}, {"feed_forward_length", 32}, {"attention.head_count", 2}})
    file.U32("llama." + key, value);
  file.F32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  constexpr uint32_t kF16 = 1, kQ4_1 = 3;
  const auto q4_1 = [&](const std::string& name, uint64_t rows) {
    std::string data;
    for (uint64_t r = 0; r < rows; ++r) {
      data += GgufWriter::Number<uint16_t>(0x2c00) + GgufWriter::Number<uint16_t>(0xb800);  // 1/16, -1/2
      for (uint64_t i = 0; i < 16; ++i) data += static_cast<char>(r * 37 + i * 91 + name.size());
    }
    file.Tensor(name, {rows, 32}, kQ4_1, data);
  };
  q4_1("token_embd.weight", 16);
  for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"})
    q4_1(std::string("blk.0.") + name + ".weight", 32);
  for (const char* name : {"blk.0.attn_norm.weight", "blk.0.ffn_norm.weight", "output_norm.weight"})
    file.Floats(name, {32}, std::vector<float>(32, 1.0f));
  std::string head;
  for (uint32_t i = 0; i < 16 * 32; ++i) head += GgufWriter::Number<uint16_t>(static_cast<uint16_t>(0x2c00 + i * 7));
  file.Tensor("output.weight", {16, 32}, kF16, head);
  return file.Bytes();
}

TEST_CASE("convert keeps the blocks of a quantised source, and says which and which not") {
  const std::string folder = TemporaryFolder(), source = folder + "/tiny.gguf", out = folder + "/m.thimble";
  WriteFile(source, QuantisedGguf());
  const auto said = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"convert", source, "-o", out});
    const Finished finished = RunThimble(more);
    INFO(finished.err);
    REQUIRE(finished.exit_code == 0);
    CHECK(RunThimble({"verify", out}).exit_code == 0);
    return finished.out;
  };
  const auto has = [](const std::string& text, const std::string& part) {
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
  };
  const std::string kept = said({"--report", folder + "/r.html"});
  has(kept, "weights     as-is (blocks of the source): the default for quantised sources, which keeps their numbers to the last bit\n");
  has(kept, "kept        8 tensors as Q4_1\n");
  has(kept, "made anew   1 tensor as q8_0: is F16 in the source (output.head.weight)\n");
  CHECK(kept.find("warning") == std::string::npos);
  has(ReadFile(folder + "/r.html"), "<span class=\"tag b4\">q4_1</span>");
  has(said({"--weights", "as-is"}), "as-is (blocks of the source): asked for with --weights\n");
  has(said({"--weights", "q8"}), "warning     8 tensors of a quantised source rounded a second time; --weights as-is keeps its numbers\n");
  CHECK(said({"--weights", "f32"}).find("warning") == std::string::npos);
  const Json json = ParseJson(said({"--json"}));
  CHECK(json["weights_type"] == "as-is (blocks of the source)");
  size_t count = 0;
  for (const Json& tensor : json["tensors"].items()) count += tensor["kept"] == true;
  CHECK(count == 8);
  for (const char* command : {"plan", "inspect"}) CHECK(RunThimble({command, out}).exit_code == 0);
  REQUIRE(RunThimble({"convert", source, "-o", folder + "/host.thimble", "--pack", "host", "-q"}).exit_code == 0);
  const auto logits = [&](const std::string& model) {
    return ParseJson(RunThimble({"logits", model, "--ids", "1,2,3", "--json"}).out)["logits"];
  };
  CHECK(logits(out).size() == 3);
  CHECK(logits(out) == logits(folder + "/host.thimble"));
  CHECK(RunThimble({"pack", folder + "/host.thimble", "--for", "portable", "-q"}).exit_code == 0);
  CHECK(ReadFile(folder + "/host.thimble") == ReadFile(out));
}

TEST_CASE("q8 and int4 files are smaller and say what they lost") {
  const std::string source = Source("smollm2"), folder = TemporaryFolder();
  uintmax_t previous = UINTMAX_MAX;
  for (const std::string recipe : {"exact", "quality", "balanced"}) {
    const std::string out = folder + "/" + recipe + ".thimble";
    const Finished finished = RunThimble({"convert", source, "-o", out, "--recipe", recipe});
    INFO(finished.err);
    REQUIRE(finished.exit_code == 0);
    CHECK(fs::file_size(out) < previous);
    previous = fs::file_size(out);
    CHECK((finished.out.find("worst error") != std::string::npos) == (recipe != "exact"));
    CHECK(RunThimble({"verify", out}).exit_code == 0);
    CHECK(RunThimble({"logits", out, "--ids", "1,2,3"}).exit_code == 0);
  }
}

}  // namespace
}  // namespace thimble::test
