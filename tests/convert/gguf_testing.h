// Writes GGUF files for tests: valid by default, and broken where a test says so.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace thimble::test {

class GgufWriter {
 public:
  uint32_t version = 3;
  uint64_t alignment = 32;                      // of the data; the key is the caller's
  uint64_t extra_tensors = 0, extra_pairs = 0;  // counted in the header and not there
  std::string tail;                             // behind the data

  template <typename T>
  static std::string Number(T value) {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
  }
  static std::string Text(const std::string& text) { return Number<uint64_t>(text.size()) + text; }

  // `value` as it lies in the file, behind its type.
  void Pair(const std::string& key, uint32_t type, const std::string& value) {
    pairs_.push_back(Text(key) + Number(type) + value);
  }
  void U32(const std::string& key, uint32_t value) { Pair(key, 4, Number(value)); }
  void F32(const std::string& key, float value) { Pair(key, 6, Number(value)); }
  void Bool(const std::string& key, bool value) { Pair(key, 7, std::string(1, value ? '\1' : '\0')); }
  void String(const std::string& key, const std::string& value) { Pair(key, 8, Text(value)); }
  void Strings(const std::string& key, const std::vector<std::string>& values) {
    std::string bytes = Number<uint32_t>(8) + Number<uint64_t>(values.size());
    for (const std::string& value : values) bytes += Text(value);
    Pair(key, 9, bytes);
  }
  template <typename T>
  void Array(const std::string& key, uint32_t type, const std::vector<T>& values) {
    std::string bytes = Number(type) + Number<uint64_t>(values.size());
    for (const T value : values) bytes += Number(value);
    Pair(key, 9, bytes);
  }

  // Slowest dimension first, as everywhere else. `offset` of UINT64_MAX: behind the tensor before.
  void Tensor(const std::string& name, std::vector<uint64_t> shape, uint32_t type, const std::string& data,
              uint64_t offset = UINT64_MAX) {
    if (offset == UINT64_MAX) offset = data_.size();
    std::string info = Text(name) + Number<uint32_t>(static_cast<uint32_t>(shape.size()));
    for (size_t i = shape.size(); i > 0; --i) info += Number<uint64_t>(shape[i - 1]);
    infos_.push_back(info + Number(type) + Number(offset));
    data_ += data;
    data_.resize((data_.size() + alignment - 1) / alignment * alignment);
  }
  void Floats(const std::string& name, const std::vector<uint64_t>& shape, const std::vector<float>& values) {
    Tensor(name, shape, 0,
           std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
  }

  std::string Bytes() const {
    std::string bytes = "GGUF" + Number(version) + Number<uint64_t>(infos_.size() + extra_tensors) +
                        Number<uint64_t>(pairs_.size() + extra_pairs);
    for (const std::string& pair : pairs_) bytes += pair;
    for (const std::string& info : infos_) bytes += info;
    bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
    return bytes + data_ + tail;
  }

 private:
  std::vector<std::string> pairs_, infos_;
  std::string data_;
};

}  // namespace thimble::test
