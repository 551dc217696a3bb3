// What a .thimble file says, as the writer takes it: for tools that write a file much like one that is there.
#pragma once

#include "format/model_file.h"
#include "format/writer.h"

namespace thimble {

// Everything but the weights; tensors keep type and packing.
ModelDescription DescribeFile(const ModelFile& file);

}  // namespace thimble
