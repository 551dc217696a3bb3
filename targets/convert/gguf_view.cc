#include "targets/convert/gguf_view.h"

#include <algorithm>
#include <cmath>

#include "runtime/core/checked.h"
#include "targets/convert/gguf_blocks.h"
#include "targets/convert/import_error.h"

namespace thimble {

void ViewCheckpoint::AddView(const std::string& name, const std::vector<uint64_t>& shape, std::vector<Run> runs, Change change) {
  View view{std::move(runs), {}, change, nullptr, change == Change::kNone};
  uint64_t end = 0;
  bool one_type = change == Change::kNone;
  for (const Run& run : view.runs) {
    view.ends.push_back(end += run.count);  // each is part of a file's tensor, and there are no more than these have rows
    view.ternary = view.ternary && stored_->IsTernary(run.tensor);
    one_type = one_type && stored_->BlocksOf(run.tensor) == stored_->BlocksOf(view.runs[0].tensor);
  }
  if (one_type) view.blocks = stored_->BlocksOf(view.runs[0].tensor);
  // Only whole blocks can be moved.
  for (const Run& run : view.runs) {
    if (view.blocks != nullptr && (run.first % view.blocks->elements != 0 || run.count % view.blocks->elements != 0)) view.blocks = nullptr;
  }
  Add({name, stored_->tensors()[view.runs[0].tensor].dtype, shape, end}, stored_->FileOf(view.runs[0].tensor));
  views_.push_back(std::move(view));
}

std::string ViewCheckpoint::NameInFile(const std::string& name) const {
  if (const std::optional<size_t> tensor = Find(name)) return stored_->tensors()[views_[*tensor].runs[0].tensor].name;
  return names_(name);
}

template <typename Read>
void ViewCheckpoint::EachPart(size_t tensor, uint64_t first, uint64_t count, Read read) const {
  const View& view = views_[tensor];
  if (!RangeFits(first, count, tensors()[tensor].elements)) {
    throw ImportError(Code::kOutOfRange, "tensor '" + NameInFile(tensors()[tensor].name) + "': read outside its elements", FileOf(tensor));
  }
  size_t at = static_cast<size_t>(std::upper_bound(view.ends.begin(), view.ends.end(), first) - view.ends.begin());
  while (count > 0) {
    const Run& run = view.runs[at];
    const uint64_t done = first - (view.ends[at] - run.count), n = std::min(count, run.count - done);
    read(run.tensor, run.first + done, n);
    first += n;
    count -= n;
    ++at;
  }
}

void ViewCheckpoint::ReadFloats(size_t tensor, uint64_t first, uint64_t count, float* out) const {
  float* const begin = out;
  EachPart(tensor, first, count, [&](size_t stored, uint64_t from, uint64_t n) {
    stored_->ReadFloats(stored, from, n, out);
    out += n;
  });
  const Change change = views_[tensor].change;
  for (float* x = begin; change != Change::kNone && x < out; ++x)
    *x = change == Change::kMinusOne ? *x - 1 : static_cast<float>(std::log(-static_cast<double>(*x)));
}

void ViewCheckpoint::ReadBlocks(size_t tensor, uint64_t first, uint64_t count, uint8_t* out) const {
  const GgufBlockType* type = BlocksOf(tensor);
  if (type == nullptr) return Checkpoint::ReadBlocks(tensor, first, count, out);
  EachPart(tensor, first, count, [&](size_t stored, uint64_t from, uint64_t n) {
    stored_->ReadBlocks(stored, from, n, out);
    out += n / type->elements * type->bytes;
  });
}

}  // namespace thimble
