// Finds the dictionary of tensors, checks every tensor against its storage, and reads numbers in place where
// they lie in order.
#include "targets/convert/torch_file.h"

#include <algorithm>
#include <cstring>

#include "targets/convert/import_error.h"
#include "targets/convert/plain_floats.h"
#include "runtime/core/checked.h"

namespace thimble {
namespace {

constexpr uint64_t kMaxPickleBytes = 64u << 20;
constexpr uint64_t kMaxCachedStorageBytes = uint64_t{8} << 30;
constexpr size_t kReadChunkElements = 1u << 16;
// Tensors may see the same storage (tied weights, shared layers): their bytes for each byte of the storages.
constexpr uint64_t kMaxSharing = 64;

bool HoldsTensors(const Pickle& pickle, Pickle::Ref ref) {
  if (pickle[ref].kind != Pickle::Kind::kDict) return false;
  const std::vector<Pickle::Ref>& items = pickle.Items(ref);
  for (size_t i = 1; i < items.size(); i += 2) {
    if (pickle[items[i]].kind == Pickle::Kind::kTensor) return true;
  }
  return false;
}

[[noreturn]] void Refuse(Code code, const std::string& tensor, const std::string& text, const std::string& file) {
  throw ImportError(code, "tensor '" + tensor + "': " + text, file);
}

}  // namespace

bool TorchCheckpoint::IsTorchFile(const std::filesystem::path& path) {
  const SourceFile file(path);
  char magic[4] = {};
  if (file.bytes() >= sizeof magic) file.ReadAt(0, magic, sizeof magic);
  return std::memcmp(magic, "PK\3\4", sizeof magic) == 0;
}

std::unique_ptr<TorchCheckpoint> TorchCheckpoint::Open(const std::filesystem::path& path) {
  std::unique_ptr<TorchCheckpoint> checkpoint(new TorchCheckpoint(path));
  try {
    checkpoint->Read();
  } catch (const ImportError& error) {
    throw error.In(path.string());
  }
  return checkpoint;
}

void TorchCheckpoint::Read() {
  const std::string suffix = "/data.pkl";
  const ZipEntry* data = nullptr;
  for (const ZipEntry& entry : zip_.entries()) {
    // NAME/data.pkl; what lies deeper is TorchScript's.
    if (!entry.name.ends_with(suffix) || entry.name.find('/') != entry.name.size() - suffix.size()) continue;
    if (data != nullptr) throw ImportError(Code::kInvalidModel, "holds '" + data->name + "' and '" + entry.name + "'");
    data = &entry;
  }
  if (data == nullptr) {
    throw ImportError(Code::kUnsupported, "is a ZIP archive without NAME/data.pkl: no checkpoint of torch.save");
  }
  const std::string root = data->name.substr(0, data->name.size() - suffix.size() + 1);
  if (const ZipEntry* order = zip_.Find(root + "byteorder")) {
    const std::vector<uint8_t> text = zip_.ReadAll(*order, 64);
    if (std::string(text.begin(), text.end()) != "little") {
      throw ImportError(Code::kUnsupported, "entry '" + order->name + "': only little-endian numbers are read");
    }
  }
  const Pickle pickle(zip_.ReadAll(*data, kMaxPickleBytes));
  ReadConfig(pickle);
  for (const char* key : {"model_state_dict", "state_dict", "model"}) {
    const std::optional<Pickle::Ref> state = pickle.Find(pickle.root(), key);
    if (state && HoldsTensors(pickle, *state)) return AddTensors(pickle, *state, root);
  }
  if (HoldsTensors(pickle, pickle.root())) return AddTensors(pickle, pickle.root(), root);
  throw ImportError(
      Code::kInvalidModel,
      "holds no dictionary of tensors, neither on top nor as 'model_state_dict', 'state_dict' or 'model'");
}

void TorchCheckpoint::ReadConfig(const Pickle& pickle) {
  const Pickle::Ref top = pickle.root();
  const auto is = [&](const std::optional<Pickle::Ref>& ref, Pickle::Kind kind) {
    return ref && pickle[*ref].kind == kind;
  };
  const auto model = pickle.Find(top, "model"), config = pickle.Find(top, "config");
  if (is(model, Pickle::Kind::kText) && is(config, Pickle::Kind::kDict)) {
    Json json = Json::Object();
    for (const char* key : {"task", "model", "variant", "config"}) {
      if (const auto value = pickle.Find(top, key)) json[key] = pickle.ToJson(*value, key);
    }
    config_ = std::move(json);
    return;
  }
  for (const char* key : {"model_config", "config"}) {
    const auto found = pickle.Find(top, key);
    if (!is(found, Pickle::Kind::kDict)) continue;
    config_ = pickle.ToJson(*found, key);
    return;
  }
}

void TorchCheckpoint::AddTensors(const Pickle& pickle, Pickle::Ref state, const std::string& root) {
  const std::vector<Pickle::Ref>& items = pickle.Items(state);
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    const std::string& name = pickle.Text(items[i]);
    if (pickle[items[i]].kind != Pickle::Kind::kText) throw ImportError(Code::kInvalidModel, "a tensor's name is no text");
    const Pickle::Kind kind = pickle[items[i + 1]].kind;
    if (kind == Pickle::Kind::kNone) continue;
    if (kind != Pickle::Kind::kTensor)
      throw ImportError(Code::kInvalidModel, "'" + name + "' among the tensors is none");
    AddTensor(name, pickle.Tensor(items[i + 1]), root);
  }
}

void TorchCheckpoint::AddTensor(const std::string& name, const PickleTensor& source, const std::string& root) {
  const std::string& file = zip_.name();
  const ZipEntry* entry = zip_.Find(root + "data/" + source.key);
  if (entry == nullptr)
    Refuse(Code::kInvalidModel, name, "its storage '" + root + "data/" + source.key + "' is missing", file);
  const size_t element_bytes = PlainElementBytes(source.dtype);
  uint64_t storage_bytes = 0;
  if (!CheckedMul(source.storage_elements, element_bytes, &storage_bytes) || storage_bytes != entry->bytes) {
    Refuse(Code::kInvalidModel, name,
           "its storage '" + entry->name + "' has " + std::to_string(entry->bytes) + " bytes, expected " +
               std::to_string(source.storage_elements) + " elements of " + source.dtype,
           file);
  }
  SourceTensor tensor{name, source.dtype, source.shape, 1};
  uint64_t last = source.offset;
  bool fits = true, contiguous = true;
  for (size_t i = source.shape.size(); i-- > 0;) {
    const uint64_t n = source.shape[i];
    contiguous = contiguous && (n <= 1 || source.strides[i] == tensor.elements);
    fits = fits && CheckedMul(tensor.elements, n, &tensor.elements);
    uint64_t reach = 0;
    if (n > 1) fits = fits && CheckedMul(source.strides[i], n - 1, &reach) && CheckedAdd(last, reach, &last);
  }
  // No element may be there twice either: a few bytes must not become a tensor of any size.
  if (!fits || (tensor.elements > 0 && last >= source.storage_elements) || tensor.elements > source.storage_elements) {
    Refuse(Code::kInvalidModel, name,
           "shape " + ShapeText(source.shape) + " with strides " + ShapeText(source.strides) + " at offset " +
               std::to_string(source.offset) + " does not fit its storage of " +
               std::to_string(source.storage_elements) + " elements",
           file);
  }
  // Cannot overflow: the storage has these bytes and more.
  tensor_bytes_ += tensor.elements * element_bytes;
  if (tensor_bytes_ / kMaxSharing > zip_.unpacked_bytes()) {
    Refuse(Code::kInvalidModel, name,
           "the tensors up to this one repeat " + std::to_string(zip_.unpacked_bytes()) +
               " bytes of storages more than the " + std::to_string(kMaxSharing) + " times that are allowed",
           file);
  }
  Add(std::move(tensor), file);
  places_.push_back({entry, element_bytes, source.offset, source.strides, contiguous});
}

const std::vector<uint8_t>& TorchCheckpoint::Storage(const ZipEntry* entry) const {
  for (const Unpacked& storage : cache_) {
    if (storage.entry == entry) return storage.bytes;
  }
  std::swap(cache_[0], cache_[1]);
  cache_[0] = {};
  cache_[0].bytes = zip_.ReadAll(*entry, kMaxCachedStorageBytes);
  cache_[0].entry = entry;
  return cache_[0].bytes;
}

void TorchCheckpoint::ReadFloats(size_t index, uint64_t first, uint64_t count, float* out) const {
  const SourceTensor& tensor = tensors()[index];
  const Place& place = places_[index];
  const size_t size = place.element_bytes;
  if (!RangeFits(first, count, tensor.elements))
    Refuse(Code::kOutOfRange, tensor.name, "read outside its elements", zip_.name());
  if (!IsPlainFloat(tensor.dtype)) {
    Refuse(Code::kUnsupported, tensor.name,
           "dtype " + tensor.dtype + " cannot be read as weights (F32, F16, BF16 and F64 can)", zip_.name());
  }
  if (place.contiguous && place.entry->stored) {
    std::vector<uint8_t> chunk(std::min<uint64_t>(count, kReadChunkElements) * size);
    for (uint64_t done = 0; done < count;) {
      const size_t n = std::min<uint64_t>(count - done, kReadChunkElements);
      zip_.ReadAt(*place.entry, (place.offset + first + done) * size, chunk.data(), n * size);
      PlainToFloats(tensor.dtype, chunk.data(), n, out + done);
      done += n;
    }
    return;
  }
  const std::vector<uint8_t>& storage = Storage(place.entry);
  if (place.contiguous) return PlainToFloats(tensor.dtype, storage.data() + (place.offset + first) * size, count, out);
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t rest = first + i, at = place.offset;
    for (size_t d = tensor.shape.size(); d-- > 0;) {
      at += rest % tensor.shape[d] * place.strides[d];
      rest /= tensor.shape[d];
    }
    PlainToFloats(tensor.dtype, storage.data() + at * size, 1, out + i);
  }
}

}  // namespace thimble
