// The architectures of GGUF files that are read as what they were made from: a configuration and a checkpoint of the hub, for the
// family that reads these (gguf_translation.h). Each is a few names and what a table cannot say.
#pragma once

#include <span>
#include <vector>

#include "targets/convert/gguf_translation.h"

namespace thimble {

struct GgufArchitecture {
  const char* name;        // general.architecture
  const char* model_type;  // of the family, where `fields` sets no other
  const char* summary;     // one line for people
  std::vector<TensorName> names;             // before those that decoders share
  void (*fields)(GgufTranslation& file) = nullptr;  // after those that all decoders share
  bool own_fields = false; // shares neither
  bool own_widths = false; // widths, heads and rotations are matters of its own
  NamePrefixes prefixes = {};
};

std::span<const GgufArchitecture> GgufArchitectures();
// Null where it is none of these.
const GgufArchitecture* FindGgufArchitecture(const std::string& name, const GgufCheckpoint& file);

// Names that decoders of the usual kind share.
std::span<const TensorName> DecoderTensorNames();

}  // namespace thimble
