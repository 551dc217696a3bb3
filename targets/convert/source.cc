#include "targets/convert/source.h"

#include <algorithm>
#include <cstring>

#include "targets/convert/bitnet_checkpoint.h"
#include "targets/convert/family.h"
#include "targets/convert/family_gguf.h"
#include "targets/convert/family_llama2c.h"
#include "targets/convert/json_file.h"
#include "targets/convert/safetensors.h"
#include "targets/convert/sentence_modules.h"
#include "targets/convert/shapes_only.h"
#include "targets/convert/tokenizers/tokenizers.h"
#include "targets/convert/torch_file.h"
#include "targets/convert/wrapper.h"

namespace thimble {
namespace {

namespace fs = std::filesystem;

// An id, or a list of ids; anything else is not one.
void ReadIds(const Json& config, const char* field, std::vector<uint32_t>* ids) {
  const Json* found = config.Find(field);
  if (found == nullptr) return;
  const auto add = [ids](const Json& value) {
    if (!value.is_unsigned() || value.as_unsigned() >= kNoToken) return;
    const uint32_t id = static_cast<uint32_t>(value.as_unsigned());
    if (std::find(ids->begin(), ids->end(), id) == ids->end()) ids->push_back(id);
  };
  if (found->is_array()) {
    for (const Json& value : found->items()) add(value);
  } else {
    add(*found);
  }
}

// Where published repositories of training runs have their files, with what describes them in front of it.
constexpr char kCheckpoints[] = "checkpoints";

// The one torch.save file of a directory that has no safetensors, or of its checkpoints/; empty where there is none.
fs::path TorchFileOf(const fs::path& directory) {
  if (fs::exists(directory / "model.safetensors") || fs::exists(directory / "model.safetensors.index.json")) return {};
  fs::path found;
  for (const auto& entry : fs::directory_iterator(directory)) {
    const std::string extension = entry.path().extension().string();
    if (extension != ".pt" && extension != ".pth" && entry.path().filename() != "pytorch_model.bin") continue;
    if (!found.empty()) {
      throw ImportError(Code::kInvalidArgument,
                        "holds '" + found.filename().string() + "' and '" + entry.path().filename().string() +
                            "': name one of the files",
                        directory.string());
    }
    found = entry.path();
  }
  if (found.empty() && fs::is_directory(directory / kCheckpoints)) return TorchFileOf(directory / kCheckpoints);
  return found;
}

// Python writes a bare Infinity, which JSON does not have.
Json ReadConfig(const fs::path& path) {
  constexpr uint64_t kMostBytes = 64u << 20;
  return ParseJsonObject(ReadSmallFile(path, kMostBytes), path.string(), {.infinities = true});
}

std::map<std::string, size_t> SetOtherPartsAside(Checkpoint& checkpoint) {
  std::map<std::string, size_t> parts;
  for (size_t i = 0; i < checkpoint.tensors().size(); ++i) {
    const std::string part = OtherPart(checkpoint.tensors()[i].name);
    if (part.empty()) continue;
    checkpoint.SetAside(i);
    ++parts[part];
  }
  return parts;
}

bool HasTokenizer(const fs::path& directory) {
  for (const char* name : {"tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt", "tokenizer.bin"}) {
    if (fs::exists(directory / name)) return true;
  }
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().extension() == ".tiktoken") return true;
  }
  return false;
}

// The configuration is in the file, or a config.json beside it or in front of checkpoints/. There lies the tokenizer, too.
Source OpenTorch(const fs::path& path, const ConvertOptions& options) {
  auto checkpoint = TorchCheckpoint::Open(path);
  const fs::path own = fs::absolute(path).lexically_normal().parent_path();
  const fs::path front = own.filename() == kCheckpoints ? own.parent_path() : own;
  const fs::path beside = (fs::exists(own / "config.json") ? own : front) / "config.json";
  if (!checkpoint->config() && !fs::exists(beside)) {
    throw ImportError(Code::kInvalidModel,
                      "holds no configuration ('model_config' or 'config'), and no config.json is beside it",
                      path.string());
  }
  const std::string where = checkpoint->config() ? path.string() : beside.string();
  const Json json = checkpoint->config() ? *checkpoint->config() : ReadConfig(beside);
  const Family& family = FindFamily(json, where);
  Config config(json, where);
  config.Ignore(options.ignore_fields);
  Source source;
  source.plan = family.plan(config, *checkpoint);
  source.without_effect = config.without_effect();
  source.plan.model.metadata.emplace_back("source.model_type", family.model_type);
  source.directory = HasTokenizer(own) ? own : front;
  source.chat_templates = ReadChatTemplates(source.directory);
  source.checkpoint = std::move(checkpoint);
  return source;
}

bool HasWeights(const fs::path& directory) {
  return fs::exists(directory / "model.safetensors") || fs::exists(directory / "model.safetensors.index.json");
}

Source OpenHuggingFace(const fs::path& directory, const ConvertOptions& options, bool shapes_only) {
  if (const fs::path torch = TorchFileOf(directory); !torch.empty()) return OpenTorch(torch, options);
  const fs::path config_path = directory / "config.json";
  if (!fs::exists(config_path)) throw ImportError(Code::kIo, "holds no config.json", directory.string());
  const Json json = ReadConfig(config_path);
  const std::optional<Json> text = UnwrapText(json, config_path.string());
  const Family& family = FindFamily(text ? *text : json, config_path.string());
  Source source;
  if (shapes_only && !HasWeights(directory)) {
    source.checkpoint = std::make_unique<ShapesOnlyCheckpoint>(config_path.string());
  } else {
    source.checkpoint = SafetensorsCheckpoint::OpenDirectory(directory);
  }
  if (text) source.left_out = SetOtherPartsAside(*source.checkpoint);
  Config config(text ? *text : json, config_path.string(), text ? "text_config." : "");
  config.Ignore(options.ignore_fields);
  if (const auto rules = BitNetCheckpoint::ReadRules(config)) source.checkpoint = std::make_unique<BitNetCheckpoint>(std::move(source.checkpoint), *rules);
  source.plan = family.plan(config, *source.checkpoint);
  source.without_effect = config.without_effect();
  source.plan.model.metadata.emplace_back("source.model_type", family.model_type);
  AddSentenceModules(directory, source.plan);
  source.directory = directory;
  source.chat_templates = ReadChatTemplates(directory);
  std::vector<uint32_t> bos;
  for (const Json* where : {&json, text ? &*text : nullptr}) {
    if (where == nullptr) continue;
    ReadIds(*where, "bos_token_id", &bos);
    ReadIds(*where, "eos_token_id", &source.eos);
  }
  if (!bos.empty()) source.bos = bos[0];
  const fs::path generation = directory / "generation_config.json";
  if (fs::exists(generation)) ReadIds(ReadJsonObject(generation), "eos_token_id", &source.eos);
  return source;
}

// Files that people will try, told apart by their first bytes so that the message helps.
void RefuseOtherKinds(const fs::path& path) {
  const SourceFile file(path);
  char magic[4] = {};
  if (file.bytes() >= sizeof magic) file.ReadAt(0, magic, sizeof magic);
  const auto refuse = [&](const char* what) { throw ImportError(Code::kUnsupported, what, file.name()); };
  // A pickle without the archive around it.
  if (magic[0] == '\x80' && magic[1] >= 2 && magic[1] <= 5) {
    refuse("is a torch.save file of the old kind (before PyTorch 1.6); load it and save it again");
  }
  if (std::memcmp(magic, "THMB", 4) == 0) refuse("is a .thimble file already");
  if (std::memcmp(magic, "ak42", 4) == 0 || std::memcmp(magic, "24ka", 4) == 0) {
    refuse("llama2.c version 1 and 2 files are not supported; export version 0");
  }
}

Source OpenLlama2c(const fs::path& path) {
  RefuseOtherKinds(path);
  auto checkpoint = Llama2cCheckpoint::Open(path);
  Source source;
  source.plan = PlanLlama2c(*checkpoint, path.string());
  source.checkpoint = std::move(checkpoint);
  source.plan.model.metadata.emplace_back("source.model_type", "llama2.c version 0");
  source.bos = 1;  // fixed in llama2.c
  source.eos = {2};
  return source;
}

// bitnet-b1.58-2B-4T, as its authors publish it.
constexpr char kPublishedI2s[] = "bitnet2b";

// Only the published file's layout is known without being told.
void SetI2sBlock(const ConvertOptions& options, GgufCheckpoint& checkpoint) {
  const std::vector<SourceTensor>& tensors = checkpoint.tensors();
  size_t first = 0;
  while (first < tensors.size() && !checkpoint.IsTernary(first)) ++first;
  if (first == tensors.size()) return;
  const Json* name = checkpoint.metadata().Find("general.name");
  uint32_t block = options.i2s_block;
  if (block == 0 && name != nullptr && *name == kPublishedI2s) block = kI2sBlock;
  if (block == 0) {
    throw ImportError(Code::kUnsupported,
                      "tensor '" + tensors[first].name + "': type I2_S, whose layout depends on the machine that wrote the file, which does not say; give "
                      "--i2s-block 128 (x86-64, and files that are published) or 64 (ARM, since November 2025); the wrong one makes nonsense of the model",
                      checkpoint.file());
  }
  checkpoint.SetI2sBlock(block);
}

Source OpenGguf(const fs::path& path, const ConvertOptions& options) {
  auto checkpoint = GgufCheckpoint::Open(path);
  SetI2sBlock(options, *checkpoint);
  Source source;
  source.chat_templates = ReadChatTemplates(*checkpoint);
  if (HasGgufVocabulary(checkpoint->metadata())) source.tokenizer = path;
  GgufModel model = PlanGguf(std::move(checkpoint), options.ignore_fields);
  source.plan = std::move(model.plan);
  source.checkpoint = std::move(model.checkpoint);
  source.plan.model.metadata.emplace_back("source.model_type", "GGUF " + source.plan.model.family);
  return source;
}

}  // namespace

Source OpenSource(const ConvertOptions& options, bool shapes_only) {
  const fs::path& path = options.source;
  if (fs::is_directory(path)) return OpenHuggingFace(path, options, shapes_only);
  if (!fs::exists(path)) throw ImportError(Code::kIo, "cannot be opened: No such file or directory", path.string());
  const std::string file = path.filename().string();
  if (file == "config.json" || file == "model.safetensors" || file == "model.safetensors.index.json") {
    return OpenHuggingFace(path.parent_path(), options, shapes_only);
  }
  if (IsGgufFile(path)) return OpenGguf(path, options);
  if (TorchCheckpoint::IsTorchFile(path)) return OpenTorch(path, options);
  if (path.extension() == ".bin") return OpenLlama2c(path);
  RefuseOtherKinds(path);
  throw ImportError(Code::kUnsupported,
                    "not a kind of model that is known; expected a directory with config.json and "
                    "model.safetensors, a .gguf file, a torch.save .pt file, or a llama2.c .bin file",
                    path.string());
}

void AddTokenizer(const ConvertOptions& options, Source& source) {
  ModelDescription& model = source.plan.model;
  if (options.no_tokenizer) return;
  fs::path path = options.tokenizer;
  if (path.empty() && !source.directory.empty() && HasTokenizer(source.directory)) path = source.directory;
  if (path.empty()) path = source.tokenizer;
  if (path.empty()) return;

  TokenizerModel tokenizer = LoadTokenizer(path);
  // Without a head the outputs are hidden rows, and the ids those of the table alone.
  const bool has_head = model.spec.output.tied || model.spec.output.head.weight != kNoTensor;
  const uint32_t rows = has_head ? std::max(model.spec.outputs, model.spec.vocabulary) : model.spec.vocabulary;
  if (tokenizer.pieces.size() > rows) {
    throw ImportError(Code::kInvalidModel,
                      "the tokenizer has " + std::to_string(tokenizer.pieces.size()) +
                          " ids, the model only " + std::to_string(rows) + " rows (vocab_size)",
                      path.string());
  }
  // Padding rows behind the tokenizer's ids are never sampled. What the model's own configuration says about
  // the end of a text adds to what the tokenizer says.
  model.spec.vocabulary = static_cast<uint32_t>(tokenizer.pieces.size());
  for (const uint32_t id : source.eos) {
    if (id >= tokenizer.pieces.size()) continue;
    if (tokenizer.eos == kNoToken) tokenizer.eos = id;
    if (std::find(tokenizer.eog.begin(), tokenizer.eog.end(), id) == tokenizer.eog.end())
      tokenizer.eog.push_back(id);
  }
  if (tokenizer.bos == kNoToken && source.bos && *source.bos < tokenizer.pieces.size())
    tokenizer.bos = *source.bos;
  model.tokenizer = WriteTokenizerSegment(tokenizer);
}

}  // namespace thimble
