// The language models of "Do Transformers Need Three Projections?" (arXiv 2606.04032): GPT-2 blocks whose
// attention shares projections. Eight layouts, told apart by the names and the shapes of the attention's
// tensors:
//
//   tensors            rows              layout         sharing   kv heads
//   c_attn             Q D | K D | V D   QKV            none      H
//   c_kv               K D | V D         Q=K-V          q_k       H
//   c_q, c_k           Q D, K D          Q-K=V          k_v       H
//   c_k                K D               Q=K=V          q_k_v     H
//   c_q, c_kv          Q D, K Gd | V Gd  GQA, MQA (G 1) none      n_kv_groups
//   c_q, c_k           Q D, K Gd         Q-GQA          k_v       n_kv_groups
//   c_q, c_kv          Q D, K d          Q-MQA          k_v       1
//
// Two more are Q-K=V once two matrices of theirs are multiplied: QVV(3) (c_q1, c_q2, c_v) and Keyless attention
// (arXiv 2606.21848: c_q, c_v and R, a square matrix for each head of the query).
#include <cmath>

#include "targets/convert/family.h"
#include "targets/convert/fold.h"

namespace thimble {
namespace {

// 50257 ids of the GPT-2 BPE, padded to a multiple of 128 rows.
constexpr uint32_t kGpt2Rows = 50304;
constexpr uint32_t kGpt2Ids = 50257;

struct Layout {
  const char* name;     // as the paper has it
  const char* variant;  // as a configuration may have it
  Sharing sharing;
  uint32_t kv_heads = 0;

  Layout With(uint32_t heads) const { return {name, variant, sharing, heads}; }
};

enum Variant : uint8_t { kQkv, kQEqK, kKEqV, kQEqKEqV, kGqa, kMqa, kQGqa, kQMqa, kQvv, kKeyless };
constexpr Layout kLayouts[] = {
    {"QKV", "qkv", Sharing::kNone},    {"Q=K-V", "q_eq_k", Sharing::kQK},
    {"Q-K=V", "k_eq_v", Sharing::kKV}, {"Q=K=V", "q_eq_k_eq_v", Sharing::kQKV},
    {"GQA", "gqa", Sharing::kNone},    {"MQA", "mqa", Sharing::kNone},
    {"Q-GQA", "qgqa", Sharing::kKV},   {"Q-MQA", "qmqa", Sharing::kKV},
    {"QVV(3)", "qvv3", Sharing::kKV},  {"Keyless", "keyless", Sharing::kKV},
};

struct Dimensions {
  uint32_t width, heads, head_width;
  uint32_t groups;  // n_kv_groups, 0 when absent
};

uint64_t Rows(const PlanBuilder& b, const std::string& source, const Dimensions& m) {
  const std::vector<uint64_t>& shape = b.Shape(source);
  if (shape.size() != 2 || shape[1] != m.width) {
    b.Refuse(Code::kInvalidModel, source,
             "shape " + ShapeText(shape) + ", expected [rows, " + std::to_string(m.width) + "]");
  }
  return shape[0];
}

// Layouts with a key per query head.
void ExpectAllHeads(const PlanBuilder& b, const std::string& source, const Dimensions& m,
                    const char* layout) {
  if (m.groups == 0 || m.groups == m.heads) return;
  b.Refuse(Code::kInvalidModel, source,
           "is the " + std::string(layout) + " layout, which has " + std::to_string(m.heads) +
               " kv heads, but field 'n_kv_groups' says " + std::to_string(m.groups));
}

// The configuration names a layout that we know, and it is not the one that the tensors have.
bool NamesAnother(const std::string& variant, const Layout& layout) {
  for (const Layout& known : kLayouts) {
    if (variant == known.name || variant == known.variant) return known.name != std::string(layout.name);
  }
  return false;
}

Layout FindLayout(const PlanBuilder& b, const std::string& attn, const Dimensions& m) {
  const bool c_attn = b.Has(attn + "c_attn.weight"), c_q = b.Has(attn + "c_q.weight");
  const bool c_k = b.Has(attn + "c_k.weight"), c_kv = b.Has(attn + "c_kv.weight");
  const uint64_t d = m.head_width;
  if (c_attn && !c_q && !c_k && !c_kv) {
    ExpectAllHeads(b, attn + "c_attn.weight", m, "QKV");
    return kLayouts[kQkv].With(m.heads);
  }
  if (c_kv && !c_attn && !c_q && !c_k) {
    ExpectAllHeads(b, attn + "c_kv.weight", m, "Q=K-V");
    return kLayouts[kQEqK].With(m.heads);
  }
  if (c_k && !c_attn && !c_q && !c_kv) {
    ExpectAllHeads(b, attn + "c_k.weight", m, "Q=K=V");
    return kLayouts[kQEqKEqV].With(m.heads);
  }
  if (c_q && c_k && !c_attn && !c_kv) {
    const uint64_t rows = Rows(b, attn + "c_k.weight", m);
    const uint64_t kv_heads = m.groups > 0 ? m.groups : rows / d;
    if (rows == 0 || rows != kv_heads * d || m.heads % kv_heads != 0) {
      b.Refuse(Code::kInvalidModel, attn + "c_k.weight",
               std::to_string(rows) + " rows are not the keys of " + std::to_string(kv_heads) +
                   " kv heads of width " + std::to_string(d));
    }
    if (kv_heads == m.heads) return kLayouts[kKEqV].With(m.heads);
    return kLayouts[kv_heads == 1 ? kQMqa : kQGqa].With(static_cast<uint32_t>(kv_heads));
  }
  if (c_q && c_kv && !c_attn && !c_k) {
    // One tensor, two meanings: K then V for each group, or one row that is both.
    const uint64_t rows = Rows(b, attn + "c_kv.weight", m);
    if (rows == d && m.groups <= 1) return kLayouts[kQMqa].With(1);
    if (rows == 2 * d && m.groups <= 1) return kLayouts[kMqa].With(1);
    if (m.groups > 0 && rows == 2 * m.groups * d && m.heads % m.groups == 0)
      return kLayouts[kGqa].With(m.groups);
    b.Refuse(Code::kInvalidModel, attn + "c_kv.weight",
             "is ambiguous: " + std::to_string(rows) + " rows with head width " + std::to_string(d) +
                 " and n_kv_groups " + (m.groups > 0 ? std::to_string(m.groups) : "absent") + "; expected " +
                 std::to_string(d) + " (Q-MQA), or 2 * n_kv_groups * " + std::to_string(d) +
                 " (GQA, MQA: K rows, then V rows)");
  }
  if (b.Has(attn + "c_v.weight") && !c_attn && !c_k && !c_kv) {
    ExpectAllHeads(b, attn + "c_v.weight", m, "K=V");
    if (c_q && b.Has(attn + "R")) return kLayouts[kKeyless].With(m.heads);
    if (!c_q && b.Has(attn + "c_q1.weight") && b.Has(attn + "c_q2.weight")) return kLayouts[kQvv].With(m.heads);
  }
  std::string found;
  for (const char* name : {"c_attn", "c_q", "c_q1", "c_q2", "c_k", "c_kv", "c_v"}) {
    if (b.Has(attn + name + ".weight")) found += (found.empty() ? "" : ", ") + std::string(name);
  }
  b.Refuse(Code::kInvalidModel, attn + "c_attn.weight",
           "no layout of the paper has these tensors: " +
               (found.empty() ? std::string("none of c_attn, c_q, c_k, c_kv") : found));
}

AttentionSpec Attention(PlanBuilder& b, const std::string& name, const std::string& attn,
                        const Layout& layout, const Dimensions& m, Bias bias) {
  const uint64_t D = m.width, kv = uint64_t{layout.kv_heads} * m.head_width;
  AttentionSpec a;
  a.heads = m.heads;
  a.kv_heads = layout.kv_heads;
  a.head_width = m.head_width;
  a.sharing = layout.sharing;
  a.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(m.head_width)));
  if (b.Has(attn + "c_attn.weight")) {
    a.q = b.Linear(name + "q", attn + "c_attn", D, D, bias, {0, 3 * D});
    a.k = b.Linear(name + "k", attn + "c_attn", D, D, bias, {D, 3 * D});
    a.v = b.Linear(name + "v", attn + "c_attn", D, D, bias, {2 * D, 3 * D});
  } else if (b.Has(attn + "R") || b.Has(attn + "c_q1.weight")) {
    a.q = b.Has(attn + "R") ? FoldRouting(b, name + "q", attn + "c_q", attn + "R", m.heads, D, bias)
                            : FoldLinears(b, name + "q", attn + "c_q1", attn + "c_q2", D, bias);
    a.k = b.Linear(name + "k", attn + "c_v", D, D, bias);
  } else {
    const bool has_query = layout.sharing == Sharing::kNone || layout.sharing == Sharing::kKV;
    const bool has_value = layout.sharing == Sharing::kNone || layout.sharing == Sharing::kQK;
    const std::string keys = attn + (b.Has(attn + "c_kv.weight") ? "c_kv" : "c_k");
    const uint64_t total = has_value ? 2 * kv : kv;
    if (has_query) a.q = b.Linear(name + "q", attn + "c_q", D, D, bias);
    a.k = b.Linear(name + "k", keys, kv, D, bias, {0, total});
    if (has_value) a.v = b.Linear(name + "v", keys, kv, D, bias, {kv, total});
  }
  a.o = b.Linear(name + "o", attn + "c_proj", D, D, bias);
  return a;
}

}  // namespace

ModelPlan PlanPaper(Config& config, const Checkpoint& checkpoint) {
  const uint32_t V = config.Count("vocab_size"), L = config.Count("n_layer");
  Dimensions m;
  m.width = config.Count("n_embd");
  m.heads = config.Count("n_head");
  m.head_width = HeadWidth(config, "n_head", m.width, m.heads);
  m.groups = config.Has("n_kv_groups") ? config.Count("n_kv_groups") : 0;
  const uint32_t D = m.width, F = config.Count("n_inner", 4 * D), positions = config.Count("n_positions");
  const double eps = config.Positive("layer_norm_epsilon", 1e-5);
  const Activation activation = ReadActivation(config, "activation_function", "gelu");
  const Bias bias = config.Flag("use_bias", true) ? Bias::kRequired : Bias::kAbsent;
  const bool tied = config.Flag("tie_word_embeddings", true);
  const std::string variant = config.Text("variant", "");
  config.IgnoreCommon();
  config.Finish();

  PlanBuilder b(checkpoint, config.file(), {"module.", "_orig_mod.", "transformer."});
  b.DropIf(IsMaskBuffer);
  // A norm's bias is a matter of its own: use_bias speaks of the linears.
  const auto norm_bias = [&](const std::string& source) {
    return bias == Bias::kRequired || b.Has(source + ".bias") ? Bias::kRequired : Bias::kAbsent;
  };

  ModelSpec spec;
  spec.width = D;
  spec.outputs = V;
  spec.vocabulary = V == kGpt2Rows ? kGpt2Ids : V;
  spec.max_positions = positions;
  spec.input.table = b.Matrix("input.table", "wte.weight", V, D, TensorRole::kTable);
  spec.input.positions = b.Matrix("input.positions", "wpe.weight", positions, D, TensorRole::kExact);
  std::vector<LayerSpec> layers;
  const char* layout_name = "";
  for (uint32_t i = 0; i < L; ++i) {
    const std::string h = "h." + std::to_string(i) + ".", name = "layer." + std::to_string(i) + ".";
    const Layout layout = FindLayout(b, h + "attn.", m);
    if (i > 0 && layout_name != std::string(layout.name)) {
      b.Refuse(
          Code::kInvalidModel, h + "attn.c_proj.weight",
          "this layer has the layout " + std::string(layout.name) + ", the layers before " + layout_name);
    }
    layout_name = layout.name;
    if (NamesAnother(variant, layout)) {
      config.Refuse(
          Code::kInvalidModel, "variant",
          "'" + variant + "', but the tensors are those of " + layout.name + " ('" + layout.variant + "')");
    }
    BlockSpec attention_block, ffn_block;
    attention_block.norm = b.LayerNorm(name + "attention_norm", h + "ln_1", D, eps, norm_bias(h + "ln_1"));
    attention_block.mixer = Attention(b, name + "attention.", h + "attn.", layout, m, bias);
    ffn_block.norm = b.LayerNorm(name + "ffn_norm", h + "ln_2", D, eps, norm_bias(h + "ln_2"));
    FfnSpec ffn;
    ffn.kind = FfnKind::kPlain;
    ffn.activation = activation;
    ffn.width = F;
    ffn.up = b.Linear(name + "ffn.up", h + "mlp.c_fc", F, D, bias);
    ffn.down = b.Linear(name + "ffn.down", h + "mlp.c_proj", D, F, bias);
    ffn_block.mixer = ffn;
    layers.push_back({{attention_block, ffn_block}});
  }
  spec.output.norm = b.LayerNorm("output.norm", "ln_f", D, eps, norm_bias("ln_f"));
  b.Head(&spec, tied, "wte.weight", V, D);
  return b.Finish("paper", spec, std::move(layers), {{"layout", layout_name}});
}

}  // namespace thimble
