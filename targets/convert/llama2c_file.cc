#include "targets/convert/llama2c_file.h"

#include "targets/convert/import_error.h"
#include "runtime/core/checked.h"

namespace thimble {
namespace {

constexpr uint64_t kHeaderBytes = 7 * sizeof(int32_t);

// Adds a * b * c floats to *total.
bool AddFloats(uint64_t a, uint64_t b, uint64_t c, uint64_t* total) {
  uint64_t product = 0;
  return CheckedMul(a, b, &product) && CheckedMul(product, c, &product) && CheckedAdd(*total, product, total);
}

}  // namespace

std::unique_ptr<Llama2cCheckpoint> Llama2cCheckpoint::Open(const std::filesystem::path& path) {
  auto checkpoint = std::make_unique<Llama2cCheckpoint>();
  checkpoint->file_ = std::make_unique<SourceFile>(path);
  const SourceFile& file = *checkpoint->file_;
  if (file.bytes() < kHeaderBytes) {
    throw ImportError(Code::kTruncated,
                      "has " + std::to_string(file.bytes()) + " bytes, the header alone has " +
                          std::to_string(kHeaderBytes),
                      file.name());
  }
  int32_t raw[7];
  file.ReadAt(0, raw, sizeof raw);
  const bool own_head = raw[5] < 0;
  if (own_head && raw[5] != INT32_MIN) raw[5] = -raw[5];
  const char* const kFields[7] = {"dim",        "hidden_dim", "n_layers", "n_heads",
                                  "n_kv_heads", "vocab_size", "seq_len"};
  for (int i = 0; i < 7; ++i) {
    if (raw[i] > 0) continue;
    throw ImportError(Code::kInvalidModel,
                      std::string("field '") + kFields[i] + "': found " + std::to_string(raw[i]) +
                          ", expected a number above 0 (is this a llama2.c version 0 file?)",
                      file.name());
  }
  Llama2cHeader& h = checkpoint->header_;
  h = {static_cast<uint32_t>(raw[0]), static_cast<uint32_t>(raw[1]),
       static_cast<uint32_t>(raw[2]), static_cast<uint32_t>(raw[3]),
       static_cast<uint32_t>(raw[4]), static_cast<uint32_t>(raw[5]),
       static_cast<uint32_t>(raw[6]), own_head};
  const uint64_t D = h.width, F = h.ffn_width, L = h.layers, V = h.vocabulary;
  if (D % h.heads != 0 || (D / h.heads) % 2 != 0) {
    throw ImportError(Code::kInvalidModel,
                      "field 'n_heads': found " + std::to_string(h.heads) + ", which does not divide dim " +
                          std::to_string(D) + " into even heads",
                      file.name());
  }
  if (h.kv_heads > h.heads || h.heads % h.kv_heads != 0) {
    throw ImportError(Code::kInvalidModel,
                      "field 'n_kv_heads': found " + std::to_string(h.kv_heads) + ", which does not divide " +
                          std::to_string(h.heads) + " heads",
                      file.name());
  }
  const uint64_t d = D / h.heads, kv = d * h.kv_heads;

  uint64_t floats = 0, bytes = 0;
  const bool fits = AddFloats(V, D, own_head ? 2 : 1, &floats) && AddFloats(L, D, 2, &floats) &&
                    AddFloats(L, D, 2 * D, &floats) && AddFloats(L, D, 2 * kv, &floats) &&
                    AddFloats(L, D, 3 * F, &floats) && AddFloats(D, 1, 1, &floats) &&
                    AddFloats(h.positions, d, 1, &floats) && CheckedMul(floats, sizeof(float), &bytes) &&
                    CheckedAdd(bytes, kHeaderBytes, &bytes);
  if (!fits || bytes != file.bytes()) {
    throw ImportError(!fits || bytes > file.bytes() ? Code::kTruncated : Code::kTrailingBytes,
                      "has " + std::to_string(file.bytes()) + " bytes, its header (dim " + std::to_string(D) +
                          ", hidden_dim " + std::to_string(F) + ", n_layers " + std::to_string(L) +
                          ", vocab_size " + std::to_string(V) + ", seq_len " + std::to_string(h.positions) +
                          ") implies " + (fits ? std::to_string(bytes) : "more than 2^64"),
                      file.name());
  }

  uint64_t at = kHeaderBytes;
  const auto add = [&](const std::string& name, std::vector<uint64_t> shape) {
    uint64_t elements = 1;
    for (const uint64_t n : shape) elements *= n;  // part of `floats`, which did not overflow
    checkpoint->Add({name, "F32", std::move(shape), elements}, file.name());
    checkpoint->offsets_.push_back(at);
    at += elements * sizeof(float);
  };
  const auto add_layers = [&](const char* name, const std::vector<uint64_t>& shape) {
    for (uint64_t i = 0; i < L; ++i) add("layers." + std::to_string(i) + "." + name + ".weight", shape);
  };
  add("tok_embeddings.weight", {V, D});
  add_layers("attention_norm", {D});
  add_layers("wq", {D, D});
  add_layers("wk", {kv, D});
  add_layers("wv", {kv, D});
  add_layers("wo", {D, D});
  add_layers("ffn_norm", {D});
  add_layers("w1", {F, D});
  add_layers("w2", {D, F});
  add_layers("w3", {F, D});
  add("norm.weight", {D});
  at += h.positions * d * sizeof(float);  // cosines and sines of the positions, which follow from the header
  if (own_head) add("output.weight", {V, D});
  return checkpoint;
}

void Llama2cCheckpoint::ReadFloats(size_t tensor, uint64_t first, uint64_t count, float* out) const {
  const SourceTensor& t = tensors()[tensor];
  if (!RangeFits(first, count, t.elements)) {
    throw ImportError(Code::kOutOfRange, "tensor '" + t.name + "': read outside its elements", file_->name());
  }
  file_->ReadAt(offsets_[tensor] + first * sizeof(float), out, count * sizeof(float));
}

}  // namespace thimble
