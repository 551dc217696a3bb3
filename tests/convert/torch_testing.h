// Writes ZIP archives and pickles byte by byte: what torch.save writes, and what it never would.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/convert/import_testing.h"

namespace thimble::test {

class ZipWriter {
 public:
  // deflated: one block of the deflate format that holds the data as it is (at most 65535 bytes).
  void Add(const std::string& name, const std::string& data, bool deflated = false);
  // `size` times the byte `c`, deflated to a hundredth and less. The CRC is not right.
  void AddRun(const std::string& name, char c, uint32_t size);
  std::string Bytes() const;

 private:
  void AddPacked(const std::string& name, const std::string& packed, uint16_t method, uint32_t size, uint32_t crc);

  std::string bytes_, directory_;
  uint16_t entries_ = 0;
};

// The opcodes that torch.save uses, and then some. All return the writer.
class PickleWriter {
 public:
  PickleWriter() { bytes_ = std::string("\x80\x02", 2); }

  PickleWriter& Raw(const std::string& bytes);
  PickleWriter& Global(const std::string& module, const std::string& name);
  PickleWriter& Text(const std::string& text);
  PickleWriter& Int(int64_t number);
  PickleWriter& Float(double number);
  PickleWriter& Ints(const std::vector<uint64_t>& numbers);  // a tuple
  PickleWriter& Plain(const Json& value);         // objects as dictionaries
  // ('storage', torch.TYPE, key, 'cpu', elements) as a persistent id
  PickleWriter& Storage(const std::string& type, const std::string& key, uint64_t elements);
  PickleWriter& Tensor(const std::string& type, const std::string& key, uint64_t elements, uint64_t offset,
                       const std::vector<uint64_t>& shape, const std::vector<uint64_t>& strides);
  std::string Done() const { return bytes_ + "."; }

 private:
  std::string bytes_;
};

std::vector<uint64_t> RowMajorStrides(const std::vector<uint64_t>& shape);

// An archive "NAME/" with this pickle and these storages ("0" -> bytes).
std::string TorchArchive(const std::string& pickle, const std::vector<std::pair<std::string, std::string>>& storages,
                         bool deflated = false);
// {"model_state_dict": OrderedDict of the tensors, "model_config": config, "step": 7}, as the paper's code saves it.
std::string TorchBytes(const std::vector<TestTensor>& tensors, const Json& config,
                       const std::string& prefix = "");

}  // namespace thimble::test
