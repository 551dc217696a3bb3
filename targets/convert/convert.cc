// One tensor after the other, one block of rows after the other: read, check, quantise, append. Only the
// scales of a quantised tensor wait in memory until its rows are written, because they form a segment of
// their own.
#include "targets/convert/convert.h"

#include <algorithm>
#include <cmath>

#include "targets/convert/carry.h"
#include "targets/convert/gguf_blocks.h"
#include "targets/convert/gguf_rows.h"
#include "targets/convert/plan.h"
#include "targets/convert/quantise.h"
#include "targets/convert/source.h"
#include "format/metadata_keys.h"
#include "format/writer.h"
#include "ops/linear/turn.h"

namespace thimble {
namespace {

constexpr uint64_t kBlockFloats = 1u << 20;

struct Buffers {
  std::vector<float> floats, column;
  std::vector<uint8_t> blocks, data, scales;
  uint64_t peak_bytes = 0;

  void Measure() {
    const uint64_t bytes = (floats.capacity() + column.capacity()) * sizeof(float) + blocks.capacity() + data.capacity() + scales.capacity();
    peak_bytes = std::max(peak_bytes, bytes);
  }
};

// Rows [first, first + count) of a piece, as floats.
void ReadRows(const Checkpoint& checkpoint, const SourceRows& piece, uint64_t first, uint64_t count,
              std::vector<float>& column, float* out) {
  if (piece.col_stride == 1 && (piece.row_stride == piece.cols || piece.rows == 1)) {
    checkpoint.ReadFloats(piece.tensor, piece.offset + first * piece.cols, count * piece.cols, out);
  } else if (piece.col_stride == 1) {
    for (uint64_t r = 0; r < count; ++r) {
      checkpoint.ReadFloats(piece.tensor, piece.offset + (first + r) * piece.row_stride, piece.cols,
                            out + r * piece.cols);
    }
  } else {
    // Stored transposed: our rows are columns there. `count` of them lie side by side in each of its rows, perhaps with others
    // between.
    const uint64_t step = piece.row_stride;
    column.resize((count - 1) * step + 1);
    for (uint64_t c = 0; c < piece.cols; ++c) {
      checkpoint.ReadFloats(piece.tensor, piece.offset + first * step + c * piece.col_stride, column.size(), column.data());
      for (uint64_t r = 0; r < count; ++r) out[r * piece.cols + c] = column[r * step];
    }
  }
}

void CheckFinite(const Checkpoint& checkpoint, const SourceRows& piece, uint64_t first, uint64_t count,
                 const float* values) {
  for (uint64_t i = 0; i < count * piece.cols; ++i) {
    if (std::isfinite(values[i])) continue;
    const uint64_t element =
        piece.offset + (first + i / piece.cols) * piece.row_stride + i % piece.cols * piece.col_stride;
    const SourceTensor& tensor = checkpoint.tensors()[piece.tensor];
    throw ImportError(Code::kInvalidModel,
                      "tensor '" + checkpoint.NameInFile(tensor.name) + "' " + ShapeText(tensor.shape) + ": element " +
                          std::to_string(element) + " is " + (std::isnan(values[i]) ? "NaN" : "infinite") +
                          "; weights must be finite",
                      checkpoint.FileOf(piece.tensor));
  }
}

// Of rows that were made.
void CheckFinite(const std::string& name, uint64_t count, const float* values) {
  for (uint64_t i = 0; i < count; ++i) {
    if (std::isfinite(values[i])) continue;
    throw ImportError(Code::kInvalidModel, "tensor '" + name + "': element " + std::to_string(i) +
                                               " of a product is not finite; weights must be finite");
  }
}

void CheckDuplicates(const Source& source) {
  const Checkpoint& checkpoint = *source.checkpoint;
  std::vector<float> a, b;
  for (const auto& [left, right] : source.plan.duplicates) {
    const uint64_t elements = checkpoint.tensors()[left].elements;
    for (uint64_t at = 0; at < elements; at += kBlockFloats / 4) {
      const uint64_t n = std::min(elements - at, kBlockFloats / 4);
      a.resize(n);
      b.resize(n);
      checkpoint.ReadFloats(left, at, n, a.data());
      checkpoint.ReadFloats(right, at, n, b.data());
      const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin());
      if (x == a.end() || (std::isnan(*x) && std::isnan(*y))) continue;
      throw ImportError(Code::kInvalidModel,
                        "tensor '" + checkpoint.NameInFile(checkpoint.tensors()[left].name) + "': differs from '" +
                            checkpoint.NameInFile(checkpoint.tensors()[right].name) + "' at element " +
                            std::to_string(at + static_cast<uint64_t>(x - a.begin())) +
                            ", but field 'tie_word_embeddings' says that they are one",
                        checkpoint.FileOf(left));
    }
  }
}

// What becomes of a tensor, beside its TensorSpec.
struct Fate {
  const GgufBlockType* kept = nullptr;  // the source's blocks, of this type
  bool ternary = false;                  // the source's numbers, in two bits
  std::string unkept;
};

// Types that the options name for single tensors, before what they say of all.
std::vector<std::optional<WeightType>> NamedTypes(const ConvertOptions& options, const ModelPlan& plan) {
  std::vector<std::optional<WeightType>> types(plan.recipes.size());
  for (const LayerSpec& layer : plan.model.layers) {
    for (const BlockSpec& block : layer.blocks) {
      const AttentionSpec* a = std::get_if<AttentionSpec>(&block.mixer);
      if (a == nullptr) continue;
      for (const int32_t weight : {a->k.weight, a->v.weight}) {
        if (weight != kNoTensor) types[static_cast<size_t>(weight)] = options.kv;
      }
    }
  }
  for (size_t i = 0; i < plan.recipes.size(); ++i) {
    const TensorRole role = plan.recipes[i].role;
    const bool is_head = role == TensorRole::kHead || (role == TensorRole::kTable && plan.model.spec.output.tied);
    if (role == TensorRole::kExact) types[i] = WeightType::kF32;
    if (is_head) types[i] = options.head;
  }
  return types;
}

std::vector<Fate> SetTypes(const ConvertOptions& options, const Checkpoint& checkpoint, ModelPlan& plan) {
  const bool keeps = options.as_is && HoldsBlocks(checkpoint);
  const std::vector<std::optional<WeightType>> named = NamedTypes(options, plan);
  std::vector<Fate> fates(plan.recipes.size());
  for (size_t i = 0; i < plan.recipes.size(); ++i) {
    TensorSpec& spec = plan.model.tensors[i].spec;
    spec.type = named[i].value_or(keeps ? kUnkeptWeights : options.weights);
    if (IsTernary(checkpoint, plan.recipes[i])) {
      // Whatever the options say: other types would round other inputs.
      fates[i].ternary = true;
      spec.type = WeightType::kTernary;
    } else if (keeps && !named[i]) {
      const CarryAnswer answer = CanCarry(checkpoint, plan.recipes[i]);
      fates[i] = {answer.type, false, answer.obstacle};
      if (answer.type != nullptr) spec.type = answer.type->weights;
      if (answer.type != nullptr && HasTernaryRows(checkpoint, plan.recipes[i])) {
        fates[i] = {nullptr, true, {}};
        spec.type = WeightType::kTernary;
      }
    }
    spec.block = BlockOf(spec.type, options.block);
    const uint32_t turn = TurnBlock(spec.cols);
    // A table that is only looked up has no input.
    const TensorRole role = plan.recipes[i].role;
    const bool looked_up = role == TensorRole::kLookup || (role == TensorRole::kTable && !plan.model.spec.output.tied);
    const bool turned = options.turn && spec.type != WeightType::kF32 && !looked_up && fates[i].kept == nullptr && !fates[i].ternary;
    spec.turn = turned && turn > 1 ? turn : 0;
  }
  return fates;
}

// What `elements` numbers take in the source.
uint64_t SourceBytes(const std::string& dtype, uint64_t elements) {
  if (const GgufBlockType* block = FindGgufBlockType(dtype)) return elements / block->elements * block->bytes;
  if (dtype == "ternary") return elements / 4;
  return elements * sizeof(float);
}

class Conversion {
 public:
  Conversion(const ConvertOptions& options, const Source& source, const std::vector<Fate>& fates, ModelWriter& writer,
             ConvertReport& report)
      : options_(options),
        checkpoint_(*source.checkpoint),
        plan_(source.plan),
        fates_(fates),
        writer_(writer),
        report_(report) {}

  void Write(size_t index) {
    const NamedTensor& tensor = plan_.model.tensors[index];
    const TensorSpec& spec = tensor.spec;
    const Recipe& recipe = plan_.recipes[index];
    const WeightFormat format{spec.type, spec.block, options_.search_scales};
    const GgufBlockType* kept = fates_[index].kept;
    uint64_t data_bytes = 0, scale_bytes = 0, row_bytes = 0, row_scale_bytes = 0;
    if (!WeightDataBytes(spec.type, spec.rows, spec.cols, spec.block, &data_bytes) ||
        !WeightScaleBytes(spec.type, spec.rows, spec.cols, spec.block, &scale_bytes) ||
        !WeightRowBytes(spec.type, spec.cols, spec.block, &row_bytes) ||
        !WeightScaleBytes(spec.type, 1, spec.cols, spec.block, &row_scale_bytes)) {
      throw ImportError(Code::kSizeOverflow, "tensor '" + tensor.name + "' is too large");
    }
    QuantiseError error;
    buffers_.scales.resize(scale_bytes);
    writer_.BeginSegment(writer_.DataSegment(index));
    if (!recipe.values.empty()) writer_.Append(recipe.values.data(), recipe.values.size() * sizeof(float));
    const uint64_t block_rows = std::max<uint64_t>(1, kBlockFloats / spec.cols);
    for (uint64_t first = 0; recipe.make && first < spec.rows; first += block_rows) {
      Progress(tensor.name, index);
      const uint64_t count = std::min(block_rows, spec.rows - first);
      buffers_.floats.resize(count * spec.cols);
      buffers_.data.resize(count * row_bytes);
      recipe.make(checkpoint_, first, count, buffers_.floats.data());
      CheckFinite(tensor.name, count * spec.cols, buffers_.floats.data());
      if (spec.turn != 0) Turn(buffers_.floats.data(), buffers_.floats.size(), spec.turn);
      error.Add(QuantiseRows(format, buffers_.floats.data(), count, spec.cols, buffers_.data.data(),
                             buffers_.scales.data() + first * row_scale_bytes));
      buffers_.Measure();
      writer_.Append(buffers_.data.data(), buffers_.data.size());
      done_weights_ += count * spec.cols;
    }
    uint64_t row = 0;
    for (const SourceRows& piece : recipe.pieces) {
      for (uint64_t first = 0; first < piece.rows; first += block_rows) {
        Progress(tensor.name, index);
        const uint64_t count = std::min(block_rows, piece.rows - first);
        buffers_.floats.resize(count * piece.cols);
        buffers_.data.resize(count * row_bytes);
        uint8_t* scales = buffers_.scales.data() + row * row_scale_bytes;
        if (kept != nullptr) {
          KeepRows(*kept, piece, first, count, row_bytes, scales, row_scale_bytes);
          CheckFinite(checkpoint_, piece, first, count, buffers_.floats.data());
        } else {
          ReadRows(checkpoint_, piece, first, count, buffers_.column, buffers_.floats.data());
          CheckFinite(checkpoint_, piece, first, count, buffers_.floats.data());
          if (spec.turn != 0) Turn(buffers_.floats.data(), buffers_.floats.size(), spec.turn);
          error.Add(QuantiseRows(format, buffers_.floats.data(), count, piece.cols, buffers_.data.data(), scales));
        }
        buffers_.Measure();
        writer_.Append(buffers_.data.data(), buffers_.data.size());
        row += count;
        done_weights_ += count * piece.cols;
      }
    }
    writer_.EndSegment();
    if (scale_bytes > 0) {
      writer_.BeginSegment(writer_.ScaleSegment(index));
      writer_.Append(buffers_.scales.data(), scale_bytes);
      writer_.EndSegment();
    }
    ConvertedTensor done;
    done.name = tensor.name;
    done.type = spec.type;
    done.rows = spec.rows;
    done.cols = spec.cols;
    if (!recipe.pieces.empty()) done.source_type = checkpoint_.tensors()[recipe.pieces[0].tensor].dtype;
    for (const SourceRows& piece : recipe.pieces) {
      const SourceTensor& from = checkpoint_.tensors()[piece.tensor];
      done.quantised_source |= checkpoint_.BlocksOf(piece.tensor) != nullptr || fates_[index].ternary;
      done.source_bytes += SourceBytes(from.dtype, piece.rows * piece.cols);
    }
    done.bytes = data_bytes + scale_bytes;
    done.relative_error = error.Relative();
    done.largest_error = error.largest;
    done.kept = kept != nullptr || fates_[index].ternary;
    done.unkept = fates_[index].unkept;
    report_.tensors.push_back(std::move(done));
    report_.peak_buffer_bytes = buffers_.peak_bytes;
  }

 private:
  // The source's blocks of rows [first, first + count) of a piece to buffers_.data and `scales`, and their numbers to buffers_.floats.
  void KeepRows(const GgufBlockType& type, const SourceRows& piece, uint64_t first, uint64_t count, uint64_t row_bytes, uint8_t* scales,
                uint64_t row_scale_bytes) {
    const uint64_t blocks = piece.cols / type.elements;
    buffers_.blocks.resize(blocks * type.bytes);
    for (uint64_t r = 0; r < count; ++r) {
      checkpoint_.ReadBlocks(piece.tensor, piece.offset + (first + r) * piece.row_stride, piece.cols, buffers_.blocks.data());
      DecodeGgufBlocks(type, buffers_.blocks.data(), blocks, buffers_.floats.data() + r * piece.cols);
      CarryGgufRow(type, buffers_.blocks.data(), static_cast<uint32_t>(piece.cols), buffers_.data.data() + r * row_bytes,
                   scales + r * row_scale_bytes);
    }
  }

  void Progress(const std::string& tensor, size_t index) {
    if (!options_.progress) return;
    const ConvertProgress progress{tensor, index, plan_.recipes.size(), done_weights_, report_.weights};
    if (!options_.progress(progress))
      throw ImportError(Code::kCancelled, "stopped while writing tensor '" + tensor + "'");
  }

  const ConvertOptions& options_;
  const Checkpoint& checkpoint_;
  const ModelPlan& plan_;
  const std::vector<Fate>& fates_;
  ModelWriter& writer_;
  ConvertReport& report_;
  Buffers buffers_;
  uint64_t done_weights_ = 0;
};

std::string DefaultName(std::filesystem::path source) {
  source = std::filesystem::absolute(source).lexically_normal();
  if (!source.has_filename()) source = source.parent_path();
  if (source.filename() == "config.json" || source.extension() == ".safetensors" ||
      source.extension() == ".json") {
    source = source.parent_path();
  }
  for (const char* file : {".bin", ".gguf", ".pt", ".pth"}) {
    if (source.extension() == file) return source.stem().string();
  }
  return source.filename().string();
}

void CheckTypes(const ConvertOptions& options) {
  if (!IsWeightBlock(WeightType::kQ4, options.block)) {
    throw ImportError(Code::kInvalidArgument,
                      "block " + std::to_string(options.block) + ", expected 32, 64 or 128");
  }
  for (const WeightType type : {options.weights, options.head.value_or(options.weights), options.kv.value_or(options.weights)}) {
    if (type == WeightType::kF32 || type == WeightType::kQ8 || type == WeightType::kQ4 || type == WeightType::kQ8_0) continue;
    throw ImportError(Code::kUnsupported,
                      std::string("floats cannot be quantised to ") + WeightTypeName(type) + "; expected f32, q8, q4 or q8_0");
  }
}

// All of the output's header but the numbers of its weights.
struct Prepared {
  Source source;
  std::vector<Fate> fates;
  std::vector<std::string> no_calls;
};

Prepared Prepare(const ConvertOptions& options, bool shapes_only) {
  CheckTypes(options);
  Prepared prepared;
  Source& source = prepared.source = OpenSource(options, shapes_only);
  AddTokenizer(options, source);
  prepared.fates = SetTypes(options, *source.checkpoint, source.plan);
  if (!shapes_only) CheckDuplicates(source);
  ModelDescription& model = source.plan.model;
  model.name = options.name.empty() ? DefaultName(options.source) : options.name;
  if (source.chat_templates.empty() && std::filesystem::is_directory(options.tokenizer)) {
    source.chat_templates = ReadChatTemplates(options.tokenizer);
  }
  if (!options.chat_template.empty()) source.chat_templates.clear();
  if (!options.chat_template.empty() && options.chat_template != "none") source.chat_templates = {NamedChatTemplate(options.chat_template)};
  model.chat_formats = CompileChatTemplates(source.chat_templates, model.tokenizer, &prepared.no_calls);
  model.metadata.emplace_back("weights", options.as_is && HoldsBlocks(*source.checkpoint) ? "as-is" : WeightTypeName(options.weights));
  return prepared;
}

ConvertReport ConvertUnguarded(const ConvertOptions& options) {
  if (options.output.empty()) throw ImportError(Code::kInvalidArgument, "no output file is given");
  if (std::filesystem::is_directory(options.output)) {
    throw ImportError(Code::kInvalidArgument, "the output is a directory", options.output.string());
  }
  Prepared prepared = Prepare(options, false);
  const Source& source = prepared.source;
  const ModelDescription& model = source.plan.model;
  ConvertReport report;
  report.no_calls = std::move(prepared.no_calls);
  report.quantised_source = HoldsBlocks(*source.checkpoint);
  report.name = model.name;
  report.family = model.family;
  report.vocabulary = model.spec.vocabulary;
  report.has_tokenizer = !model.tokenizer.empty();
  for (const ChatTemplateText& t : source.chat_templates) report.chat_templates.push_back(t.name + " from " + t.place);
  report.source_bytes = source.checkpoint->bytes();
  report.left_out = source.left_out;
  report.without_effect = source.without_effect;

  for (const NamedTensor& t : model.tensors) report.weights += uint64_t{t.spec.rows} * t.spec.cols;

  if (options.progress && !options.progress({model.tensors[0].name, 0, model.tensors.size(), 0, report.weights}))
    throw ImportError(Code::kCancelled, "stopped before the output was begun");
  ModelWriter writer(options.output.string(), model);
  Conversion conversion(options, source, prepared.fates, writer, report);
  for (size_t i = 0; i < source.plan.recipes.size(); ++i) conversion.Write(i);
  report.file_bytes = writer.file_bytes();
  writer.Finish();
  return report;
}

}  // namespace

ConvertReport Convert(const ConvertOptions& options) {
  try {
    return ConvertUnguarded(options);
  } catch (...) {
    ThrowAsImportError();
  }
}

ConvertedHeader ConvertHeader(const ConvertOptions& options) {
  try {
    Prepared prepared = Prepare(options, true);
    ModelDescription& model = prepared.source.plan.model;
    ConvertedHeader header;
    const std::vector<SegmentSpec> segments = LayOut(model, &header.file_bytes);
    header.bytes = HeaderBytes(model, segments, header.file_bytes);
    header.gives_vectors = (!model.spec.output.tied && model.spec.output.head.weight == kNoTensor) ||
                           std::any_of(model.metadata.begin(), model.metadata.end(), [](const auto& pair) { return pair.first == kPoolingKey; });
    header.quantised_source = HoldsBlocks(*prepared.source.checkpoint);
    return header;
  } catch (...) {
    ThrowAsImportError();
  }
}

std::span<const WeightRecipe> WeightRecipes() {
  static constexpr WeightType f32 = WeightType::kF32, q8_0 = WeightType::kQ8_0, q8 = WeightType::kQ8, q4 = WeightType::kQ4;
  static constexpr WeightRecipe kRecipes[] = {
      {"exact", f32, f32, f32, "the numbers as they are"},
      {"quality", q8_0, q8_0, q8_0, "8 bits everywhere, a scale for 32 weights"},
      {"balanced", q4, q8_0, q8_0, "4 bits; keys, values and the head in 8"},
      {"small", q4, q4, q4, "4 bits everywhere"},
      {"rows", q8, q8, q8, "8 bits everywhere, a scale for a row"},
  };
  return kRecipes;
}

const WeightRecipe* FindWeightRecipe(const std::string& name) {
  for (const WeightRecipe& recipe : WeightRecipes()) {
    if (name == recipe.name) return &recipe;
  }
  return nullptr;
}

void ApplyRecipe(const WeightRecipe& recipe, ConvertOptions* options) {
  options->weights = recipe.weights;
  options->head = recipe.head;
  options->kv = recipe.kv;
}

std::optional<WeightType> WeightTypeFromName(const std::string& name) {
  for (uint8_t type = 0; type < kWeightTypeCount; ++type) {
    if (name == kWeightTraits[type].name) return static_cast<WeightType>(type);
  }
  return std::nullopt;
}

std::string WeightTypeNames() {
  std::string names;
  for (uint8_t type = 0; type < kWeightTypeCount; ++type) {
    names += (type == 0 ? "" : ", ") + std::string(WeightTypeName(static_cast<WeightType>(type)));
  }
  return names;
}

}  // namespace thimble
