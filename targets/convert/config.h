// The fields of a config.json, each asked for once. What nobody asked for is an error at the end: a field
// that changes the mathematics must never be ignored. It must not know any family.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "targets/convert/json_file.h"
#include "runtime/core/status.h"

namespace thimble {

// Values of null count as absent. Every error is an ImportError that names the file and the field.
class Config {
 public:
  // `prefix` is put in front of field names in messages ("rope_scaling."). The JSON must outlive this.
  Config(const Json& object, std::string file, std::string prefix = {});

  const std::string& file() const { return file_; }
  // What the file calls fields that were translated, for messages.
  void NameFields(std::map<std::string, std::string> names) { names_ = std::move(names); }
  bool Has(const std::string& field) const;

  // Whole numbers from 1 to `most`; without `fallback` the field is required.
  uint32_t Count(const std::string& field, std::optional<uint32_t> fallback = std::nullopt, uint32_t most = INT32_MAX);
  // The same where null stands for `null`, and nothing written for `absent`.
  uint32_t CountOrNull(const std::string& field, uint32_t absent, uint32_t null, uint32_t most = INT32_MAX) {
    return Count(field, Mentions(field) ? null : absent, most);
  }
  // The same for each of `size` layers: a list of so many numbers, or one for all.
  std::vector<uint32_t> Counts(const std::string& field, uint32_t size, std::optional<uint32_t> fallback = std::nullopt,
                               uint32_t most = INT32_MAX);
  // Finite numbers above 0.
  double Positive(const std::string& field, std::optional<double> fallback = std::nullopt);
  // The same from 0 on.
  double NotNegative(const std::string& field, double fallback);
  bool Flag(const std::string& field, bool fallback);
  std::string Text(const std::string& field, const std::string& fallback);
  // A finite number for each of `size` layers, or nothing.
  std::optional<std::vector<double>> Numbers(const std::string& field, uint32_t size);
  // A list of finite numbers above 0; required.
  std::vector<double> PositiveNumbers(const std::string& field);
  // Two numbers [low, high], 0 <= low < high; high may be infinite, also as {"__float__": "Infinity"}.
  std::pair<double, double> Interval(const std::string& field, std::pair<double, double> fallback);
  // A list of `size` truth values, or nothing where the field is absent or no list.
  std::optional<std::vector<bool>> Flags(const std::string& field, uint32_t size);
  // Whole numbers from 0 on, one or a list of them; required, and an absent list is empty.
  uint32_t WholeNumber(const std::string& field);
  std::vector<uint32_t> WholeNumbers(const std::string& field);
  // A list of texts, or nothing.
  std::optional<std::vector<std::string>> Texts(const std::string& field);
  // The object says so of one of its fields; nothing counts as asked for.
  bool IsObjectWith(const std::string& object, const std::string& field, const std::string& text) const {
    const Json* value = json_.Find(object);
    const Json* inner = value != nullptr && value->is_object() ? value->Find(field) : nullptr;
    return inner != nullptr && inner->is_text() && inner->as_text() == text;
  }
  bool IsText(const std::string& field) const {
    const Json* value = json_.Find(field);
    return value != nullptr && value->is_text();
  }
  // The field is written down, even if its value is null (which may differ from leaving it out).
  bool Mentions(const std::string& field) const { return json_.Has(field); }
  // A nested object, or nothing. The caller finishes it.
  std::optional<Config> Object(const std::string& field);

  // One of several texts, by position: Choice("activation", {"gelu", "relu"}, "gelu") is 0 or 1.
  size_t Choice(const std::string& field, const std::vector<std::string>& known, const std::string& fallback);

  // The field is absent or has exactly this value; any other changes the mathematics and is refused by name.
  void Only(const std::string& field, const Json& value);
  // Fields that never change the mathematics of inference.
  void Ignore(const std::vector<std::string>& fields);
  // Those of every Hugging Face configuration: names, generation defaults, dropout, training; and what other
  // families have, where it is written down with the value that does nothing.
  void IgnoreCommon();
  // Refuses every field that was neither asked for nor ignored, and notes those that were only ignored.
  void Finish() const;
  // Fields that stand in the file, change nothing and were passed over, of this object and of those inside it that were finished.
  const std::vector<std::string>& without_effect() const { return *without_effect_; }

  [[noreturn]] void Refuse(Code code, const std::string& field, const std::string& text) const;

 private:
  const Json* Find(const std::string& field);  // marks it as known; null when absent
  uint32_t CountOf(const Json& value, const std::string& field, uint32_t most) const;

  const Json& json_;
  std::string file_;
  std::string prefix_;
  std::set<std::string> known_, read_;
  std::shared_ptr<std::vector<std::string>> without_effect_ = std::make_shared<std::vector<std::string>>();
  std::map<std::string, std::string> names_;
};

}  // namespace thimble
