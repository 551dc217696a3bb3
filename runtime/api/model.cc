// C API: models, and what is known without one.
#include <time.h>

#include <new>

#include "ops/tables/kernel_table.h"
#include "runtime/api/error.h"
#include "runtime/api/handles.h"
#include "runtime/packing.h"
#include "runtime/template/conversation.h"

using namespace thimble;

namespace {

// What can be checked only with both header and tokenizer at hand, of every part: each id that text becomes has an
// embedding, and each id that can be sampled has a text.
Status AdoptTokenizer(OpenedModel* model) {
  const Header& header = model->file->header();
  const ModelSpec& spec = header.model();
  if (spec.tokenizer_segment < 0) return Status::Ok();
  const uint32_t segment = static_cast<uint32_t>(spec.tokenizer_segment);
  TokenizerData& tokenizer = model->opened_tokenizer;
  THIMBLE_ASSIGN_OR_RETURN(
      tokenizer, ParseTokenizerData(model->file->Segment(segment), static_cast<size_t>(header.segment(segment).bytes)));
  for (uint32_t i = 0; i < header.parts(); ++i) {
    const ModelSpec part = header.part(i);
    if (part.input.kind != InputKind::kTokens) continue;
    const uint32_t rows = header.tensor(static_cast<uint32_t>(part.input.table)).rows;
    if (tokenizer.piece_count > rows) {
      return Status::Error(Code::kInvalidModel, "more pieces than embedding rows").At("tokenizer").Field("pieces")
          .Got(tokenizer.piece_count).Wanted(rows);
    }
    if (tokenizer.piece_count < part.vocabulary) {
      return Status::Error(Code::kInvalidModel, "fewer pieces than the vocabulary").At("tokenizer").Field("pieces")
          .Got(tokenizer.piece_count).Wanted(part.vocabulary);
    }
  }
  model->tokenizer = &tokenizer;
  return Status::Ok();
}

// For templates that ask for the time: later nothing may be opened any more.
void ReadTimeZone(const Header& header) {
  for (uint32_t i = 0; i < header.chat_formats(); ++i) {
    const ChatFormatView format = header.chat_format(i);
    const Result<chat::Program> program = chat::VerifyProgram(format.program, format.program_bytes);
    if (program.ok() && chat::AsksForTime(program.value())) return tzset();
  }
}

template <typename OpenFile>
enum thimble_code OpenWith(thimble_model** out, thimble_error* error, OpenFile open_file) {
  if (out == nullptr) return Return(NullArgument("model"), error);
  *out = nullptr;
  OpenedModel* model = new (std::nothrow) OpenedModel;
  if (model == nullptr) return Return(Status::Error(Code::kOutOfMemory, "no memory for the model's handle"), error);
  Status status = open_file(model->opened_file);
  if (status.ok()) status = CheckPackedTensors(model->file->header());
  if (status.ok()) status = AdoptTokenizer(model);
  if (status.ok()) ReadTimeZone(model->file->header());
  if (status.ok()) {
    *out = model;
  } else {
    delete model;
  }
  return Return(status, error);
}

int32_t SpecialId(const TokenizerData* tokenizer, uint32_t TokenizerData::* id) {
  return tokenizer != nullptr && tokenizer->*id != kNoToken ? static_cast<int32_t>(tokenizer->*id) : -1;
}

Status Verify(const thimble_model& model, const Progress& progress) {
  THIMBLE_RETURN_IF_ERROR(VerifyPayload(*model.file, progress));
  THIMBLE_RETURN_IF_ERROR(VerifyPackedTensors(*model.file, progress));
  return model.tokenizer != nullptr ? CheckTokenizerData(*model.tokenizer) : Status::Ok();
}

// FlatBuffers strings end with a zero byte, which the verifier has checked.
const char* Terminated(std::string_view text) { return text.empty() ? "" : text.data(); }

static_assert(THIMBLE_ROLE_ENCODER == static_cast<int32_t>(PartRole::kEncoder) && THIMBLE_ROLE_DRAFT == static_cast<int32_t>(PartRole::kDraft));

thimble_model_info InfoOf(const thimble_model& model, uint32_t part) {
  const Header& header = model.file->header();
  const ModelSpec spec = header.part(part);
  thimble_model_info info = {};
  info.layers = spec.layers;
  info.width = spec.width;
  info.vocabulary = spec.vocabulary;
  info.outputs = spec.outputs;
  info.max_positions = spec.max_positions;
  info.has_tokenizer = model.tokenizer != nullptr;
  info.is_decoder = spec.decoder;
  info.bos = SpecialId(model.tokenizer, &TokenizerData::bos);
  info.eos = SpecialId(model.tokenizer, &TokenizerData::eos);
  info.adds_bos = model.tokenizer != nullptr && model.tokenizer->Has(kTokenizerAddBos);
  info.image_height = spec.input.image_height;
  info.image_width = spec.input.image_width;
  info.image_channels = spec.input.image_channels;
  info.file_bytes = model.file->file_bytes();
  info.name = Terminated(header.name());
  info.family = Terminated(header.family());
  info.chat_template = header.chat_formats() > 0 ? Terminated(header.chat_format(0).text) : "";
  info.parts = header.parts();
  info.role = static_cast<int32_t>(spec.role);
  return info;
}

}  // namespace

extern "C" {

const char* thimble_code_name(int32_t code) { return CodeName(static_cast<Code>(code)); }
const char* thimble_code_help(int32_t code) { return CodeHelp(static_cast<Code>(code)); }
int32_t thimble_exit_code(int32_t code) { return ExitCode(static_cast<Code>(code)); }

enum thimble_code thimble_model_open(const char* path, thimble_model** model, thimble_error* error) {
  return OpenWith(model, error, [=](ModelFile& file) {
    Status status = file.Open(path);
    if (status.system_error != 0) status.DetailPath(path);
    return status;
  });
}

enum thimble_code thimble_model_open_fd(int fd, uint64_t offset, uint64_t length, thimble_model** model,
                                        thimble_error* error) {
  return OpenWith(model, error, [=](ModelFile& file) { return file.OpenFd(fd, offset, length); });
}

enum thimble_code thimble_model_open_memory(const void* bytes, size_t size, thimble_model** model, thimble_error* error) {
  return OpenWith(model, error, [=](ModelFile& file) { return file.OpenMemory(bytes, size); });
}

enum thimble_code thimble_model_close(thimble_model* model) {
  // An engine's is in use as long as it is there.
  if (model != nullptr && (model->opened != nullptr || model->engines.load() > 0)) return THIMBLE_BUSY;
  delete static_cast<OpenedModel*>(model);
  return THIMBLE_OK;
}

enum thimble_code thimble_model_verify(const thimble_model* model, thimble_progress_fn progress, void* user,
                                       thimble_error* error) {
  if (model == nullptr) return Return(NullArgument("model"), error);
  return Return(Verify(Opened(*model), {progress, user}), error);
}

enum thimble_code thimble_model_get_info(const thimble_model* model, thimble_model_info* info, thimble_error* error) {
  if (model == nullptr) return Return(NullArgument("model"), error);
  const Status status = CheckSize(info, "info");
  if (status.ok()) WriteStruct(InfoOf(*model, model->part), info);
  return Return(status, error);
}

enum thimble_code thimble_model_get_part_info(const thimble_model* model, uint32_t part, thimble_model_info* info,
                                              thimble_error* error) {
  if (model == nullptr) return Return(NullArgument("model"), error);
  Status status = CheckSize(info, "info");
  if (const uint32_t parts = model->file->header().parts(); status.ok() && part >= parts) {
    status = Status::Error(Code::kOutOfRange, "the file has fewer parts").Field("part").Got(part).Wanted(parts);
  }
  if (status.ok()) WriteStruct(InfoOf(*model, part), info);
  return Return(status, error);
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
