// The kinds of mixers, one row each: what a block does with its rows. A new kind is a folder beside these (spec, rules,
// write), a row here, a vector in schema/thimble.fbs, and a folder in runtime/mixers/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <variant>

#include "format/mixers/attention/spec.h"
#include "format/mixers/experts/spec.h"
#include "format/mixers/feed_forward/spec.h"
#include "format/mixers/short_conv/spec.h"
#include "format/mixers/state_space/spec.h"
#include "format/mixers/streams/spec.h"

namespace thimble {

// The numbers of files.
enum class MixerKind : uint8_t {
  kAttention,
  kFeedForward,
  kExperts,
  kShortConvolution,
  kStateSpace,
  kStreams,
};
inline constexpr MixerKind kLastMixerKind = MixerKind::kStreams;

// In the order of MixerKind.
using MixerSpec = std::variant<AttentionSpec, FfnSpec, ExpertsSpec, ShortConvSpec, StateSpaceSpec, StreamsSpec>;

inline MixerKind KindOf(const MixerSpec& mixer) { return static_cast<MixerKind>(mixer.index()); }

// fn(alternative) with the one that the variant holds. (std::visit could throw.)
template <typename Variant, typename F, size_t... kIndex>
void VisitAlternative(Variant&& variant, F& fn, std::index_sequence<kIndex...>) {
  (void)((variant.index() == kIndex && (fn(*std::get_if<kIndex>(&variant)), true)) || ...);
}
template <typename Variant, typename F>
void VisitAlternative(Variant&& variant, F fn) {
  VisitAlternative(variant, fn, std::make_index_sequence<std::variant_size_v<std::remove_cvref_t<Variant>>>());
}

}  // namespace thimble
