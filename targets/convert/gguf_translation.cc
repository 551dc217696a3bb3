#include "targets/convert/gguf_translation.h"

#include <algorithm>
#include <array>
#include <optional>

#include "format/header.h"
#include "targets/convert/config.h"
#include "targets/convert/import_error.h"

namespace thimble {

GgufTranslation::GgufTranslation(const GgufCheckpoint& file, std::string prefix, const Json& own)
    : file_(file), prefix_(std::move(prefix)), own_(own) {}

void GgufTranslation::Refuse(const std::string& key, const std::string& text) const {
  throw ImportError(Code::kUnsupported, "field '" + prefix_ + key + "': " + text, file_.file());
}

const Json* GgufTranslation::Find(const std::string& key) {
  used_.insert(key);
  return Has(key) ? own_.Find(key) : nullptr;
}

std::optional<double> GgufTranslation::Number(const std::string& key) {
  const Json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) Refuse(key, "found " + Shown(*value) + ", expected a number");
  return value->as_double();
}

uint32_t GgufTranslation::Count(const std::string& key) {
  used_.insert(key);
  return Config(own_, file_.file(), prefix_).Count(key);
}

uint32_t GgufTranslation::layers() {
  used_.insert("block_count");
  return Config(own_, file_.file(), prefix_).Count("block_count", std::nullopt, kMaxLayers);
}

std::vector<uint32_t> GgufTranslation::Layers(const std::string& key) {
  const Json* value = Find(key);
  if (value == nullptr) throw ImportError(Code::kInvalidModel, "field '" + prefix_ + key + "': is missing", file_.file());
  const uint32_t L = layers();
  const auto number = [&](const Json& item) {
    if (!item.is_unsigned() || item.as_unsigned() > INT32_MAX) Refuse(key, "holds " + Shown(item) + ", expected whole numbers from 0 on");
    return static_cast<uint32_t>(item.as_unsigned());
  };
  if (!value->is_array()) return std::vector<uint32_t>(L, number(*value));
  std::vector<uint32_t> numbers;
  for (const Json& item : value->items()) numbers.push_back(number(item));
  if (numbers.size() != L)
    Refuse(key, "has " + std::to_string(numbers.size()) + " numbers, expected one for each of " + std::to_string(L) + " layers");
  return numbers;
}

uint32_t GgufTranslation::OfAllLayers(const std::string& key) {
  uint32_t one = 0;
  for (const uint32_t number : Layers(key)) {
    if (number == 0) continue;
    if (one != 0 && number != one) Refuse(key, "layers with different numbers are not supported in this architecture");
    one = number;
  }
  if (one == 0) Refuse(key, "found 0, expected a whole number from 1 on");
  return one;
}

void GgufTranslation::Only(const std::string& key, const Json& value) {
  const Json* found = Find(key);
  if (found == nullptr || *found == value) return;
  Refuse(key, "found " + Shown(*found) + ", which changes the mathematics; only " + Shown(value) + " is supported");
}

std::vector<Json> GgufTranslation::TensorNumbers(const std::string& name) {
  const size_t tensor = file_.Find(name).value();
  const SourceTensor& stored = file_.tensors()[tensor];
  if (stored.shape.size() != 1 || stored.elements > kMaxHeadWidth)
    throw ImportError(Code::kInvalidModel, "tensor '" + name + "': shape " + ShapeText(stored.shape) + ", expected one number for each rotary pair", file_.file());
  std::vector<float> numbers(stored.elements);
  file_.ReadFloats(tensor, 0, numbers.size(), numbers.data());
  std::vector<Json> list;
  for (const float x : numbers) list.push_back(static_cast<double>(x));
  return list;
}

void GgufTranslation::Unset(const std::string& field) {
  std::erase_if(fields_, [&](const Json::Member& member) { return member.key == field; });
}

Json* GgufTranslation::Field(const std::string& field) {
  for (Json::Member& member : fields_) {
    if (member.key == field) return &member.value;
  }
  return nullptr;
}

void GgufTranslation::Set(const std::string& field, Json value, const std::string& key) {
  Unset(field);
  fields_.push_back({field, std::move(value)});
  if (!key.empty()) field_names_[field] = prefix_ + key;
}

void GgufTranslation::Copy(const std::string& key, const std::string& field) {
  const Json* value = Find(key);
  field_names_[field] = prefix_ + key;
  if (value != nullptr) Set(field, *value, key);
}

Json GgufTranslation::Configuration() const {
  for (const auto& [key, value] : own_.members()) {
    if (!value.is_null() && !used_.contains(key)) Refuse(key, "is unknown; it may change the mathematics, so it is not ignored");
  }
  return Json::Object(fields_);
}

namespace {

using Run = ViewCheckpoint::Run;
constexpr char kBlocks[] = "blk.";

// "blk.3.attn_q.weight": 3 and "attn_q.weight"; without a number all of it.
struct NameParts {
  std::optional<uint32_t> layer;
  std::string rest;
};
NameParts Split(const std::string& name) {
  if (!name.starts_with(kBlocks)) return {std::nullopt, name};
  const size_t begin = sizeof kBlocks - 1, end = name.find('.', begin);
  if (end == std::string::npos || end == begin || end - begin > 6 || name.find_first_not_of("0123456789", begin) != end) return {std::nullopt, name};
  return {static_cast<uint32_t>(std::stoul(name.substr(begin, end - begin))), name.substr(end + 1)};
}

// The name that is this one, with what stands behind it in both.
struct Match {
  const TensorName* name = nullptr;
  std::string suffix;
};
Match FindName(const std::vector<TensorName>& names, const std::string& rest) {
  for (const TensorName& name : names) {
    if (rest == name.theirs) return {&name, {}};
  }
  const size_t dot = rest.rfind('.');
  if (dot == std::string::npos) return {};
  for (const TensorName& name : names) {
    if (rest.compare(0, dot, name.theirs) == 0) return {&name, rest.substr(dot)};
  }
  return {};
}

std::string Published(const NamePrefixes& prefixes, std::optional<uint32_t> layer, const std::string& name) {
  if (name[0] == '/') return name.substr(1);
  return layer ? prefixes.layers + std::to_string(*layer) + "." + name : prefixes.others + name;
}

// The way back, for a published name with or without what stands in front of all of them.
std::string InFile(const std::vector<TensorName>& names, const NamePrefixes& prefixes, std::string name) {
  if (!name.starts_with(prefixes.others)) name = prefixes.others + name;
  std::string front, rest;
  if (name.starts_with(prefixes.layers)) {
    const size_t end = name.find('.', prefixes.layers.size());
    if (end == std::string::npos) return name;
    front = kBlocks + name.substr(prefixes.layers.size(), end + 1 - prefixes.layers.size());
    rest = name.substr(end + 1);
  } else {
    rest = name.substr(prefixes.others.size());
  }
  const size_t dot = rest.rfind('.');
  for (const TensorName& candidate : names) {
    const std::string ours = candidate.ours[0] == '/' ? candidate.ours + 1 : candidate.ours;
    if (rest == ours) return front + candidate.theirs;
    if (dot != std::string::npos && rest.substr(0, dot) == ours) return front + candidate.theirs + rest.substr(dot);
  }
  return front + rest;
}

class TensorTranslator {
 public:
  TensorTranslator(const Checkpoint& file, ViewCheckpoint& view) : file_(file), view_(view) {}

  void Whole(size_t tensor, const std::string& name, std::vector<uint64_t> shape, ViewCheckpoint::Change change = ViewCheckpoint::Change::kNone) {
    view_.AddView(name, shape, {{tensor, 0, file_.tensors()[tensor].elements}}, change);
  }

  // The same with the heads of each key beside each other again.
  void Untiled(size_t tensor, const std::string& name, std::vector<uint64_t> shape, ViewCheckpoint::Change change, Tiled tiled, const TiledHeads& t) {
    const std::vector<uint64_t>& stored = Shape(tensor);
    const uint64_t heads = uint64_t{t.keys} * t.per_key, width = tiled == Tiled::kOnes ? 1 : t.width, front = tiled == Tiled::kTail ? t.in_front : 0;
    const bool columns = tiled == Tiled::kColumns;
    const uint64_t all = file_.tensors()[tensor].elements, row = columns ? 1 : all / stored[0];
    // A shape that is not of these heads is refused later.
    if (heads == 0 || width == 0 || (columns ? stored.back() : stored[0]) != front + heads * width) return Whole(tensor, name, shape, change);
    const uint64_t part = width * row, period = columns ? heads * width : all;
    std::vector<Run> runs;
    for (uint64_t at = 0; at < all; at += period) {
      if (front > 0) runs.push_back({tensor, 0, front * row});
      for (uint64_t h = 0; h < heads; ++h) runs.push_back({tensor, at + front * row + (h % t.per_key * t.keys + h / t.per_key) * part, part});
    }
    view_.AddView(name, shape, std::move(runs), change);
  }

  void Turned(size_t tensor, const std::string& name, uint32_t heads) {
    const std::vector<uint64_t>& shape = Shape(tensor);
    const uint64_t rows = shape[0], row = file_.tensors()[tensor].elements / rows;
    if (heads == 0 || rows % heads != 0 || rows / heads % 2 != 0) return Whole(tensor, name, shape);  // its shape is refused later
    const uint64_t d = rows / heads;
    std::vector<Run> runs;
    for (uint64_t r = 0; r < rows; ++r) {
      const uint64_t half = r % d / (d / 2), i = r % (d / 2);
      runs.push_back({tensor, (r / d * d + 2 * i + half) * row, row});
    }
    view_.AddView(name, shape, std::move(runs));
  }

  void Experts(size_t tensor, const std::string& name) {
    const std::vector<uint64_t>& shape = Shape(tensor);
    const uint64_t own = file_.tensors()[tensor].elements / shape[0];
    const size_t place = name.find('%');
    for (uint64_t e = 0; e < shape[0]; ++e) {
      std::string expert = name;
      expert.replace(place, 1, std::to_string(e));
      view_.AddView(expert, {shape.begin() + 1, shape.end()}, {{tensor, e * own, own}});
    }
  }

  void Half(size_t tensor, const std::string& name, size_t which) { halves_[name][which] = tensor; }

  // Rows of the one before those of the other, for each expert where there are several.
  void JoinHalves() {
    for (const auto& [name, both] : halves_) {
      if (!both[0] || !both[1]) {
        const size_t there = both[0] ? *both[0] : *both[1];
        throw ImportError(Code::kInvalidModel, "tensor '" + file_.tensors()[there].name + "': its other half is missing", file_.FileOf(there));
      }
      const size_t first = *both[0], second = *both[1];
      std::vector<uint64_t> shape = Shape(first);
      if (shape.size() < 2 || Shape(second) != shape) {
        throw ImportError(Code::kInvalidModel, "tensor '" + file_.tensors()[second].name + "': shape " + ShapeText(Shape(second)) +
                                                   ", expected that of '" + file_.tensors()[first].name + "', " + ShapeText(shape), file_.FileOf(second));
      }
      const uint64_t own = shape[shape.size() - 1] * shape[shape.size() - 2], all = file_.tensors()[first].elements;
      std::vector<Run> runs;
      for (uint64_t at = 0; at < all; at += own) {
        runs.push_back({first, at, own});
        runs.push_back({second, at, own});
      }
      shape[shape.size() - 2] *= 2;
      view_.AddView(name, shape, std::move(runs));
    }
  }

  const std::vector<uint64_t>& Shape(size_t tensor) const { return file_.tensors()[tensor].shape; }

 private:
  const Checkpoint& file_;
  ViewCheckpoint& view_;
  std::map<std::string, std::array<std::optional<size_t>, 2>> halves_;
};

}  // namespace

std::unique_ptr<ViewCheckpoint> TranslateTensors(std::unique_ptr<GgufCheckpoint> file, std::vector<TensorName> names,
                                                 const NamePrefixes& prefixes, const std::vector<uint32_t>& heads,
                                                 const std::vector<uint32_t>& kv_heads, const TiledHeads& tiled, const std::set<std::string>& aside) {
  using Change = ViewCheckpoint::Change;
  const GgufCheckpoint& stored = *file;
  auto view = std::make_unique<ViewCheckpoint>(std::move(file), [names, prefixes](const std::string& name) { return InFile(names, prefixes, name); });
  TensorTranslator translate(stored, *view);
  for (size_t i = 0; i < stored.tensors().size(); ++i) {
    const SourceTensor& tensor = stored.tensors()[i];
    if (aside.contains(tensor.name)) continue;
    const NameParts parts = Split(tensor.name);
    const Match match = FindName(names, parts.rest);
    if (match.name == nullptr) {
      translate.Whole(i, tensor.name, tensor.shape);
      continue;
    }
    const std::string name = Published(prefixes, parts.layer, match.name->ours + match.suffix);
    const uint32_t layer = parts.layer.value_or(0);
    const bool keys = std::string(match.name->theirs) == "attn_k";
    const auto heads_here = [&](const std::vector<uint32_t>& all) { return layer < all.size() ? all[layer] : 0; };
    std::vector<uint64_t> shape = tensor.shape;
    Change change = Change::kNone;
    switch (match.name->stored) {
      case Stored::kTurned:
        translate.Turned(i, name, heads_here(keys ? kv_heads : heads));
        continue;
      case Stored::kExperts:
        translate.Experts(i, name);
        continue;
      case Stored::kFirstHalf:
      case Stored::kSecondHalf:
        translate.Half(i, name, match.name->stored == Stored::kSecondHalf);
        continue;
      case Stored::kSame:
        break;
      case Stored::kPlusOne:
        change = Change::kMinusOne;
        break;
      case Stored::kDecay:
        change = Change::kLogOfNegative;
        shape = {tensor.elements};
        break;
      case Stored::kFlat:
        shape = {tensor.elements};
        break;
      case Stored::kTaps:
        if (shape.size() == 2) shape.insert(shape.begin() + 1, 1);
        break;
    }
    if (match.name->tiled == Tiled::kNo || tiled.per_key <= 1) translate.Whole(i, name, shape, change);
    else translate.Untiled(i, name, shape, change, match.name->tiled, tiled);
  }
  translate.JoinHalves();
  return view;
}

}  // namespace thimble
