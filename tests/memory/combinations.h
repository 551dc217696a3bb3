// What the memory tests go through: models of every kind with options of every kind, and the plan of each in
// one piece.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "tests/support/call.h"
#include "tests/support/model_builder.h"

namespace thimble::test {

struct Combination {
  std::string name;  // model and options, for messages
  ModelBuilder builder;
  ApiOptions options;
};

// Every model of the zoo, with cache types, threads, pass lengths, contexts, kernels and sampling varied
// along; another variant gives each model others of them.
std::vector<Combination> Combinations(uint32_t variant = 0);

struct PlanLine {
  int32_t lifetime;
  std::string name;
  int32_t index;
  uint64_t offset, bytes;
  bool scratch;
  int32_t session = -1;  // slot
};

struct Plan {
  thimble_plan totals = Sized<thimble_plan>();
  std::vector<PlanLine> lines;

  std::vector<PlanLine> Of(thimble_lifetime lifetime) const;
  std::vector<PlanLine> Named(const std::string& name) const;
};

// A model over bytes in memory.
class OpenModel {
 public:
  explicit OpenModel(const std::vector<uint8_t>& bytes);
  ~OpenModel() { thimble_model_close(model_); }
  OpenModel(const OpenModel&) = delete;
  OpenModel& operator=(const OpenModel&) = delete;

  thimble_model* get() const { return model_; }
  thimble_model_info info() const { return InfoOf(model_); }
  // Throws when planning fails.
  Plan PlanFor(const ApiOptions& options) const;

 private:
  AlignedBytes bytes_;
  thimble_model* model_ = nullptr;
};

// Two layers of four cache heads each, large enough that a page is little.
ModelBuilder WideModel();

// Throws with the message when the status is an error.
void Require(const thimble_error& status);

// A block with room in front and behind, all of it painted with one byte.
class PaintedBlock {
 public:
  static constexpr size_t kGuardBytes = 4096;

  PaintedBlock(size_t bytes, uint8_t paint);
  uint8_t* data() { return block_.data() + kGuardBytes; }
  size_t size() const { return block_.size() - 2 * kGuardBytes; }
  // No byte in front or behind has changed.
  bool GuardsUntouched();
  // Every byte of the block, also where AddressSanitizer watches over it; watching ends.
  std::vector<uint8_t> Snapshot();

 private:
  AlignedBytes block_;
  uint8_t paint_;
};

}  // namespace thimble::test
