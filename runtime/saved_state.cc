// Saving and loading the state of a session. Loading reads the whole stream once to check it, before it changes anything;
// what the checks let through cannot go wrong, whoever wrote it.
#include "runtime/saved_state.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "format/checksum.h"
#include "ops/cache/cache_row.h"
#include "runtime/engine.h"

namespace thimble {
namespace {

static_assert(std::endian::native == std::endian::little, "states are little-endian");

constexpr size_t kBufferBytes = 4096;
constexpr size_t kTrailerBytes = sizeof(uint64_t);

Status Bad(Code code, const char* what, const char* field) { return Status::Error(code, what).At("state").Field(field); }

Status NotEqual(const char* what, const char* field, uint64_t got, uint64_t wanted) {
  return Bad(Code::kStateMismatch, what, field).Got(got).Wanted(wanted);
}

// Rows of one line and head whose bytes lie one after another in the stream.
struct Stretch {
  CacheRows rows;
  size_t head, width;
  uint64_t begin, end;  // positions
};

// Calls visit(Stretch) in the order of the stream, for lines that hold newest rows or for the others.
template <typename Visit>
void ForStretches(const Network& n, unsigned stage, size_t distance, unsigned version, uint64_t position, uint64_t oldest_query, bool newest, Visit visit) {
  for (uint32_t i = 0; i < n.state_lines; ++i) {
    const StateLine& line = n.Lines(stage)[i];
    if ((line.newest_of != -1) != newest || !n.InUse(line, stage)) continue;
    if (line.fixed()) {
      // As one row.
      CacheRows row = InSlot(line, distance);
      row.base += version * row.row_bytes;
      if (position > 0) visit(Stretch{row, 0, line.width, 0, 1});
      continue;
    }
    const uint64_t sinks = std::min<uint64_t>(line.sink_tokens, position);
    uint64_t first = sinks;
    if (newest) {
      first = position > line.window ? position - line.window : 0;
    } else if (line.window != 0 && oldest_query + 1 > first + line.window) {
      first = oldest_query + 1 - line.window;
    } else if (line.window == 0) {
      first = n.options.prefix_tokens;
    }
    const CacheRows rows = InSlot(line, distance);
    for (size_t head = 0; head < line.heads; ++head) {
      visit(Stretch{rows, head, line.width, 0, sinks});
      visit(Stretch{rows, head, line.width, first, position});
    }
  }
}

// Of a stream with that header, whose position and oldest query are in range.
uint64_t TotalBytes(const Network& n, const StateHeader& h) {
  uint64_t bytes = sizeof h + n.state_lines * sizeof(StateRecord) + uint64_t{4} * h.recent_tokens + uint64_t{4} * h.position + uint64_t{4} * h.outputs;
  const auto add = [&](const Stretch& s) { bytes += (s.end - s.begin) * s.rows.row_bytes; };
  ForStretches(n, h.cache_stage, 0, 0, h.position, h.oldest_query, false, add);
  ForStretches(n, h.cache_stage, 0, 0, h.position, h.oldest_query, true, add);
  return bytes + kTrailerBytes;
}

StateRecord RecordOf(const StateLine& line) {
  return {line.fixed() ? kFixedBlock : static_cast<uint32_t>(line.rows.type), line.heads, line.width, line.window};
}

uint64_t HeaderChecksum(const StateHeader& h) { return ChecksumOf(&h, offsetof(StateHeader, header_checksum)); }

bool InPlace(CacheType type) { return type == CacheType::kF32 || type == CacheType::kF16; }

// Few calls for many small pieces, and the checksum of them.
class Out {
 public:
  explicit Out(const StateWriter& writer) : writer_(writer) {}
  void Put(const void* bytes, size_t size) {
    checksum_.Update(bytes, size);
    PutPlain(bytes, size);
  }
  void PutPlain(const void* bytes, size_t size) {
    if (size > sizeof buffer_ - used_) Flush();
    if (size > sizeof buffer_) {
      ok_ = ok_ && writer_.write(writer_.user, bytes, size);
      return;
    }
    std::memcpy(buffer_ + used_, bytes, size);
    used_ += size;
  }
  bool Finish() {
    const uint64_t checksum = checksum_.Digest();
    PutPlain(&checksum, sizeof checksum);
    Flush();
    return ok_;
  }

 private:
  void Flush() {
    if (used_ > 0) ok_ = ok_ && writer_.write(writer_.user, buffer_, used_);
    used_ = 0;
  }

  const StateWriter& writer_;
  Checksum checksum_;
  size_t used_ = 0;
  bool ok_ = true;
  uint8_t buffer_[kBufferBytes];
};

// The bytes from an offset on, in order.
class In {
 public:
  In(const StateReader& reader, uint64_t offset) : reader_(reader), offset_(offset) {}
  bool Get(void* bytes, size_t size) {
    if (size > have_ - at_ && !Refill(bytes, &size)) return false;
    if (size == 0) return true;
    std::memcpy(bytes, buffer_ + at_, size);
    at_ += size;
    return true;
  }

 private:
  // Gives what is left, large pieces without detour, and fills the buffer; *size is what is still wanted, at the end of
  // `bytes`, moved to its begin by the caller's memcpy.
  bool Refill(void*& bytes, size_t* size) {
    const size_t left = have_ - at_;
    std::memcpy(bytes, buffer_ + at_, left);
    bytes = static_cast<uint8_t*>(bytes) + left;
    *size -= left;
    at_ = have_ = 0;
    if (*size > sizeof buffer_) {
      if (!reader_.read(reader_.user, offset_, bytes, *size)) return false;
      offset_ += *size;
      *size = 0;
      return true;
    }
    have_ = static_cast<size_t>(std::min<uint64_t>(sizeof buffer_, reader_.size - offset_));
    if (have_ < *size || !reader_.read(reader_.user, offset_, buffer_, have_)) return false;
    offset_ += have_;
    return true;
  }

  const StateReader& reader_;
  uint64_t offset_;
  size_t at_ = 0, have_ = 0;
  uint8_t buffer_[kBufferBytes];
};

Status ReadFailed() { return Bad(Code::kIo, "the saved state could not be read", "read"); }

Status CheckHeader(const StateReader& in, StateHeader* out) {
  StateHeader& h = *out;
  char magic[sizeof kStateMagic] = {};
  const size_t start = static_cast<size_t>(std::min<uint64_t>(in.size, sizeof magic));
  if (start > 0 && !in.read(in.user, 0, magic, start)) return ReadFailed();
  if (start == 0 || std::memcmp(magic, kStateMagic, start) != 0) return Bad(Code::kNotAState, "not a saved state", "magic");
  if (in.size < sizeof h) return Bad(Code::kStateDamaged, "ends inside its header", "bytes").Got(in.size).Wanted(sizeof h);
  if (!in.read(in.user, 0, &h, sizeof h)) return ReadFailed();
  if (h.header_checksum != HeaderChecksum(h)) return Bad(Code::kStateDamaged, "the header is damaged", "header_checksum");
  if (h.version != kStateVersion) {
    return Bad(Code::kUnsupportedVersion, "saved by another version of thimble", "version").Got(h.version).Wanted(kStateVersion);
  }
  uint32_t reserved = 0;
  for (const uint32_t r : h.reserved) reserved |= r;
  if (h.header_bytes != sizeof h || reserved != 0) {
    return Bad(Code::kStateDamaged, "the header contradicts itself", "header_bytes").Got(h.header_bytes).Wanted(sizeof h);
  }
  if (h.total_bytes == in.size) return Status::Ok();
  return Bad(Code::kStateDamaged, "not as long as it announces", "bytes").Got(in.size).Wanted(h.total_bytes);
}

Status CheckFits(const Engine& engine, const StateHeader& h) {
  const Network& n = engine.network();
  const EngineOptions& o = n.options;
  if (h.model != n.file->header().content_id()) return Bad(Code::kStateMismatch, "saved with another model file", "model");
  if (h.part != o.part) return NotEqual("saved with another part of the model", "part", o.part, h.part);
  const uint32_t keys = static_cast<uint32_t>(o.key_cache), values = static_cast<uint32_t>(o.value_cache);
  if (h.key_cache != keys) return NotEqual("saved with other cache rows", "key_cache", keys, h.key_cache);
  if (h.value_cache != values) return NotEqual("saved with other cache rows", "value_cache", values, h.value_cache);
  if (h.window_tokens != o.window_tokens) {
    return NotEqual("saved with another window", "window_tokens", o.window_tokens, h.window_tokens);
  }
  if (h.sink_tokens != o.sink_tokens) return NotEqual("saved with other sinks", "sink_tokens", o.sink_tokens, h.sink_tokens);
  if (h.position > o.context_tokens) {
    return Bad(Code::kContextFull, "has more tokens than the context; ask for more context_tokens", "position")
        .Got(h.position).Wanted(o.context_tokens);
  }
  if (h.prefix_tokens != o.prefix_tokens) {
    return NotEqual("saved behind another prefix", "prefix_tokens", o.prefix_tokens, h.prefix_tokens);
  }
  if (h.prefix_id != engine.prefix_id()) return Bad(Code::kStateMismatch, "saved behind another prefix of that length", "prefix_id");
  if (h.position < h.prefix_tokens) {
    return Bad(Code::kStateDamaged, "the header contradicts itself", "position").Got(h.position).Wanted(h.prefix_tokens);
  }
  if (h.oldest_query > h.position) {
    return Bad(Code::kStateDamaged, "the header contradicts itself", "oldest_query").Got(h.oldest_query).Wanted(h.position);
  }
  if (h.recent_tokens > Sampler::kMaxRepeatLastN) return Bad(Code::kStateDamaged, "too many", "recent_tokens");
  if (h.outputs != 0 && h.outputs != n.model.outputs) {
    return Bad(Code::kStateDamaged, "the header contradicts itself", "outputs").Got(h.outputs).Wanted(n.model.outputs);
  }
  if (h.cache_stage >= n.cache_stages) {
    return NotEqual("saved with rows of fewer bits than min_cache_type", "cache_stage", n.cache_stages - 1, h.cache_stage);
  }
  if (h.prefix_tokens != 0 && h.cache_stage > engine.prefix_stage()) {
    return Bad(Code::kStateMismatch, "saved with rows of fewer bits than those of the engine's prefix; trim its cache before", "cache_stage")
        .Got(engine.prefix_stage()).Wanted(h.cache_stage);
  }
  if (h.lines != n.state_lines) return NotEqual("saved with other lines of state", "lines", h.lines, n.state_lines);
  const uint64_t wanted = TotalBytes(n, h);
  if (h.total_bytes == wanted) return Status::Ok();
  return Bad(Code::kStateDamaged, "the header contradicts itself", "total_bytes").Got(h.total_bytes).Wanted(wanted);
}

// Everything behind the header, to the last byte.
Status CheckPayload(const Network& n, unsigned stage, const StateReader& reader) {
  In in(reader, sizeof(StateHeader));
  Checksum checksum;
  uint32_t alike = 0;
  for (uint32_t i = 0; i < n.state_lines; ++i) {
    StateRecord record;
    if (!in.Get(&record, sizeof record)) return ReadFailed();
    checksum.Update(&record, sizeof record);
    const StateRecord own = RecordOf(n.Lines(stage)[i]);
    if (alike == i && std::memcmp(&record, &own, sizeof own) == 0) ++alike;
  }
  uint8_t piece[512];
  uint64_t left = reader.size - sizeof(StateHeader) - n.state_lines * sizeof(StateRecord) - kTrailerBytes;
  while (left > 0) {
    const size_t size = static_cast<size_t>(std::min<uint64_t>(left, sizeof piece));
    if (!in.Get(piece, size)) return ReadFailed();
    checksum.Update(piece, size);
    left -= size;
  }
  uint64_t stored;
  if (!in.Get(&stored, sizeof stored)) return ReadFailed();
  if (stored != checksum.Digest()) return Bad(Code::kStateDamaged, "the payload is damaged", "checksum");
  if (alike == n.state_lines) return Status::Ok();
  return Bad(Code::kStateMismatch, "saved with rows of another kind", "line").Got(alike);
}

StateHeader MakeHeader(const Network& n, unsigned stage, uint64_t prefix_id, size_t position, size_t oldest_query, const Sampler& sampler, bool has_logits) {
  StateHeader h = {};
  std::memcpy(h.magic, kStateMagic, sizeof h.magic);
  h.version = kStateVersion;
  h.header_bytes = sizeof h;
  h.model = n.file->header().content_id();
  h.part = n.options.part;
  h.cache_stage = stage;
  h.key_cache = static_cast<uint32_t>(n.options.key_cache);
  h.value_cache = static_cast<uint32_t>(n.options.value_cache);
  h.window_tokens = n.options.window_tokens;
  h.sink_tokens = n.options.sink_tokens;
  h.position = position;
  h.oldest_query = oldest_query;
  h.recent_tokens = sampler.recent_count();
  h.outputs = has_logits ? n.model.outputs : 0;
  h.seed = sampler.options().seed;
  h.random_state = sampler.random_state();
  h.lines = n.state_lines;
  h.prefix_tokens = n.options.prefix_tokens;
  h.prefix_id = prefix_id;
  h.total_bytes = TotalBytes(n, h);
  h.header_checksum = HeaderChecksum(h);
  return h;
}

void PutRows(const Stretch& s, Out& out) {
  uint8_t row[4 * kMaxHeadWidth];
  for (size_t p = static_cast<size_t>(s.begin); p < s.end; ++p) {
    const CacheRows::Where where = s.rows.At(s.head, p);
    if (InPlace(s.rows.type)) {
      out.Put(where.head + where.row * s.rows.row_bytes, s.rows.row_bytes);
      continue;
    }
    TakeOutCacheRow(s.rows.type, where.head, where.row, s.width, row);
    out.Put(row, s.rows.row_bytes);
  }
}

// In rising order: a ring that is smaller than the one they come from keeps the last ones. Rows of the prefix are those that are
// there already.
bool GetRows(const Stretch& s, In& in) {
  uint8_t row[4 * kMaxHeadWidth];
  for (size_t p = static_cast<size_t>(s.begin); p < s.end; ++p) {
    if (p < s.rows.shared_rows()) {
      if (!in.Get(row, s.rows.row_bytes)) return false;
      continue;
    }
    const CacheRows::Where where = s.rows.At(s.head, p);
    if (InPlace(s.rows.type)) {
      if (!in.Get(where.head + where.row * s.rows.row_bytes, s.rows.row_bytes)) return false;
      continue;
    }
    if (!in.Get(row, s.rows.row_bytes)) return false;
    PutInCacheRow(s.rows.type, row, s.width, where.row, where.head);
  }
  return true;
}

}  // namespace

uint64_t Session::StateBytes() const {
  return CheckDecoder().ok() ? MakeHeader(network(), stage_, engine_->prefix_id(), position_, RewindLimit(), sampler_, has_logits_).total_bytes : 0;
}

Status Session::SaveState(const StateWriter& writer) const {
  THIMBLE_RETURN_IF_ERROR(CheckDecoder());
  const Network& n = network();
  const StateHeader h = MakeHeader(n, stage_, engine_->prefix_id(), position_, RewindLimit(), sampler_, has_logits_);
  Out out(writer);
  out.PutPlain(&h, sizeof h);
  for (uint32_t i = 0; i < n.state_lines; ++i) {
    const StateRecord record = RecordOf(n.Lines(stage_)[i]);
    out.Put(&record, sizeof record);
  }
  for (uint32_t i = 0; i < h.recent_tokens; ++i) {
    const uint32_t id = sampler_.Recent(i);
    out.Put(&id, sizeof id);
  }
  out.Put(ids_, position_ * sizeof(int32_t));
  if (h.outputs != 0) out.Put(logits(), h.outputs * sizeof(float));
  for (const bool newest : {false, true}) {
    ForStretches(n, stage_, distance_, version_, position_, h.oldest_query, newest, [&](const Stretch& s) { PutRows(s, out); });
  }
  return out.Finish() ? Status::Ok() : Bad(Code::kIo, "the saved state could not be written", "write");
}

bool Session::ReadState(const StateReader& reader, const StateHeader& h) {
  const Network& n = network();
  In in(reader, sizeof h + n.state_lines * sizeof(StateRecord));
  sampler_.Resume(h.seed, h.random_state);
  for (uint32_t i = 0; i < h.recent_tokens; ++i) {
    int32_t id;
    if (!in.Get(&id, sizeof id)) return false;
    sampler_.Accept(id);
  }
  // A conversation finds by them what it need not read again. Whoever wrote the stream: what is no id is not known.
  if (!in.Get(ids_, static_cast<size_t>(h.position) * sizeof(int32_t))) return false;
  const auto known = [&](int32_t id) { return id >= 0 && static_cast<uint32_t>(id) < n.model.vocabulary; };
  std::replace_if(ids_, ids_ + h.position, [&](int32_t id) { return !known(id); }, kUnknownId);
  last_logits_ = logits_;
  if (!in.Get(last_logits_, h.outputs * sizeof(float))) return false;
  bool ok = true;
  const auto get = [&](const Stretch& s) { ok = ok && GetRows(s, in); };
  stage_ = h.cache_stage;
  ForStretches(n, stage_, distance_, version_, h.position, h.oldest_query, false, get);
  for (uint32_t i = 0; ok && i < n.state_lines; ++i) {
    const StateLine& line = n.Lines(stage_)[i];
    if (line.newest_of != -1 && n.InUse(line, stage_)) {
      MakeNewest(line, n.Lines(stage_)[line.newest_of], static_cast<size_t>(h.position));
    }
  }
  ForStretches(n, stage_, distance_, version_, h.position, h.oldest_query, true, get);
  return ok;
}

Status Session::LoadState(const StateReader& reader) {
  THIMBLE_RETURN_IF_ERROR(CheckDecoder());
  StateHeader h;
  THIMBLE_RETURN_IF_ERROR(CheckHeader(reader, &h));
  THIMBLE_RETURN_IF_ERROR(CheckFits(*engine_, h));
  THIMBLE_RETURN_IF_ERROR(CheckPayload(network(), h.cache_stage, reader));
  if (!ReadState(reader, h)) {
    // It could be read a moment ago: nothing of the session is left.
    Reset();
    return ReadFailed();
  }
  has_logits_ = h.outputs != 0;
  HaveRows(static_cast<size_t>(h.position), static_cast<size_t>(h.oldest_query));
  while (stage_ < engine_->prefix_stage() && LowerRows()) {
  }
  return Status::Ok();
}

}  // namespace thimble
