#include "runtime/packing.h"

#include <cstring>

namespace thimble {

Status CheckPackedTensors(const Header& header) {
  for (uint32_t i = 0; i < header.tensors(); ++i) {
    const PackingSpec packing = header.tensor(i).packing;
    if (!packing.packed()) continue;
    return Status::Error(Code::kUnsupported, "a packing this build does not know; convert the model again")
        .At("tensor", i).Field("packing.packer").Detail(packing.packer, std::strlen(packing.packer));
  }
  return Status::Ok();
}

}  // namespace thimble
