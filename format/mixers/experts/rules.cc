// The mixture of experts out of a header, and what must be true of it.
#include "format/decode_pieces.h"
#include "format/header.h"
#include "format/mixers/rules.h"
#include "format/schema/thimble_generated.h"

namespace thimble {
namespace {

struct FfnFields {
  const char *kind, *activation, *width, *gate, *up, *down, *shape, *norm;
};
constexpr FfnFields kExpertFields = {"experts.ffn.kind", "experts.ffn.activation", "experts.ffn.width",
                                     "experts.ffn.gate", "experts.ffn.up",         "experts.ffn.down",
                                     "experts.ffn.shape", "experts.ffn.norm"};
constexpr FfnFields kSharedFields = {"experts.shared.kind", "experts.shared.activation", "experts.shared.width",
                                     "experts.shared.gate", "experts.shared.up",         "experts.shared.down",
                                     "experts.shared.shape", "experts.shared.norm"};

// `count` matrices below each other. A packed one is used expert by expert, so that each begins with a tile.
Status CheckStack(const Rules& rules, const LinearSpec& linear, const char* field, uint32_t count, uint64_t n, uint64_t k) {
  THIMBLE_RETURN_IF_ERROR(rules.Linear(linear, field, count * n, k));
  TensorSpec t;
  THIMBLE_RETURN_IF_ERROR(rules.Tensor(linear.weight, field, &t));
  if (count == 1 || !t.packing.packed() || (t.packing.nr != 0 && n % t.packing.nr == 0)) return Status::Ok();
  return rules.Bad("rows of an expert that are no multiple of its tiles; use portable rows", field).Got(n).Wanted(t.packing.nr);
}

Status CheckFfn(const Rules& rules, const FfnSpec& f, const FfnFields& names, uint32_t count, uint32_t D) {
  THIMBLE_RETURN_IF_ERROR(rules.Range(f.width, 1, kMaxFfnWidth, names.width));
  THIMBLE_RETURN_IF_ERROR(CheckShape(rules, f, names.shape));
  THIMBLE_RETURN_IF_ERROR(CheckStack(rules, f.up, names.up, count, f.width, D));
  THIMBLE_RETURN_IF_ERROR(CheckStack(rules, f.down, names.down, count, D, f.width));
  if (f.kind == FfnKind::kGated) return CheckStack(rules, f.gate, names.gate, count, f.width, D);
  return rules.NoLinear(f.gate, names.gate);
}

Status ReadFfn(const fb::FeedForward* f, const FfnFields& names, uint32_t count, FfnSpec* out) {
  if (f == nullptr) return Status::Ok();
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(f->kind(), FfnKind::kGated, names.kind, &out->kind));
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(f->activation(), Activation::kClampedSwish, names.activation, &out->activation));
  out->width = f->width();
  out->gate = DecodeLinear(f->gate());
  out->up = DecodeLinear(f->up());
  out->down = DecodeLinear(f->down());
  out->shape = f->shape();
  THIMBLE_RETURN_IF_ERROR(DecodeNorm(f->norm(), names.norm, &out->norm));
  if (out->norm.kind != NormKind::kNone) return NotRun(names.norm);
  if (f->sparse()) return NotRun(names.activation);
  for (LinearSpec* linear : {&out->gate, &out->up, &out->down}) {
    if (linear->weight != kNoTensor) linear->stack = count;
  }
  return Status::Ok();
}

}  // namespace

uint32_t CountMixers(const fb::Header& header, const ExpertsSpec&) { return CountOf(header.experts()); }

Status ReadMixer(const fb::Header& header, uint32_t index, ExpertsSpec* out) {
  if (index >= CountOf(header.experts())) return NoSuchMixer(index);
  const fb::Experts* e = header.experts()->Get(index);
  out->experts = e->experts();
  out->chosen = e->chosen();
  THIMBLE_RETURN_IF_ERROR(DecodeEnum(e->score(), ExpertScore::kSigmoid, "experts.score", &out->score));
  out->normalise = e->normalise();
  out->normalise_eps = e->normalise_eps();
  out->scale = e->scale();
  out->router = DecodeLinear(e->router());
  out->selection_bias = e->selection_bias();
  THIMBLE_RETURN_IF_ERROR(ReadFfn(e->ffn(), kExpertFields, out->experts, &out->ffn));
  THIMBLE_RETURN_IF_ERROR(ReadFfn(e->shared(), kSharedFields, 1, &out->shared));
  out->shared_gate = DecodeLinear(e->shared_gate());
  out->groups = e->groups();
  out->chosen_groups = e->chosen_groups();
  return Status::Ok();
}

Status CheckMixer(const Rules& rules, const BlockPlace& place, const ExpertsSpec& e) {
  const uint32_t D = place.part.width;
  THIMBLE_RETURN_IF_ERROR(rules.Range(e.experts, 1, kMaxExperts, "experts.experts"));
  THIMBLE_RETURN_IF_ERROR(rules.Range(e.chosen, 1, e.experts < kMaxChosenExperts ? e.experts : kMaxChosenExperts, "experts.chosen"));
  THIMBLE_RETURN_IF_ERROR(rules.NotNegative(e.normalise_eps, "experts.normalise_eps"));
  THIMBLE_RETURN_IF_ERROR(rules.Finite(e.scale, "experts.scale"));
  THIMBLE_RETURN_IF_ERROR(rules.Linear(e.router, "experts.router", e.experts, D));
  THIMBLE_RETURN_IF_ERROR(rules.Range(e.groups, 0, kMaxExpertGroups, "experts.groups"));
  if (e.groups != 0) {
    const uint32_t in_group = e.experts / e.groups;
    if (e.experts % e.groups != 0 || in_group < 2) return rules.Bad("must divide the experts, by 2 or more", "experts.groups").Got(e.groups);
    THIMBLE_RETURN_IF_ERROR(rules.Range(e.chosen_groups, 1, e.groups, "experts.chosen_groups"));
    THIMBLE_RETURN_IF_ERROR(rules.Range(e.chosen, 1, uint64_t{e.chosen_groups} * in_group, "experts.chosen"));
  } else {
    THIMBLE_RETURN_IF_ERROR(rules.Range(e.chosen_groups, 0, 0, "experts.chosen_groups"));
  }
  THIMBLE_RETURN_IF_ERROR(rules.OptionalVector(e.selection_bias, "experts.selection_bias", e.experts));
  THIMBLE_RETURN_IF_ERROR(CheckFfn(rules, e.ffn, kExpertFields, e.experts, D));
  if (e.shared.width != 0) {
    THIMBLE_RETURN_IF_ERROR(CheckFfn(rules, e.shared, kSharedFields, 1, D));
    if (e.shared_gate.weight != kNoTensor) return rules.Linear(e.shared_gate, "experts.shared_gate", 1, D);
    return rules.NoLinear(e.shared_gate, "experts.shared_gate");
  }
  THIMBLE_RETURN_IF_ERROR(rules.NoLinear(e.shared.gate, kSharedFields.gate));
  THIMBLE_RETURN_IF_ERROR(rules.NoLinear(e.shared.up, kSharedFields.up));
  THIMBLE_RETURN_IF_ERROR(rules.NoLinear(e.shared.down, kSharedFields.down));
  return rules.NoLinear(e.shared_gate, "experts.shared_gate");
}

}  // namespace thimble
