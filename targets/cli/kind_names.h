// The kinds of the file format by name, as `thimble inspect` writes them. Switches without a default: a new kind without
// a name does not compile (-Werror=switch).
#pragma once

#include "format/spec.h"
#include "format/tokenizer_data.h"

namespace thimble::cli {

const char* KindName(NormKind kind);
const char* KindName(NormOrder kind);
const char* KindName(NormScope kind);
const char* KindName(Sharing kind);
const char* KindName(KeyRotation kind);
const char* KindName(RopePairing kind);
const char* KindName(PartRole kind);
const char* KindName(BlockForm kind);
const char* KindName(InputKind kind);
const char* KindName(OutputRows kind);
const char* KindName(MixerKind kind);
const char* KindName(FfnKind kind);
const char* KindName(ExpertScore kind);
const char* KindName(Activation kind);
const char* KindName(TokenizerKind kind);
const char* KindName(SplitPattern kind);

}  // namespace thimble::cli
