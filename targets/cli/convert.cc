// `thimble convert`: other people's models into one .thimble file. The work is targets/convert's; here are
// arguments and the list of what can be read.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "targets/convert/convert.h"
#include "targets/convert/family.h"
#include "targets/convert/family_gguf.h"
#include "targets/convert/pack_file.h"
#include "targets/convert/synthetic.h"
#include "targets/cli/commands.h"
#include "targets/cli/convert_report.h"
#include "targets/cli/error.h"
#include "targets/cli/input.h"
#include "targets/cli/interrupt.h"
#include "targets/cli/memory.h"
#include "targets/cli/options.h"
#include "targets/cli/output.h"
#include "targets/cli/output_file.h"
#include "targets/cli/progress.h"
#include "targets/cli/quantise_floats.h"
#include "targets/json/json.h"
#include "targets/template/known_texts.h"

namespace thimble::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr char kFooter[] = R"(Examples:
  thimble convert stories-qmqa/ -o stories-qmqa.thimble --weights q8
  thimble convert checkpoint.pt -o model.thimble --weights q8
  thimble convert stories260K.bin -o stories260K.thimble --tokenizer tok512.bin
  thimble convert tinyllama.Q4_K_M.gguf -o tinyllama.thimble
  thimble convert smollm2/ -o smollm2.thimble --weights q4 --report report.html
  thimble convert --shape tinyllama-1.1b -o shape.thimble --weights q4
  thimble convert smollm2/ -o smollm2.thimble --weights q4 --pack neondot,avx2
  thimble convert smollm2/ -o smollm2.thimble --weights 4.8 --calibration text.txt
  thimble convert tinyllama.Q4_K_M.gguf -o tinyllama.thimble --pack host
  thimble convert --list

SRC is a folder with config.json and model.safetensors (or its shards, or one .pt or .pth file), a .pt or
.pth file of torch.save (with its configuration inside or a config.json beside it), a .gguf file, or a
llama2.c .bin file. The result appears under its name when it is complete and checked; until then an older file of
that name stays. Memory stays small: one block of rows at a time. A .gguf file's quantised weights stay
what they are; another --weights rounds them a second time. --weights q6, q5 and q4 are numbers of bits: 6.5625,
5.625 and 4.625, spent where they save most. --shape writes random weights
instead of reading any: speed and memory do not depend on them. --pack needs room for a second copy while
it works.)";

struct Arguments {
  std::string source, output, weights, recipe, head, kv, tokenizer, chat_template, name, shape, report, packing, calibration, imatrix;
  std::vector<std::string> ignored_fields;
  int64_t block = 32, i2s_block = 0, seed = 1, positions = 0, threads = 0;
  bool no_tokenizer = false, no_turn = false, list = false, force = false, json = false, quiet = false;
};

WeightType Type(const std::string& text, const char* option) {
  if (text == "f32") return WeightType::kF32;
  if (text == "q8") return WeightType::kQ8_0;
  if (text == "q4") return WeightType::kQ4;
  throw Error(kInvalidArgument, std::string(option) + ": must be f32, q8, q4, q6, q5 or bits from 2 to 9, got " + Quoted(text));
}

// More than any type takes: every matrix that can be gets 8 bits.
constexpr double kEightBits = 9;

// Vectors of texts are sums over rows, in which errors of weights do not cancel: 8 bits are calibrated for such models, and what enters their
// layers keeps more of its digits. A recipe's name asks for the types as they are.
bool IsEightBitsOfVectors(const Arguments& arguments) {
  if (!arguments.recipe.empty() || !arguments.shape.empty() || !arguments.head.empty() || !arguments.kv.empty() || arguments.block != 32 ||
      (!arguments.weights.empty() && arguments.weights != "q8")) {
    return false;
  }
  ConvertOptions options;
  options.source = arguments.source;
  options.no_tokenizer = true;
  options.chat_template = "none";
  options.ignore_fields = arguments.ignored_fields;
  options.i2s_block = static_cast<uint32_t>(arguments.i2s_block);
  const StopAtOnce reading;
  const ConvertedHeader header = ConvertHeader(options);
  return header.gives_vectors && !header.quantised_source;
}

// Random weights need no quantiser.
WeightType AnyType(const std::string& text, const char* option) {
  if (const auto type = WeightTypeFromName(text)) return *type;
  throw Error(kInvalidArgument, std::string(option) + ": must be one of " + WeightTypeNames() + ", got " + Quoted(text));
}

std::string RecipeNames() {
  std::string names;
  for (const WeightRecipe& recipe : WeightRecipes()) names += (names.empty() ? "" : ", ") + std::string(recipe.name);
  return names;
}

// What a source's own blocks say; with --weights as-is the numbers of others as they are.
bool AsIs(const Arguments& arguments) {
  return arguments.weights == "as-is" || (arguments.weights.empty() && arguments.recipe.empty());
}

// --weights TYPE is the recipe of that type; --keep-head and --keep-kv come on top of either.
const WeightRecipe& Recipe(const Arguments& arguments) {
  if (!arguments.recipe.empty() && !arguments.weights.empty())
    throw Error(kInvalidArgument, "--recipe or --weights: give only one of these");
  if (!arguments.recipe.empty()) {
    const WeightRecipe* recipe = FindWeightRecipe(arguments.recipe);
    if (recipe != nullptr) return *recipe;
    throw Error(kInvalidArgument, "--recipe: must be one of " + RecipeNames() + ", got " + Quoted(arguments.recipe));
  }
  // Nothing is lost that can be seen (README), and three quarters are saved.
  if (arguments.weights.empty()) return *FindWeightRecipe("quality");
  const WeightType type = AsIs(arguments) ? WeightType::kF32 : Type(arguments.weights, "--weights");
  return *FindWeightRecipe(type == WeightType::kF32 ? "exact" : "quality");
}

std::string WeightsText(const Arguments& arguments, bool keeps_blocks) {
  const WeightRecipe& recipe = Recipe(arguments);
  std::string text = keeps_blocks ? "as-is (blocks of the source" : WeightTypeName(recipe.weights) + std::string(" (") + recipe.name;
  if (recipe.weights == WeightType::kQ4) text += ", block " + std::to_string(arguments.block);
  if (!arguments.head.empty()) text += ", head " + arguments.head;
  if (!arguments.kv.empty()) text += ", keys and values " + arguments.kv;
  return text + ")";
}

// Who chose them, and what else there is.
std::string WeightsReason(const Arguments& arguments, bool keeps_blocks) {
  if (keeps_blocks && arguments.weights.empty()) return "the default for quantised sources, which keeps their numbers to the last bit";
  const std::string others = "; --weights f32 keeps every bit, q4 takes about half, at some quality (README)";
  if (!arguments.recipe.empty()) return "asked for with --recipe";
  if (!arguments.weights.empty()) return "asked for with --weights";
  return arguments.shape.empty() ? "the default, whose loss cannot be seen" + others : "the default with --shape";
}

// What is read: a file that belongs to a folder stands for all of it.
void AddInputs(const Arguments& arguments, OutputFiles& outputs) {
  outputs.Reads(arguments.source);
  outputs.Reads(arguments.tokenizer);
  outputs.Reads(arguments.calibration);
  outputs.Reads(arguments.imatrix);
  const fs::path source = arguments.source;
  for (const char* extension : {".json", ".safetensors", ".pt", ".pth"}) {
    if (source.extension() == extension) outputs.Reads((fs::absolute(source).parent_path()).string());
  }
}

struct FileKind {
  const char* name;
  const char* summary;
};

constexpr FileKind kSources[] = {
    {"directory", "config.json and safetensors (also sharded; f32, f16, bf16), or one torch.save file"},
    {".pt, .pth", "torch.save since PyTorch 1.6, the configuration inside or in a config.json beside it"},
    {".gguf", "versions 2 and 3, one file"},
    {".bin", "llama2.c version 0"},
};

constexpr FileKind kTokenizers[] = {
    {"tokenizer.model", "SentencePiece (BPE, unigram, character maps), or tiktoken (Llama 3)"},
    {"tokenizer.json", "byte-level BPE with the split patterns of GPT-2, StarCoder and SmolLM, Llama 3, Qwen2, GPT-4o, "
                       "Falcon, DeepSeek; BPE with byte fallback; WordPiece (BERT)"},
    {".tiktoken", "GPT-2, GPT-4, GPT-4o, Llama 3, Qwen"},
    {"vocab.json", "with merges.txt: GPT-2"},
    {"vocab.txt", "WordPiece (BERT), cut as the tokenizer_config.json beside it says"},
    {".gguf", "the vocabulary inside: SentencePiece BPE, byte-level BPE"},
    {"tokenizer.bin", "llama2.c"},
};

// One row each in `text`, and the same as JSON.
Json AppendKinds(const char* title, std::span<const FileKind> kinds, std::string* text) {
  Json list = Json::Array();
  *text += std::string("\n") + title + "\n";
  for (const FileKind& kind : kinds) {
    list.Push({{"name", kind.name}, {"summary", kind.summary}});
    *text += Format("%-16s %s\n", kind.name, kind.summary);
  }
  return list;
}

int List(bool json) {
  Json list = Json::Array();
  std::string text = Format("%-12s %-15s %s\n", "family", "model_type", "what");
  for (const Family& family : Families()) {
    list.Push({{"family", family.name}, {"model_type", family.model_type}, {"summary", family.summary}});
    text += Format("%-12s %-15s %s\n", family.name, family.model_type, family.summary);
  }
  for (const GgufFamily& family : GgufFamilies()) {
    const std::string type = std::string("GGUF ") + family.architecture;
    list.Push({{"family", family.architecture}, {"model_type", type}, {"summary", family.summary}});
    text += Format("%-12s %-15s %s\n", family.architecture, type.c_str(), family.summary);
  }
  list.Push({{"family", "llama2c"}, {"model_type", nullptr}, {"summary", "llama2.c .bin files"}});
  text += Format("%-12s %-15s %s\n", "llama2c", "-", "llama2.c .bin files");
  for (const SyntheticShape& shape : SyntheticShapes()) {
    list.Push({{"family", "synthetic"}, {"model_type", shape.name}, {"summary", shape.summary}});
    text += Format("%-12s %-15s %s\n", "--shape", shape.name, shape.summary);
  }
  text += "types in GGUF files: " + ReadableGgufTypes() + "\n";
  const Json sources = AppendKinds("model files", kSources, &text);
  const Json tokenizers = AppendKinds("tokenizers", kTokenizers, &text);
  if (json) {
    PrintJson({{"families", std::move(list)},
               {"gguf_types", ReadableGgufTypes()},
               {"model_files", sources},
               {"tokenizers", tokenizers}});
  } else {
    Print(text);
  }
  return 0;
}

// What --shape asks for; the arguments that speak of a source have no meaning then.
ConvertReport WriteShape(const Arguments& arguments, ProgressBar& bar) {
  for (const auto& [given, name] : {std::pair{!arguments.source.empty(), "SRC"},
                                    std::pair{!arguments.tokenizer.empty(), "--tokenizer"},
                                    std::pair{!arguments.chat_template.empty(), "--chat-template"},
                                    std::pair{!arguments.recipe.empty(), "--recipe"},
                                    std::pair{!arguments.kv.empty(), "--keep-kv"},
                                    std::pair{!arguments.ignored_fields.empty(), "--ignore-field"}}) {
    if (given) throw Error(kInvalidArgument, std::string(name) + ": cannot be given with --shape, which reads nothing");
  }
  SyntheticOptions options;
  options.shape = arguments.shape;
  options.output = arguments.output;
  if (!arguments.weights.empty()) options.weights = AnyType(arguments.weights, "--weights");
  if (!arguments.head.empty()) options.head = AnyType(arguments.head, "--keep-head");
  options.block = static_cast<uint32_t>(arguments.block);
  options.positions = static_cast<uint32_t>(arguments.positions);
  options.turn = !arguments.no_turn;
  options.seed = static_cast<uint64_t>(arguments.seed);
  options.name = arguments.name;
  options.progress = [&bar](const ConvertProgress& progress) { return bar.Show(progress); };
  return WriteSynthetic(options);
}

ConvertReport ConvertSource(const Arguments& arguments, ProgressBar& bar) {
  ConvertOptions options;
  options.source = arguments.source;
  options.output = arguments.output;
  options.tokenizer = arguments.tokenizer;
  options.no_tokenizer = arguments.no_tokenizer;
  options.chat_template = arguments.chat_template;
  ApplyRecipe(Recipe(arguments), &options);
  options.as_is = AsIs(arguments);
  if (options.as_is) options.head = options.kv = std::nullopt;
  options.block = static_cast<uint32_t>(arguments.block);
  if (!arguments.head.empty()) options.head = Type(arguments.head, "--keep-head");
  if (!arguments.kv.empty()) options.kv = Type(arguments.kv, "--keep-kv");
  options.turn = !arguments.no_turn;
  options.i2s_block = static_cast<uint32_t>(arguments.i2s_block);
  options.name = arguments.name;
  options.ignore_fields = arguments.ignored_fields;
  // Before the output is begun there is nothing to tidy up: a signal ends the reading of a huge source at once.
  std::optional<StopAtOnce> reading(std::in_place);
  options.progress = [&bar, &reading](const ConvertProgress& progress) {
    reading.reset();
    return bar.Show(progress);
  };
  return Convert(options);
}

// Portable rows, or floats, beside the output, of which the output is made. What a killed conversion left is written anew by the
// next.
class IntermediateFile {
 public:
  explicit IntermediateFile(const std::string& path) : path_(path) {}
  ~IntermediateFile() {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  IntermediateFile(const IntermediateFile&) = delete;
  IntermediateFile& operator=(const IntermediateFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Weights in blocks, with a choice for each tensor: floats first, in a file beside the output, then these quantised.
ConvertReport ConvertToBlocks(Arguments arguments, double bits, std::string* reason) {
  for (const auto& [given, name] : {std::pair{!arguments.head.empty(), "--keep-head"}, std::pair{!arguments.kv.empty(), "--keep-kv"},
                                    std::pair{arguments.block != 32, "--block"}}) {
    if (given) throw Error(kInvalidArgument, std::string(name) + ": cannot be given with --weights " + arguments.weights + ", which chooses for each tensor");
  }
  const bool fine = bits == kEightBits && (arguments.weights.empty() || arguments.weights == "q8");
  const QuantiseArguments quantise{bits, arguments.calibration, arguments.imatrix, !arguments.no_turn, arguments.quiet, fine, arguments.threads};
  const std::string output = arguments.output;
  const IntermediateFile floats(output + ".floats");
  arguments.output = floats.path();
  arguments.weights = "f32";
  ConvertReport read;
  {
    ProgressBar bar(arguments.quiet);
    read = ConvertSource(arguments, bar);
  }
  const QuantisedFloats quantised = QuantiseFloats(floats.path(), output, quantise);
  ConvertReport report = quantised.model.report;
  report.source_bytes = read.source_bytes;
  report.quantised_source = read.quantised_source;
  for (size_t i = 0; i < report.tensors.size(); ++i) {
    report.tensors[i].source_type = read.tensors[i].source_type;
    report.tensors[i].source_bytes = read.tensors[i].source_bytes;
    report.tensors[i].quantised_source = read.tensors[i].quantised_source;
  }
  *reason = Format("%.3f bits per weight of the matrices, a type for each by its loss, measured with %s%s", quantised.model.bits, quantised.inputs.c_str(),
                   fine ? "; inputs of layers in two planes, as its vectors are sums of rows (--recipe quality: faster, less exact)" : "");
  return report;
}

struct PackedOutput {
  std::string path, packing;
};

// A file carries one packing: with several of them each gets a file of its own, NAME.PACKING.thimble.
std::vector<PackedOutput> PackedOutputs(const Arguments& arguments) {
  std::vector<std::string> packings;
  for (size_t at = 0; !arguments.packing.empty() && at <= arguments.packing.size();) {
    const size_t end = std::min(arguments.packing.find(',', at), arguments.packing.size());
    packings.push_back(arguments.packing.substr(at, end - at));
    at = end + 1;
  }
  std::vector<PackedOutput> outputs;
  for (std::string& packing : packings) {
    if (packing == "host") packing = BestTable() == "scalar" ? "portable" : BestTable();
    if (!IsTablePacking(packing))
      throw Error(kInvalidArgument, "--pack: must be host or some of " + TablePackingNames() + ", got " + Quoted(packing));
    fs::path path = arguments.output;
    if (packings.size() > 1) path.replace_extension("." + packing + path.extension().string());
    outputs.push_back({path.string(), packing});
  }
  return outputs;
}

// The bytes of the new file.
uint64_t Pack(const std::string& unpacked, const PackedOutput& output, ProgressBar& bar) {
  PackOptions options;
  options.source = unpacked;
  options.output = output.path;
  options.table = output.packing;
  options.progress = [&bar](const ConvertProgress& progress) { return bar.Show(progress); };
  return PackFile(options).file_bytes;
}

int Run(const Arguments& arguments) {
  if (arguments.list) return List(arguments.json);
  if (arguments.source.empty() && arguments.shape.empty())
    throw Error(kInvalidArgument, "SRC is missing; `thimble convert --help` shows the arguments");
  if (arguments.output.empty()) throw Error(kInvalidArgument, "-o is missing: the file to write");
  std::error_code failed;
  if (arguments.shape.empty() && !fs::is_directory(arguments.source, failed)) CheckReadable(arguments.source);
  if (!arguments.tokenizer.empty() && !fs::is_directory(arguments.tokenizer, failed))
    CheckReadable(arguments.tokenizer);
  if (arguments.block != 32 && arguments.block != 64 && arguments.block != 128)
    throw Error(kInvalidArgument, "--block: must be 32, 64 or 128");
  if (arguments.i2s_block != 0 && arguments.i2s_block != 64 && arguments.i2s_block != 128)
    throw Error(kInvalidArgument, "--i2s-block: must be 128 or 64");
  double bits = 0;  // 0: the types are given
  if (arguments.recipe.empty() && arguments.shape.empty()) bits = BitsPerWeight(arguments.weights).value_or(0);
  for (const std::string& path : {arguments.calibration, arguments.imatrix}) {
    if (path.empty()) continue;
    CheckReadable(path);
    if (bits == 0) throw Error(kInvalidArgument, "--calibration and --imatrix: need --weights with a number of bits, q6, q5 or q4");
  }
  if (!arguments.calibration.empty() && !arguments.imatrix.empty())
    throw Error(kInvalidArgument, "--calibration or --imatrix: give only one of these");
  std::vector<PackedOutput> outputs = PackedOutputs(arguments);
  OutputFiles files(arguments.force);
  AddInputs(arguments, files);
  Arguments written = arguments;
  for (PackedOutput& output : outputs) output.path = files.Writes("-o", output.path, OutputKind::kModel).path();
  if (!outputs.empty()) written.output += ".unpacked";
  written.output = files.Writes("-o", written.output, OutputKind::kModel).path();
  std::optional<OutputFile> report_file;
  if (!arguments.report.empty())
    report_file = files.Writes("--report", arguments.report, ConversionReportKind(arguments.report));

  const auto start = Clock::now();
  if (bits == 0 && IsEightBitsOfVectors(arguments)) bits = kEightBits;
  ProgressBar bar(arguments.quiet);
  std::optional<IntermediateFile> unpacked;
  if (!outputs.empty()) unpacked.emplace(written.output);
  std::string reason;
  ConvertReport report = !arguments.shape.empty() ? WriteShape(written, bar)
                         : bits != 0              ? ConvertToBlocks(written, bits, &reason)
                                                  : ConvertSource(written, bar);
  for (const PackedOutput& output : outputs) report.file_bytes = Pack(unpacked->path(), output, bar);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  bar.Clear();
  const bool random = !arguments.shape.empty();
  const bool keeps_blocks = AsIs(arguments) && report.quantised_source;
  const std::string weights = bits != 0 ? (arguments.weights.empty() ? "q8" : arguments.weights)
                              : !random ? WeightsText(arguments, keeps_blocks) : arguments.weights.empty() ? "q4" : arguments.weights;
  std::vector<std::string> paths;
  for (const PackedOutput& output : outputs) paths.push_back(output.path);
  if (outputs.empty()) paths.push_back(arguments.output);
  const ConversionFacts facts{report, random ? arguments.shape : arguments.source, arguments.output, weights,
                              bits != 0 ? reason : WeightsReason(arguments, keeps_blocks), paths, seconds, MeasureMemory().peak_resident_bytes};
  if (report_file) WriteConversionReport(*report_file, facts);
  if (arguments.json) {
    PrintJson(ConversionJson(facts));
  } else if (!arguments.quiet) {
    Print(ConversionText(facts));
  }
  return 0;
}

}  // namespace

Command AddConvert(CLI::App* program) {
  auto arguments = std::make_shared<Arguments>();
  Arguments* a = arguments.get();
  CLI::App* app =
      program->add_subcommand("convert", "Bring in a model from Hugging Face, llama2.c or the paper's code");
  app->add_option("SRC", a->source, "A folder or a file")->type_name("");
  app->add_option("-o,--output", a->output, "The .thimble file to write")->type_name("FILE");
  app->add_option(
         "--weights", a->weights,
         "as-is (the blocks of a quantised source, the numbers of others as f32), f32, q8 (int8, a scale per 32 weights) or q4 (int4, a "
         "scale per block; keys, values and head stay q8); q6, q5 or a number such as 4.8: bits per weight on average, in blocks of a "
         "type for each tensor, calibrated; with --shape every type: " + WeightTypeNames())
      ->type_name("TYPE")
      ->default_str("as-is for quantised sources, q8 for others; with --shape q4");
  app->add_option("--calibration", a->calibration, "A text like those the model will read, for --weights BITS; by default one of our own")
      ->type_name("FILE");
  app->add_option("--imatrix", a->imatrix, "An importance matrix of llama.cpp (.dat or .gguf) in place of a text")->type_name("FILE");
  AddInteger(app, "-t,--threads", &a->threads, 0, 256, "For --weights BITS; the file does not depend on it")->default_str("all processors");
  app->add_option("--recipe", a->recipe, "By name instead of --weights: " + RecipeNames())->type_name("NAME");
  AddInteger(app, "--block", &a->block, 1, 1024, "Weights per scale with q4: 32, 64 or 128")
      ->default_str("32");
  app->add_option("--keep-head", a->head,
                  "Another type for the output head (and the embedding, where they are one)")
      ->type_name("TYPE");
  app->add_option("--keep-kv", a->kv, "Another type for the projections to keys and values")->type_name("TYPE");
  app->add_option(
         "--tokenizer", a->tokenizer,
         "tokenizer.model, tokenizer.json, vocab.json beside merges.txt, vocab.txt, tokenizer.bin, or a folder; "
         "by default what lies in SRC")
      ->type_name("FILE");
  app->add_option("--pack", a->packing,
                  "Weights in the layout of these kernels, used where they lie in the file: host (this machine's best), " + TablePackingNames() +
                      "; with several, separated by commas, one file for each: NAME.PACKING.thimble")
      ->type_name("TABLE");
  app->add_flag("--no-turn", a->no_turn,
                "Do not turn the rows of quantised weights by Walsh-Hadamard matrices, which costs a little time in every pass and "
                "makes quantised inputs several times as exact");
  AddInteger(app, "--i2s-block", &a->i2s_block, 1, 1024,
             "Weights in a block of I2_S, bitnet.cpp's own type of GGUF, which its files do not say: 128 (written on x86-64, and published ones) "
             "or 64 (on ARM, since November 2025)");
  app->add_flag("--no-tokenizer", a->no_tokenizer, "Take none");
  app->add_option("--chat-template", a->chat_template,
                  "In place of SRC's own: a file of Jinja, or one of " + chat::KnownTextNames() + "; none leaves it out")
      ->type_name("FILE|NAME");
  app->add_option("--name", a->name, "The model's name, by default that of SRC")->type_name("NAME");
  app->add_option("--ignore-field", a->ignored_fields,
                  "A field of config.json that does not matter; may be repeated")
      ->type_name("NAME")
      ->take_all()
      ->expected(1);
  const char* kShape = "Random weights";
  app->add_option("--shape", a->shape, "Read nothing, write a model of this shape; --list shows them")
      ->type_name("NAME")
      ->group(kShape);
  AddInteger(app, "--seed", &a->seed, 0, INT64_MAX, "Of the random weights")->default_str("1")->group(kShape);
  AddInteger(app, "--positions", &a->positions, 0, 1 << 20, "Its context; 0 = that of the shape")
      ->default_str("0")
      ->group(kShape);
  app->add_flag("--force", a->force, "Replace files of other kinds, too; never what is read");
  app->add_flag("--list", a->list, "Show the families of models that can be brought in");
  app->add_option("--report", a->report, "Error and bytes of every tensor: a page (.html) or JSON (.json)")
      ->type_name("FILE");
  app->add_flag("-q,--quiet", a->quiet, "No progress and no report on the terminal");
  app->add_flag("--json", a->json, "The report as one JSON object on standard output");
  app->footer(kFooter);
  return {app, [arguments] { return Run(*arguments); }};
}

}  // namespace thimble::cli
