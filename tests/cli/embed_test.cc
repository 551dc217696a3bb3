// `thimble embed`, and an encoder's text elsewhere: the committed BERT fixture with a vocabulary that fits it.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "tests/cli/process.h"
#include "tests/support/json_testing.h"

namespace thimble::test {
namespace {

const std::string& Encoder() {
  static const std::string path = [] {
    const std::string folder = TemporaryFolder();
    const std::string vocabulary = WriteFile(folder + "/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\nweather\nis\nlove\n##ly\n.\n");
    const std::string out = folder + "/bert.thimble";
    REQUIRE(RunThimble({"convert", Golden("bert"), "-o", out, "--weights", "f32", "--tokenizer", vocabulary, "-q"}).exit_code == 0);
    return out;
  }();
  return path;
}

Json JsonOf(const std::vector<std::string>& arguments) {
  const Finished finished = RunThimble(arguments);
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  return ParseJson(finished.out);
}

using Numbers = std::vector<double>;

double Distance(const Numbers& a, const Numbers& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

Numbers WithLengthOne(Numbers v) {
  double square = 0;
  for (const double e : v) square += e * e;
  for (double& e : v) e /= std::sqrt(square);
  return v;
}

TEST_CASE("embed pools an encoder's rows into a vector of length 1") {
  const Json expected = ReadJson(Golden("bert") + "/expected.json");
  std::string ids;
  for (const Json& id : expected["ids"].items()) ids += (ids.empty() ? "" : ",") + JsonText(id);
  const Json mean = JsonOf({"embed", Encoder(), "--ids", ids, "--json"});
  CHECK((mean["pooling"] == "mean" && mean["ids"] == expected["ids"]));
  CHECK(Distance(As<Numbers>(mean["embedding"]), As<Numbers>(expected["embedding"])) < 1e-5);
  const Json first = JsonOf({"embed", Encoder(), "--ids", ids, "--pooling", "first", "--json"});
  CHECK(Distance(As<Numbers>(first["embedding"]), WithLengthOne(As<Numbers>(expected["hidden"][0]))) < 1e-5);
  const Json rows = JsonOf({"embed", Encoder(), "--ids", ids, "--pooling", "none", "--json"});
  REQUIRE(rows["rows"].size() == expected["hidden"].size());
  CHECK(Distance(As<Numbers>(rows["rows"][5]), As<Numbers>(expected["hidden"][5])) < 1e-4);
}

TEST_CASE("embed reads a text, from the line or a file, and prints numbers") {
  const std::string text = "The WEATHER is lovely.";
  const Json json = JsonOf({"embed", Encoder(), "-p", text, "--json"});
  CHECK(json["ids"] == Json::Array({2, 4, 5, 6, 7, 8, 9, 3}));
  const std::string file = WriteFile(TemporaryFolder() + "/text.txt", text + "\n");
  CHECK(JsonOf({"embed", Encoder(), "-f", file, "--json"})["embedding"] == json["embedding"]);
  const Finished line = RunThimble({"embed", Encoder(), "-p", text});
  REQUIRE(line.exit_code == 0);
  std::istringstream numbers(line.out);
  Numbers printed;
  for (double number; numbers >> number;) printed.push_back(number);
  CHECK(printed == As<Numbers>(json["embedding"]));
  CHECK(std::count(line.out.begin(), line.out.end(), '\n') == 1);
  // The other commands take an encoder's text, too.
  const Json rows = JsonOf({"logits", Encoder(), "-p", text, "--json"});
  CHECK(rows["logits"] == JsonOf({"embed", Encoder(), "-p", text, "--pooling", "none", "--json"})["rows"]);
  CHECK(RunThimble({"tokenize", Encoder(), "--ids", "2,4,7,8,9,3"}).out == "the lovely.\n");
}

TEST_CASE("embed: the last row, texts line by line, and how alike two are") {
  const Json expected = ReadJson(Golden("bert") + "/expected.json");
  std::string ids;
  for (const Json& id : expected["ids"].items()) ids += (ids.empty() ? "" : ",") + JsonText(id);
  const Json last = JsonOf({"embed", Encoder(), "--ids", ids, "--pooling", "last", "--json"});
  CHECK(last["pooling"] == "last");
  CHECK(Distance(As<Numbers>(last["embedding"]), WithLengthOne(As<Numbers>(expected["hidden"][expected["hidden"].size() - 1]))) < 1e-5);
  const std::string file = WriteFile(TemporaryFolder() + "/lines.txt", "the weather\r\nis lovely\nthe weather");
  const Json lines = JsonOf({"embed", Encoder(), "-f", file, "--lines", "--json"});
  REQUIRE((lines["embeddings"].size() == 3 && lines["ids"].size() == 3));
  CHECK(lines["embeddings"][0] == JsonOf({"embed", Encoder(), "-p", "the weather", "--json"})["embedding"]);
  CHECK((lines["embeddings"][0] == lines["embeddings"][2] && !(lines["embeddings"][0] == lines["embeddings"][1])));
  const Finished plain = RunThimble({"embed", Encoder(), "-f", file, "--lines"});
  CHECK(std::count(plain.out.begin(), plain.out.end(), '\n') == 3);
  const Numbers a = As<Numbers>(lines["embeddings"][0]), b = As<Numbers>(lines["embeddings"][1]);
  double product = 0;
  for (size_t i = 0; i < a.size(); ++i) product += a[i] * b[i];
  CHECK(std::abs(As<double>(JsonOf({"embed", Encoder(), "-p", "the weather", "--cosine", "is lovely", "--json"})["cosine"]) - product) < 1e-6);
  CHECK(RunThimble({"embed", Encoder(), "-p", "the weather", "--cosine", "the weather"}).out == "1.000000\n");
}

TEST_CASE("logits --hidden: the rows in front of the head, of encoders and decoders") {
  const Json expected = ReadJson(Golden("bert") + "/expected.json");
  const Json rows = JsonOf({"logits", Encoder(), "--ids", "2,4,7,8,9,3", "--hidden", "--json"});
  CHECK(rows["hidden"] == JsonOf({"embed", Encoder(), "--ids", "2,4,7,8,9,3", "--pooling", "none", "--json"})["rows"]);
  // A tied head: its products with the table are the logits.
  const std::string decoder = TemporaryFolder() + "/llama.thimble";
  REQUIRE(RunThimble({"convert", Golden("llama"), "-o", decoder, "--weights", "f32", "-q"}).exit_code == 0);
  const Json hidden = JsonOf({"logits", decoder, "--ids", "1,5,9", "--hidden", "--json"}), logits = JsonOf({"logits", decoder, "--ids", "1,5,9", "--json"});
  REQUIRE(hidden["hidden"].size() == 3);
  CHECK(hidden["outputs"] == ReadJson(Golden("llama") + "/config.json")["hidden_size"]);
  CHECK(logits["logits"].size() == 3);
  const Finished images = RunThimble({"logits", decoder, "--pixels", "x.json", "--hidden"});
  CHECK(images.exit_code == 2);
}

TEST_CASE("embed refuses what it cannot do, by name") {
  const auto says = [](const std::vector<std::string>& arguments, int exit_code, const char* text) {
    const Finished finished = RunThimble(arguments);
    INFO(finished.err);
    CHECK(finished.exit_code == exit_code);
    CHECK(finished.err.find(text) != std::string::npos);
  };
  says({"embed", Encoder()}, 2, "give one of these");
  says({"embed", Encoder(), "-p", "the", "--ids", "1"}, 2, "only one");
  says({"embed", Encoder(), "-p", "the", "--pooling", "max"}, 2, "--pooling");
  says({"embed", Encoder(), "-p", "the", "--pooling", "none", "--lines"}, 2, "of one text alone");
  says({"embed", Encoder(), "-p", "the", "--cosine", "is", "--lines"}, 2, "do not go together");
  says({"embed", Encoder(), "--ids", ","}, 2, "at least one");
  says({"embed", Encoder(), "--ids", "1,x"}, 2, "--ids");
  says({"embed", Encoder(), "--ids", "96"}, 2, "96");
  says({"embed", ShippedModel(), "-p", "the"}, 4, "is a decoder");
  says({"embed", Golden("bert") + "/config.json", "-p", "the"}, 3, "config.json");
  std::string many = "2";
  for (int i = 0; i < 64; ++i) many += ",4";
  says({"embed", Encoder(), "--ids", many}, 7, "64");
  const std::string images = TemporaryFolder() + "/vit.thimble";
  REQUIRE(RunThimble({"convert", Golden("vit_qkv"), "-o", images, "-q"}).exit_code == 0);
  says({"embed", images, "--ids", "1"}, 4, "reads images");
  const std::string silent = TemporaryFolder() + "/silent.thimble";
  REQUIRE(RunThimble({"convert", Golden("bert"), "-o", silent, "-q"}).exit_code == 0);
  says({"embed", silent, "-p", "the"}, 4, "carries no tokenizer");
  // More ids than the model has rows of its table.
  std::string lines = "[UNK]\n[CLS]\n[SEP]\n";
  for (int i = 0; i < 94; ++i) lines += "p" + std::to_string(i) + "\n";
  const std::string vocabulary = WriteFile(TemporaryFolder() + "/vocab.txt", lines);
  says({"convert", Golden("bert"), "-o", silent, "--tokenizer", vocabulary, "-q"}, 3, "97 ids, the model only 96 rows");
}

double Cosine(const Numbers& a, const Numbers& b) {
  double product = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) product += a[i] * b[i], aa += a[i] * a[i], bb += b[i] * b[i];
  return product / std::sqrt(aa * bb);
}

TEST_CASE("8 bits of an encoder: calibrated, with inputs in two planes, but for the recipe of that name") {
  const std::string folder = TemporaryFolder(), fine = folder + "/fine.thimble", plain = folder + "/plain.thimble";
  const std::string vocabulary = WriteFile(folder + "/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\nweather\nis\nlove\n##ly\n.\n");
  const Json report = JsonOf({"convert", Golden("bert"), "-o", fine, "--tokenizer", vocabulary, "--json", "-q"});
  CHECK(JsonText(report).find("in two planes") != std::string::npos);
  REQUIRE(RunThimble({"convert", Golden("bert"), "-o", plain, "--recipe", "quality", "--tokenizer", vocabulary, "-q"}).exit_code == 0);
  const auto planes = [](const std::string& path) {
    size_t count = 0;
    const Json file = JsonOf({"inspect", path, "--json"});
    for (const Json& tensor : file["tensors"].items()) count += tensor.Find("fine_inputs") != nullptr;
    return count;
  };
  CHECK((planes(fine) > 0 && planes(plain) == 0));
  const std::string text = "the weather is lovely.";
  const auto vector = [&](const std::string& path) { return As<Numbers>(JsonOf({"embed", path, "-p", text, "--json"})["embedding"]); };
  const Numbers exact = vector(Encoder());
  CHECK(1 - Cosine(vector(fine), exact) < 1 - Cosine(vector(plain), exact));
  CHECK(RunThimble({"verify", fine}).exit_code == 0);
}

TEST_CASE("all-MiniLM-L6-v2 in 8 bits: no vector is further from f32's than a cosine of 0.9999") {
  const char* minilm = std::getenv("THIMBLE_MINILM");
  if (minilm == nullptr) SKIP("THIMBLE_MINILM names no folder of all-MiniLM-L6-v2 (tests/golden/README.md says where from)");
  const std::string folder = TemporaryFolder();
  const std::string text = WriteFile(folder + "/text.txt",
                                     "The weather is lovely today.\nIt's so sunny outside!\nHe drove to the stadium.\nLa m\xc3\xa9t\xc3\xa9o est belle.\n"
                                     "The ferries run twice a day in winter, and in summer every hour from seven in the morning until the last light.\n");
  std::vector<Json> vectors;
  for (const char* type : {"f32", "q8"}) {
    const std::string path = folder + "/" + type + ".thimble";
    REQUIRE(RunThimble({"convert", minilm, "-o", path, "--weights", type, "-q"}).exit_code == 0);
    vectors.push_back(JsonOf({"embed", path, "-f", text, "--lines", "--json"})["embeddings"]);
  }
  double worst = 1;
  for (size_t i = 0; i < vectors[0].size(); ++i) worst = std::min(worst, Cosine(As<Numbers>(vectors[0][i]), As<Numbers>(vectors[1][i])));
  INFO("the least cosine is " << worst);
  CHECK(worst >= 0.9999);
}

}  // namespace
}  // namespace thimble::test
