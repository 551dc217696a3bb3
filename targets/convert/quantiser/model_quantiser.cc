#include "targets/convert/quantiser/model_quantiser.h"

#include <algorithm>
#include <cmath>

#include "format/linears.h"
#include "format/model_file.h"
#include "ops/linear/turn.h"
#include "targets/convert/describe_file.h"
#include "targets/convert/quantiser/bit_budget.h"
#include "targets/convert/quantiser/block_types.h"
#include "targets/convert/quantiser/matrix_quantiser.h"
#include "targets/convert/quantiser/mixer_output.h"

namespace thimble {
namespace {

constexpr size_t kSampledRows = 48;
constexpr size_t kFewColumns = 32;  // a matrix of less stays f32
// Types of so many bits less than the average are not tried: what they lose may be little on the calibration text alone.
// Between the six bits of q6_k and the eight of q8_0 there is no type.
constexpr double kFewerBits = 1.5, kMostOfSix = 6.6;

// From the smallest to the largest. Others would never be chosen: q4_0 loses more than iq4_nl in as many bits, q5_0 more than q5_k
// in nearly as many.
constexpr WeightType kTypes[] = {WeightType::kQ2_K, WeightType::kQ3_K,   WeightType::kIQ4_XS, WeightType::kIQ4_NL, WeightType::kQ4_K,
                                 WeightType::kQ4_1, WeightType::kQ5_K,   WeightType::kQ5_1,   WeightType::kQ6_K,   WeightType::kQ8_0};

struct Form {
  WeightType type;
  bool turned;
};

struct Matrix {
  size_t tensor;
  std::string kind;         // the name without its layer
  int64_t layer = -1;
  bool has_input = true;    // is multiplied, not only looked up
  bool is_router = false;   // small, and decides
  int32_t block_output = kNoTensor;  // of the block that reads it
};

// "layer.3.ffn.down.weight" is the "ffn.down.weight" of layer 3.
void SplitName(const std::string& name, Matrix* matrix) {
  constexpr std::string_view kLayer = "layer.";
  matrix->kind = name;
  const size_t dot = name.starts_with(kLayer) ? name.find('.', kLayer.size()) : std::string::npos;
  if (dot == std::string::npos) return;
  matrix->layer = std::strtoll(name.c_str() + kLayer.size(), nullptr, 10);
  matrix->kind = name.substr(dot + 1);
}

std::vector<Matrix> Matrices(const ModelFile& file, const ModelDescription& model) {
  std::vector<bool> is_matrix(model.tensors.size()), has_input(model.tensors.size());
  ForEachLinear(file.header(), [&](const LinearSpec& linear) {
    const size_t i = static_cast<size_t>(linear.weight);
    is_matrix[i] = has_input[i] = true;
  });
  for (uint32_t p = 0; p < file.header().parts(); ++p) {
    const InputSpec input = file.header().part(p).input;
    if (input.table != kNoTensor) is_matrix[static_cast<size_t>(input.table)] = true;
  }
  std::vector<Matrix> matrices;
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    if (!is_matrix[i] || model.tensors[i].spec.cols < kFewColumns) continue;
    Matrix matrix{i, {}, -1, has_input[i], false};
    SplitName(model.tensors[i].name, &matrix);
    matrix.is_router = matrix.kind.find("router") != std::string::npos;
    matrices.push_back(std::move(matrix));
  }
  return matrices;
}

uint64_t BytesOf(WeightType type, const TensorSpec& spec) {
  uint64_t data = 0, scales = 0;
  if (!WeightDataBytes(type, spec.rows, spec.cols, kBlockColumns, &data) ||
      !WeightScaleBytes(type, spec.rows, spec.cols, kBlockColumns, &scales))
    throw ImportError(Code::kSizeOverflow, "a tensor is too large");
  return data + scales;
}

class ModelQuantiser {
 public:
  explicit ModelQuantiser(const ModelQuantiserOptions& options) : options_(options), quantiser_(options.moments, options.threads) {
    const Status status = file_.Open(options.source.c_str());
    if (!status.ok()) {
      char text[248];
      FormatStatus(status, text, sizeof text);
      throw ImportError(status.code, text, options.source.string());
    }
    model_ = DescribeFile(file_);
    for (const NamedTensor& tensor : model_.tensors) {
      if (tensor.spec.type == WeightType::kF32 && !tensor.spec.packing.packed()) continue;
      throw ImportError(Code::kInvalidArgument, "tensor '" + tensor.name + "': is quantised already; floats are expected",
                        options.source.string());
    }
    matrices_ = Matrices(file_, model_);
    FindOutputs();
    NameImportances();
    for (const Matrix& matrix : matrices_) total_ += Weights(matrix);
    total_ *= 2;  // looked at, and written
  }

  QuantisedModel Run() {
    const std::vector<Form> chosen = Choose();
    QuantisedModel result;
    result.loss = chosen_loss_;
    for (size_t i = 0; i < matrices_.size(); ++i) {
      TensorSpec& spec = model_.tensors[matrices_[i].tensor].spec;
      spec.type = chosen[i].type;
      spec.block = kBlockColumns;
      spec.turn = chosen[i].turned ? TurnBlock(spec.cols) : 0;
      spec.fine_inputs = options_.fine_inputs && spec.turn != 0 && spec.type == WeightType::kQ8_0;
    }
    double bytes = 0, weights = 0;
    for (const Matrix& matrix : matrices_) {
      bytes += static_cast<double>(BytesOf(Spec(matrix).type, Spec(matrix)));
      weights += static_cast<double>(Weights(matrix));
    }
    result.bits = weights > 0 ? 8 * bytes / weights : 0;
    for (auto& [key, value] : model_.metadata) {
      if (key != "weights") continue;
      char text[32];
      std::snprintf(text, sizeof text, "%.2f bits", result.bits);
      value = text;
    }
    Write(&result.report);
    return result;
  }

 private:
  const TensorSpec& Spec(const Matrix& matrix) const { return model_.tensors[matrix.tensor].spec; }
  uint64_t Weights(const Matrix& matrix) const { return uint64_t{Spec(matrix).rows} * Spec(matrix).cols; }
  const float* Floats(size_t tensor) const {
    const TensorSpec spec = file_.header().tensor(static_cast<uint32_t>(tensor));
    return reinterpret_cast<const float*>(file_.Segment(static_cast<uint32_t>(spec.data_segment)));
  }

  void Progress(size_t tensor) {
    if (!options_.progress) return;
    const ConvertProgress progress{model_.tensors[tensor].name, tensor, model_.tensors.size(), done_, total_};
    if (!options_.progress(progress))
      throw ImportError(Code::kCancelled, "stopped at tensor '" + model_.tensors[tensor].name + "'");
  }

  void FindOutputs() {
    for (LayerSpec& layer : model_.layers) {
      for (BlockSpec& block : layer.blocks) {
        const LinearSpec* out = OutputOf(&block.mixer);
        if (out == nullptr) continue;
        VisitAlternative(block.mixer, [&](const auto& mixer) {
          ForEachLinear(mixer, [&](const LinearSpec& linear) {
            for (Matrix& matrix : matrices_)
              if (static_cast<int32_t>(matrix.tensor) == linear.weight) matrix.block_output = out->weight;
          });
        });
      }
    }
  }

  // What llama.cpp calls the tensors, by what they are.
  void NameImportances() {
    if (options_.importance == nullptr) return;
    const auto note = [&](const LinearSpec& linear, const std::string& name) {
      const auto found = options_.importance->find(name + ".weight");
      if (linear.weight == kNoTensor || found == options_.importance->end()) return;
      const TensorSpec& spec = model_.tensors[static_cast<size_t>(linear.weight)].spec;
      if (found->second.size() != spec.cols) {
        throw ImportError(Code::kInvalidArgument,
                          "importance matrix: '" + found->first + "' has " + std::to_string(found->second.size()) + " columns, the model " +
                              std::to_string(spec.cols) + "; it is of another model");
      }
      importance_[linear.weight] = found->second.data();
    };
    for (uint32_t i = 0; i < model_.spec.layers; ++i) {
      const std::string prefix = "blk." + std::to_string(i) + ".";
      for (const BlockSpec& block : model_.layers[i].blocks) {
        if (const auto* a = std::get_if<AttentionSpec>(&block.mixer)) {
          note(a->q, prefix + "attn_q");
          note(a->k, prefix + "attn_k");
          note(a->v, prefix + "attn_v");
          for (const LinearSpec& linear : {a->q, a->k, a->v}) note(linear, prefix + "attn_qkv");
          note(a->o, prefix + "attn_output");
        } else if (const auto* f = std::get_if<FfnSpec>(&block.mixer)) {
          note(f->up, prefix + "ffn_up");
          note(f->gate, prefix + (f->kind == FfnKind::kGated && !options_.importance->contains(prefix + "ffn_gate.weight") ? "ffn_up" : "ffn_gate"));
          note(f->down, prefix + "ffn_down");
        }
      }
    }
    note(model_.spec.output.tied ? LinearSpec{model_.spec.input.table, kNoTensor, 1} : model_.spec.output.head, "output");
    if (importance_.empty())
      throw ImportError(Code::kInvalidArgument, "importance matrix: has none of the model's tensors; it is of another model");
  }

  KnownInputs Inputs(const Matrix& matrix) const {
    const int32_t tensor = static_cast<int32_t>(matrix.tensor);
    const auto importance = importance_.find(tensor);
    return {options_.moments == nullptr ? -1 : options_.moments->SiteOf(tensor), importance == importance_.end() ? nullptr : importance->second};
  }

  // What a squared error of its outputs counts: in parts of these outputs' own square, times the part that the block's output has in
  // the residual row that it leads to (which moments of output layers are relative to).
  double Factor(const Matrix& matrix) const {
    const bool head = matrix.kind == "input.table" && matrix.has_input;
    const auto kind = options_.sensitivity.find(head ? "output.head.weight" : matrix.kind);
    double factor = kind == options_.sensitivity.end() ? 1 : kind->second;
    const int32_t site = Inputs(matrix).site;
    if (site < 0) return factor;
    const auto size = [&](int32_t tensor, int32_t of) {
      const TensorSpec& spec = model_.tensors[static_cast<size_t>(tensor)].spec;
      return std::max(quantiser_.OutputSize(Floats(static_cast<size_t>(tensor)), spec.rows, spec.cols, of, kSampledRows), 1e-30);
    };
    const int32_t out = matrix.block_output, out_site = out == kNoTensor ? -1 : options_.moments->SiteOf(out);
    if (out_site >= 0) factor *= std::min(1.0, size(out, out_site) / model_.spec.width);
    return factor / size(static_cast<int32_t>(matrix.tensor), site);
  }

  // Without moments the squares of the errors in parts of the weights' own.
  double Loss(const Matrix& matrix, const Form& form, double factor) {
    const TensorSpec& spec = Spec(matrix);
    const KnownInputs inputs = Inputs(matrix);
    const double loss = quantiser_.Loss(GridOf(form.type), form.turned ? TurnBlock(spec.cols) : 0, Floats(matrix.tensor), spec.rows, spec.cols,
                                        inputs, kSampledRows);
    if (inputs.site >= 0) return loss * factor;
    const float* weights = Floats(matrix.tensor);
    const uint64_t step = std::max<uint64_t>(1, spec.rows / 512);
    double squares = 1e-30, rows = 0;
    for (uint64_t r = 0; r < spec.rows; r += step, ++rows) {
      for (uint64_t j = 0; j < spec.cols; ++j) {
        const double h = inputs.mean_squares != nullptr && !form.turned ? inputs.mean_squares[j] : 1, w = weights[r * spec.cols + j];
        squares += h * w * w;
      }
    }
    return loss / (squares * spec.rows / rows) * factor;
  }

  std::vector<Form> Choose() {
    std::vector<std::vector<Form>> forms;
    std::vector<std::vector<FormCost>> costs;
    uint64_t weights = 0;
    for (const Matrix& matrix : matrices_) {
      Progress(matrix.tensor);
      const TensorSpec& spec = Spec(matrix);
      weights += Weights(matrix);
      forms.emplace_back();
      costs.emplace_back();
      const double factor = Factor(matrix);
      for (const WeightType type : kTypes) {
        const double bits = 8.0 * static_cast<double>(BytesOf(type, spec)) / static_cast<double>(Weights(matrix));
        if (type != WeightType::kQ8_0 && (matrix.is_router || bits < std::min(options_.bits, kMostOfSix) - kFewerBits)) continue;
        for (const bool turned : {false, true}) {
          if (turned && (!options_.turn || !matrix.has_input || TurnBlock(spec.cols) < 2)) continue;
          forms.back().push_back({type, turned});
          costs.back().push_back({BytesOf(type, spec), Loss(matrix, {type, turned}, factor)});
        }
      }
      done_ += Weights(matrix);
    }
    const uint64_t budget = static_cast<uint64_t>(options_.bits * static_cast<double>(weights) / 8);
    const std::vector<size_t> chosen = ChooseForms(costs, budget);
    std::vector<Form> result;
    uint64_t bytes = 0;
    for (size_t i = 0; i < matrices_.size(); ++i) {
      result.push_back(forms[i][chosen[i]]);
      bytes += costs[i][chosen[i]].bytes;
      chosen_loss_ += costs[i][chosen[i]].loss;
    }
    if (bytes > budget) {
      char text[160];
      std::snprintf(text, sizeof text, "%.2f bits per weight: too few; the smallest types take %.2f of this model", options_.bits,
                    8.0 * static_cast<double>(bytes) / static_cast<double>(weights));
      throw ImportError(Code::kInvalidArgument, text);
    }
    return result;
  }

  void Write(ConvertReport* report) {
    report->name = model_.name;
    report->family = model_.family;
    report->vocabulary = model_.spec.vocabulary;
    report->has_tokenizer = !model_.tokenizer.empty();
    for (const ChatFormat& format : model_.chat_formats) report->chat_templates.push_back(format.name);
    ModelWriter writer(options_.output.string(), model_);
    size_t next = 0;
    for (size_t i = 0; i < model_.tensors.size(); ++i) {
      const TensorSpec& spec = model_.tensors[i].spec;
      report->weights += uint64_t{spec.rows} * spec.cols;
      ConvertedTensor done;
      done.name = model_.tensors[i].name;
      done.type = spec.type;
      done.rows = spec.rows;
      done.cols = spec.cols;
      if (next < matrices_.size() && matrices_[next].tensor == i) {
        Progress(i);
        WriteMatrix(matrices_[next++], writer, &done);
      } else {
        writer.WriteTensor(i, Floats(i), nullptr);
        done.bytes = uint64_t{spec.rows} * spec.cols * sizeof(float);
      }
      report->tensors.push_back(std::move(done));
    }
    report->file_bytes = writer.file_bytes();
    writer.Finish();
  }

  void WriteMatrix(const Matrix& matrix, ModelWriter& writer, ConvertedTensor* done) {
    const TensorSpec& spec = Spec(matrix);
    const BlockGrid grid = GridOf(spec.type);
    uint64_t row_bytes = 0;
    if (!WeightRowBytes(spec.type, spec.cols, spec.block, &row_bytes)) throw ImportError(Code::kSizeOverflow, "a row is too large");
    const size_t row_scale_bytes = static_cast<size_t>(BlockScaleBytes(*FormatOf(spec.type), spec.cols));
    std::vector<uint8_t> data(row_bytes * spec.rows), scales(row_scale_bytes * spec.rows);
    struct RowError {
      double squared = 0, weight = 0, largest = 0;
    };
    std::vector<RowError> errors(spec.rows);
    const float* weights = Floats(matrix.tensor);
    (void)quantiser_.Quantise(grid, spec.turn, weights, spec.rows, spec.cols, Inputs(matrix), [&](size_t r, const GridRow& row) {
      PackGridRow(spec.type, row, spec.cols, data.data() + r * row_bytes, scales.data() + r * row_scale_bytes);
      std::vector<float> back(spec.cols);
      DecodeGridRow(grid, row, spec.cols, back.data());
      if (spec.turn != 0) Turn(back.data(), back.size(), spec.turn);
      for (size_t i = 0; i < back.size(); ++i) {
        const double weight = weights[r * spec.cols + i], off = weight - static_cast<double>(back[i]);
        errors[r].squared += off * off;
        errors[r].weight += weight * weight;
        errors[r].largest = std::max(errors[r].largest, std::fabs(off));
      }
    });
    writer.WriteTensor(matrix.tensor, data.data(), scales.data());
    RowError sum;
    for (const RowError& row : errors) {
      sum.squared += row.squared;
      sum.weight += row.weight;
      sum.largest = std::max(sum.largest, row.largest);
    }
    done->bytes = data.size() + scales.size();
    done->relative_error = sum.weight > 0 ? std::sqrt(sum.squared / sum.weight) : 0;
    done->largest_error = sum.largest;
    done_ += Weights(matrix);
  }

  const ModelQuantiserOptions& options_;
  MatrixQuantiser quantiser_;
  ModelFile file_;
  ModelDescription model_;
  std::vector<Matrix> matrices_;
  std::map<int32_t, const float*> importance_;
  uint64_t done_ = 0, total_ = 0;
  double chosen_loss_ = 0;
};

}  // namespace

const Sensitivity& UsualSensitivity() {
  // KL(f32 || one kind of tensor quantised) over the loss of that kind, in parts of ffn.down's; the root of it but for the head, and
  // nothing below 1 for what writes to the residual stream, as it is what encoders give. A tied table is a head.
  static const Sensitivity usual = {{"attention.q.weight", 0.8}, {"attention.k.weight", 1.6}, {"attention.v.weight", 1.8},
                                    {"ffn.gate.weight", 1.2},    {"output.head.weight", 50}};
  return usual;
}

QuantisedModel QuantiseModel(const ModelQuantiserOptions& options) {
  try {
    return ModelQuantiser(options).Run();
  } catch (...) {
    ThrowAsImportError();
  }
}

}  // namespace thimble
