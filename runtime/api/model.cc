// C API: models and their plan.
#include <new>

#include "ops/tables/kernel_table.h"
#include "ops/pool/thread_pool.h"
#include "runtime/api/handles.h"
#include "runtime/packing.h"
#include "runtime/plan.h"

using namespace thimble;

namespace {

// What can be checked only with both header and tokenizer at hand: every id that text becomes has an embedding, and
// every id that can be sampled has a text.
Status AdoptTokenizer(thimble_model* model) {
  const ModelSpec& spec = model->file.header().model();
  if (spec.tokenizer_segment < 0) return Status::Ok();
  const uint32_t segment = static_cast<uint32_t>(spec.tokenizer_segment);
  THIMBLE_ASSIGN_OR_RETURN(model->tokenizer,
                           ParseTokenizerData(model->file.Segment(segment),
                                              static_cast<size_t>(model->file.header().segment(segment).bytes)));
  if (spec.input.kind == InputKind::kTokens) {
    const uint32_t rows = model->file.header().tensor(static_cast<uint32_t>(spec.input.table)).rows;
    if (model->tokenizer.piece_count > rows) {
      return Status::Error(Code::kInvalidModel, "more pieces than embedding rows").At("tokenizer").Field("pieces")
          .Got(model->tokenizer.piece_count).Wanted(rows);
    }
    if (model->tokenizer.piece_count < spec.vocabulary) {
      return Status::Error(Code::kInvalidModel, "fewer pieces than the vocabulary").At("tokenizer").Field("pieces")
          .Got(model->tokenizer.piece_count).Wanted(spec.vocabulary);
    }
  }
  model->has_tokenizer = true;
  return Status::Ok();
}

template <typename OpenFile>
thimble_status OpenWith(thimble_model** out, OpenFile open_file) {
  if (out == nullptr) return ToC(NullArgument("model"));
  *out = nullptr;
  thimble_model* model = new (std::nothrow) thimble_model;
  if (model == nullptr) return ToC(Status::Error(Code::kOutOfMemory, "no memory for the model's handle"));
  Status status = open_file(model->file);
  if (status.ok()) status = CheckPackedTensors(model->file.header());
  if (status.ok()) status = AdoptTokenizer(model);
  if (!status.ok()) {
    delete model;
    return ToC(status);
  }
  *out = model;
  return ToC(status);
}

int32_t SpecialId(const thimble_model* model, uint32_t id) {
  return model->has_tokenizer && id != kNoToken ? static_cast<int32_t>(id) : -1;
}

}  // namespace

extern "C" {

const char* thimble_code_name(int32_t code) { return CodeName(static_cast<Code>(code)); }

thimble_status thimble_model_open(const char* path, thimble_model** model) {
  return OpenWith(model, [path](ModelFile& file) { return file.Open(path); });
}

thimble_status thimble_model_open_memory(const void* bytes, size_t size, thimble_model** model) {
  return OpenWith(model, [bytes, size](ModelFile& file) { return file.OpenMemory(bytes, size); });
}

void thimble_model_close(thimble_model* model) { delete model; }

thimble_status thimble_model_verify(const thimble_model* model) {
  if (model == nullptr) return ToC(NullArgument("model"));
  Status status = VerifyPayload(model->file);
  if (status.ok()) status = VerifyPackedTensors(model->file);
  if (status.ok() && model->has_tokenizer) status = CheckTokenizerData(model->tokenizer);
  return ToC(status);
}

thimble_model_info thimble_model_get_info(const thimble_model* model) {
  thimble_model_info info = {};
  info.name = info.family = info.chat_template = "";
  info.bos = info.eos = -1;
  if (model == nullptr) return info;
  const Header& header = model->file.header();
  const ModelSpec& spec = header.model();
  // FlatBuffers strings end with a zero byte, which the verifier has checked.
  if (!header.name().empty()) info.name = header.name().data();
  if (!header.family().empty()) info.family = header.family().data();
  if (!header.chat_template().empty()) info.chat_template = header.chat_template().data();
  info.file_bytes = model->file.file_bytes();
  info.layers = spec.layers;
  info.width = spec.width;
  info.vocabulary = spec.vocabulary;
  info.outputs = spec.outputs;
  info.max_positions = spec.max_positions;
  info.has_tokenizer = model->has_tokenizer;
  info.is_decoder = header.is_decoder();
  info.bos = SpecialId(model, model->tokenizer.bos);
  info.eos = SpecialId(model, model->tokenizer.eos);
  info.image_height = spec.input.image_height;
  info.image_width = spec.input.image_width;
  info.image_channels = spec.input.image_channels;
  return info;
}

thimble_options thimble_default_options(void) {
  thimble_options o = {};
  o.struct_bytes = sizeof o;
  o.threads = 1;
  o.key_cache = o.value_cache = THIMBLE_CACHE_F16;
  const SamplerOptions s;
  o.sampling = {s.temperature, static_cast<int32_t>(s.top_k), s.top_p, s.min_p, s.repeat_penalty,
                static_cast<int32_t>(s.repeat_last_n), s.seed};
  return o;
}

thimble_status thimble_plan_memory(const thimble_model* model, const thimble_options* options, thimble_plan* plan,
                                   thimble_plan_fn each, void* user) {
  if (model == nullptr) return ToC(NullArgument("model"));
  if (options == nullptr) return ToC(NullArgument("options"));
  if (plan == nullptr) return ToC(NullArgument("plan"));
  const Result<EngineOptions> resolved = ResolveOptions(model->file.header(), *options);
  if (!resolved.ok()) return ToC(resolved.status());
  return ToC(PlanMemory(model->file, resolved.value(), model->tokenizer_data(), sizeof(thimble_model), plan, each, user));
}

const char* thimble_kernel_tables(void) {
  struct Names {
    char text[128] = {};
    Names() {
      size_t length = 0;
      const CpuFeatures cpu = DetectCpu();
      for (const KernelTable* table : AllKernelTables()) {
        if (!table->supported(cpu)) continue;
        if (length > 0 && length + 1 < sizeof text) text[length++] = ' ';
        for (const char* c = table->name; *c != 0 && length + 1 < sizeof text; ++c) text[length++] = *c;
      }
    }
  };
  static const Names names;
  return names.text;
}

const char* thimble_version(void) { return THIMBLE_VERSION; }

}  // extern "C"
