#include "tests/convert/torch_testing.h"

#include <bit>
#include <cstring>

namespace thimble::test {
namespace {

template <typename T>
std::string Little(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

uint32_t Crc32(const std::string& data) {
  uint32_t crc = 0xffffffffu;
  for (const char c : data) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320u : 0);
  }
  return ~crc;
}

}  // namespace

void ZipWriter::Add(const std::string& name, const std::string& data, bool deflated) {
  const uint16_t size = static_cast<uint16_t>(data.size());
  std::string packed = data;
  if (deflated) packed = "\1" + Little<uint16_t>(size) + Little<uint16_t>(static_cast<uint16_t>(~size)) + data;
  AddPacked(name, packed, deflated ? 8 : 0, static_cast<uint32_t>(data.size()), Crc32(data));
}

void ZipWriter::AddRun(const std::string& name, char c, uint32_t size) {
  std::string packed;
  uint32_t bits = 0, count = 0;
  // Huffman codes start with their highest bit.
  const auto put = [&](uint32_t code, uint32_t length) {
    for (uint32_t i = length; i-- > 0;) {
      bits |= (code >> i & 1) << count;
      if (++count < 8) continue;
      packed += static_cast<char>(bits);
      bits = count = 0;
    }
  };
  put(0b110, 3);  // the last block, fixed codes
  const uint32_t byte = static_cast<uint8_t>(c);
  const auto literal = [&] { byte < 144 ? put(0x30 + byte, 8) : put(0x190 + byte - 144, 9); };
  literal();
  uint32_t left = size - 1;
  for (; left >= 258; left -= 258) put(0b11000101 << 5, 13);  // 258 bytes from one before
  for (; left > 0; --left) literal();
  put(0, 7);
  put(0, 7);
  AddPacked(name, packed, 8, size, 0);
}

void ZipWriter::AddPacked(const std::string& name, const std::string& packed, uint16_t method, uint32_t size,
                          uint32_t crc) {
  const std::string common = Little<uint16_t>(20) + Little<uint16_t>(0) + Little<uint16_t>(method) +
                             Little<uint32_t>(0) + Little<uint32_t>(crc) +
                             Little<uint32_t>(static_cast<uint32_t>(packed.size())) +
                             Little<uint32_t>(size) +
                             Little<uint16_t>(static_cast<uint16_t>(name.size())) + Little<uint16_t>(0);
  directory_ += "PK\1\2" + Little<uint16_t>(20) + common + std::string(10, '\0') +
                Little<uint32_t>(static_cast<uint32_t>(bytes_.size())) + name;
  bytes_ += "PK\3\4" + common + name + packed;
  ++entries_;
}

std::string ZipWriter::Bytes() const {
  return bytes_ + directory_ + "PK\5\6" + std::string(4, '\0') + Little(entries_) + Little(entries_) +
         Little<uint32_t>(static_cast<uint32_t>(directory_.size())) +
         Little<uint32_t>(static_cast<uint32_t>(bytes_.size())) + Little<uint16_t>(0);
}

PickleWriter& PickleWriter::Raw(const std::string& bytes) {
  bytes_ += bytes;
  return *this;
}
PickleWriter& PickleWriter::Global(const std::string& module, const std::string& name) {
  return Raw("c" + module + "\n" + name + "\n");
}
PickleWriter& PickleWriter::Text(const std::string& text) {
  return Raw("X" + Little<uint32_t>(static_cast<uint32_t>(text.size())) + text);
}
PickleWriter& PickleWriter::Int(int64_t number) {
  if (number >= 0 && number < 256) return Raw("K" + std::string(1, static_cast<char>(number)));
  if (number == static_cast<int32_t>(number)) return Raw("J" + Little(static_cast<int32_t>(number)));
  return Raw("\x8a\x08" + Little(number));
}
PickleWriter& PickleWriter::Float(double number) {
  return Raw("G" + Little(__builtin_bswap64(std::bit_cast<uint64_t>(number))));
}
PickleWriter& PickleWriter::Ints(const std::vector<uint64_t>& numbers) {
  Raw("(");
  for (const uint64_t n : numbers) Int(static_cast<int64_t>(n));
  return Raw("t");
}
PickleWriter& PickleWriter::Plain(const Json& value) {
  if (value.is_null()) return Raw("N");
  if (value.is_bool()) return Raw(value.as_bool() ? "\x88" : "\x89");
  if (value.is_whole()) return Int(value.as_signed());
  if (value.is_number()) return Float(value.as_double());
  if (value.is_text()) return Text(value.as_text());
  if (value.is_array()) {
    Raw("](");
    for (const Json& item : value.items()) Plain(item);
    return Raw("e");
  }
  Raw("}(");
  for (const auto& [key, item] : value.members()) Text(key).Plain(item);
  return Raw("u");
}
PickleWriter& PickleWriter::Storage(const std::string& type, const std::string& key, uint64_t elements) {
  return Raw("(")
      .Text("storage")
      .Global("torch", type)
      .Text(key)
      .Text("cpu")
      .Int(static_cast<int64_t>(elements))
      .Raw("tQ");
}
PickleWriter& PickleWriter::Tensor(const std::string& type, const std::string& key, uint64_t elements, uint64_t offset,
                                   const std::vector<uint64_t>& shape, const std::vector<uint64_t>& strides) {
  Global("torch._utils", "_rebuild_tensor_v2").Raw("(").Storage(type, key, elements);
  Int(static_cast<int64_t>(offset)).Ints(shape).Ints(strides).Raw("\x89");
  return Global("collections", "OrderedDict").Raw(")RtR");
}

std::vector<uint64_t> RowMajorStrides(const std::vector<uint64_t>& shape) {
  std::vector<uint64_t> strides(shape.size());
  uint64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

std::string TorchArchive(const std::string& pickle, const std::vector<std::pair<std::string, std::string>>& storages,
                         bool deflated) {
  ZipWriter zip;
  zip.Add("archive/data.pkl", pickle, deflated);
  zip.Add("archive/byteorder", "little");
  for (const auto& [key, bytes] : storages) zip.Add("archive/data/" + key, bytes, deflated);
  zip.Add("archive/version", "3\n");
  return zip.Bytes();
}

std::string TorchBytes(const std::vector<TestTensor>& tensors, const Json& config,
                       const std::string& prefix) {
  PickleWriter pickle;
  std::vector<std::pair<std::string, std::string>> storages;
  pickle.Raw("}(").Text("model_state_dict").Global("collections", "OrderedDict").Raw(")R(");
  for (const TestTensor& tensor : tensors) {
    const std::string key = std::to_string(storages.size());
    pickle.Text(prefix + tensor.name)
        .Tensor("FloatStorage", key, tensor.values.size(), 0, tensor.shape, RowMajorStrides(tensor.shape));
    storages.emplace_back(key, std::string(reinterpret_cast<const char*>(tensor.values.data()),
                                           tensor.values.size() * sizeof(float)));
  }
  // A state_dict's attribute _metadata comes as BUILD.
  pickle.Raw("u}").Text("_metadata").Raw("}sb");
  pickle.Text("model_config").Plain(config).Text("step").Int(7).Raw("u");
  return TorchArchive(pickle.Done(), storages);
}

}  // namespace thimble::test
