// The stack machine of pickletools.py, cut down to what builds plain data. Opcodes that could call anything
// (REDUCE, BUILD, persistent ids) know exactly the forms that torch.save writes.
#include "targets/convert/pickle.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <unordered_map>

#include "targets/convert/import_error.h"
#include "runtime/core/unicode/unicode.h"

namespace thimble {
namespace {


constexpr size_t kMaxRank = 16;
constexpr size_t kMaxKeyBytes = 200;
constexpr size_t kMaxJsonDepth = 16;
constexpr size_t kMaxJsonValues = 1u << 16;
constexpr uint8_t kMaxProtocol = 5;
// What values, stack and memo may take. What torch.save writes takes about 6 bytes for each of its own.
constexpr size_t kMemoryPerByte = 32, kFreeMemoryBytes = 1u << 20, kMaxMemoryBytes = 128u << 20;
constexpr size_t kMemoEntryBytes = 64;  // of a hash table, about

const std::map<std::string, const char*>& StorageTypes() {
  static const std::map<std::string, const char*> types = {
      {"torch FloatStorage", "F32"},    {"torch DoubleStorage", "F64"}, {"torch HalfStorage", "F16"},
      {"torch BFloat16Storage", "BF16"}, {"torch LongStorage", "I64"},   {"torch IntStorage", "I32"},
      {"torch ShortStorage", "I16"},    {"torch CharStorage", "I8"},    {"torch ByteStorage", "U8"},
      {"torch BoolStorage", "BOOL"}};
  return types;
}

constexpr char kOrderedDict[] = "collections OrderedDict";
constexpr char kTensorV1[] = "torch._utils _rebuild_tensor";
constexpr char kTensorV2[] = "torch._utils _rebuild_tensor_v2";
constexpr char kParameter[] = "torch._utils _rebuild_parameter";

bool IsAllowed(const std::string& global) {
  return global == kOrderedDict || global == kTensorV1 || global == kTensorV2 || global == kParameter ||
         StorageTypes().contains(global);
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const Utf8Char c = DecodeUtf8(text);
    if (!c.valid) return false;
    text.remove_prefix(c.bytes);
  }
  return true;
}

std::string Printable(std::string_view text) {
  std::string shown;
  for (const char c : text.substr(0, 80)) shown += c >= 0x20 && c < 0x7f ? c : '?';
  return shown;
}

}  // namespace

class PickleMachine {
 public:
  PickleMachine(std::span<const uint8_t> bytes, Pickle* out)
      : bytes_(bytes),
        out_(*out),
        limit_(std::min(kFreeMemoryBytes + kMemoryPerByte * bytes.size(), kMaxMemoryBytes)),
        budget_(limit_) {}

  void Run() {
    while (!stopped_) {
      start_ = at_;
      Step(Number<uint8_t>());
    }
  }

 private:
  using Ref = Pickle::Ref;
  using Kind = Pickle::Kind;
  using Value = Pickle::Value;

  [[noreturn]] void Fail(Code code, const std::string& text) const {
    throw ImportError(code, "pickle byte " + std::to_string(start_) + ": " + text);
  }
  [[noreturn]] void Fail(const std::string& text) const { Fail(Code::kInvalidModel, text); }

  std::string_view Take(uint64_t size) {
    if (size > bytes_.size() - at_) {
      Fail(Code::kTruncated, "needs " + std::to_string(size) + " bytes, " +
                                 std::to_string(bytes_.size() - at_) + " remain");
    }
    const char* begin = reinterpret_cast<const char*>(bytes_.data()) + at_;
    at_ += size;
    return {begin, static_cast<size_t>(size)};
  }
  template <typename T>
  T Number() {
    T value;
    std::memcpy(&value, Take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string Text(uint64_t size) {
    const std::string_view text = Take(size);
    if (!IsUtf8(text)) Fail("a text is not UTF-8");
    return std::string(text);
  }
  std::string Line() {
    const char* begin = reinterpret_cast<const char*>(bytes_.data()) + at_;
    const void* end = std::memchr(begin, '\n', bytes_.size() - at_);
    if (end == nullptr) Fail(Code::kTruncated, "a name has no end");
    std::string line = Text(static_cast<uint64_t>(static_cast<const char*>(end) - begin));
    ++at_;
    return line;
  }

  // More memory than the pickle's length explains is an attack.
  void Charge(size_t bytes) {
    if (bytes > budget_) {
      Fail("builds more values than its length explains: the limit for " + std::to_string(bytes_.size()) +
           " bytes is " + std::to_string(limit_) + " bytes of memory; save the model's state_dict alone");
    }
    budget_ -= bytes;
  }
  const Value& Get(Ref ref) const { return out_.values_[ref]; }
  const std::string& TextOf(Ref ref) const { return out_.Text(ref); }
  const std::vector<Ref>& ItemsOf(Ref ref) const { return out_.Items(ref); }
  void PushRef(Ref ref) {
    Charge(sizeof ref);
    stack_.push_back(ref);
  }
  void Push(Value value) {
    Charge(sizeof value);
    const Ref ref = static_cast<Ref>(out_.values_.size());
    out_.values_.push_back(value);
    PushRef(ref);
  }
  void PushMark() { Push({.kind = Kind::kMark}); }
  void PushNumber(Kind kind, int64_t number) { Push({.kind = kind, .number = number}); }
  void PushText(Kind kind, std::string text) {
    Charge(sizeof text + text.size());
    const uint32_t place = static_cast<uint32_t>(out_.texts_.size());
    out_.texts_.push_back(std::move(text));
    Push({.kind = kind, .place = place});
  }
  void PushItems(Kind kind, std::vector<Ref> items) {
    Charge(sizeof items + items.size() * sizeof(Ref));
    const uint32_t place = static_cast<uint32_t>(out_.lists_.size());
    out_.lists_.push_back(std::move(items));
    Push({.kind = kind, .place = place});
  }

  Ref Top() {
    if (stack_.empty() || Get(stack_.back()).kind == Kind::kMark) Fail("the stack is empty");
    return stack_.back();
  }
  Ref Pop() {
    const Ref ref = Top();
    stack_.pop_back();
    return ref;
  }
  // Everything above the last mark, which goes, too.
  std::vector<Ref> PopToMark() {
    size_t mark = stack_.size();
    while (mark > 0 && Get(stack_[mark - 1]).kind != Kind::kMark) --mark;
    if (mark == 0) Fail("there is no mark on the stack");
    std::vector<Ref> items(stack_.begin() + static_cast<std::ptrdiff_t>(mark), stack_.end());
    stack_.resize(mark - 1);
    return items;
  }
  void PushTuple(size_t size) {
    std::vector<Ref> items(size);
    for (size_t i = size; i-- > 0;) items[i] = Pop();
    PushItems(Kind::kTuple, std::move(items));
  }
  void Append(Kind kind, const std::vector<Ref>& items) {
    const Ref target = Top();
    if (Get(target).kind != kind) Fail(kind == Kind::kList ? "appends to no list" : "sets an item of no dictionary");
    if (kind == Kind::kDict && items.size() % 2 != 0) Fail("a dictionary has a key without a value");
    Charge(items.size() * sizeof(Ref));
    std::vector<Ref>& list = out_.lists_[Get(target).place];
    list.insert(list.end(), items.begin(), items.end());
  }

  void Remember(uint64_t index) {
    const Ref top = Top();
    const auto [at, is_new] = memo_.insert_or_assign(index, top);
    if (is_new) Charge(kMemoEntryBytes);
  }
  void Recall(uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) Fail("reads memo " + std::to_string(index) + ", which was never written");
    PushRef(found->second);
  }

  void PushGlobal(std::string global) {
    if (!IsAllowed(global)) {
      for (char& c : global) {
        if (c == ' ') c = '.';
      }
      Fail(Code::kUnsupported, "names '" + Printable(global) +
                                   "', which is none of the things that are read (tensors, dictionaries, "
                                   "lists, numbers and texts)");
    }
    PushText(Kind::kGlobal, std::move(global));
  }

  // ('storage', torch.FloatStorage, key, location, elements)
  void PushStorage() {
    const Ref id = Pop();
    const std::vector<Ref>& items = ItemsOf(id);
    if (Get(id).kind != Kind::kTuple || items.size() != 5 || TextOf(items[0]) != "storage" ||
        Get(items[2]).kind != Kind::kText || Get(items[3]).kind != Kind::kText ||
        Get(items[4]).kind != Kind::kInt || Get(items[4]).number < 0) {
      Fail("a persistent id is not ('storage', type, key, location, elements)");
    }
    const auto type = StorageTypes().find(TextOf(items[1]));
    if (Get(items[1]).kind != Kind::kGlobal || type == StorageTypes().end()) Fail("a storage has no type");
    PickleTensor tensor;
    tensor.dtype = type->second;
    tensor.key = TextOf(items[2]);
    if (tensor.key.size() > kMaxKeyBytes) Fail("a storage has a key that is too long");
    tensor.storage_elements = static_cast<uint64_t>(Get(items[4]).number);
    PushTensor(Kind::kStorage, std::move(tensor));
  }
  void PushTensor(Kind kind, PickleTensor tensor) {
    Charge(sizeof tensor + tensor.key.size() + (tensor.shape.size() + tensor.strides.size()) * sizeof(uint64_t));
    const uint32_t place = static_cast<uint32_t>(out_.tensors_.size());
    out_.tensors_.push_back(std::move(tensor));
    Push({.kind = kind, .place = place});
  }

  std::vector<uint64_t> Sizes(Ref ref, const char* what) {
    if (Get(ref).kind != Kind::kTuple || ItemsOf(ref).size() > kMaxRank) {
      Fail(std::string(what) + " of a tensor must be a tuple of at most " + std::to_string(kMaxRank) + " numbers");
    }
    std::vector<uint64_t> sizes;
    for (const Ref item : ItemsOf(ref)) {
      if (Get(item).kind != Kind::kInt || Get(item).number < 0) {
        Fail(std::string(what) + " of a tensor must be numbers of at least 0");
      }
      sizes.push_back(static_cast<uint64_t>(Get(item).number));
    }
    return sizes;
  }

  void Reduce() {
    const Ref arguments = Pop(), callable = Pop();
    if (Get(callable).kind != Kind::kGlobal || Get(arguments).kind != Kind::kTuple) {
      Fail("calls what is no function, or without a tuple");
    }
    const std::string name = TextOf(callable);
    const std::vector<Ref>& items = ItemsOf(arguments);
    if (name == kOrderedDict) return PushOrderedDict(items);
    if (name == kParameter) {
      if (items.empty() || Get(items[0]).kind != Kind::kTensor) Fail("a parameter holds no tensor");
      return PushRef(items[0]);
    }
    if ((name != kTensorV2 || items.size() < 6) && (name != kTensorV1 || items.size() != 4)) {
      Fail("calls '" + name + "' with " + std::to_string(items.size()) + " arguments");
    }
    if (Get(items[0]).kind != Kind::kStorage) Fail("a tensor has no storage");
    if (Get(items[1]).kind != Kind::kInt || Get(items[1]).number < 0) Fail("the offset of a tensor is no number");
    PickleTensor tensor = out_.Tensor(items[0]);
    tensor.offset = static_cast<uint64_t>(Get(items[1]).number);
    tensor.shape = Sizes(items[2], "the shape");
    tensor.strides = Sizes(items[3], "the strides");
    if (tensor.shape.size() != tensor.strides.size()) Fail("a tensor has not as many strides as dimensions");
    PushTensor(Kind::kTensor, std::move(tensor));
  }
  // Python 3 gives no arguments, Python 2 a list of pairs.
  void PushOrderedDict(const std::vector<Ref>& arguments) {
    std::vector<Ref> dict;
    if (!arguments.empty()) {
      if (arguments.size() != 1 || Get(arguments[0]).kind != Kind::kList) Fail("an OrderedDict is made of no list");
      for (const Ref pair : ItemsOf(arguments[0])) {
        const std::vector<Ref>& items = ItemsOf(pair);
        if (Get(pair).kind == Kind::kDict || items.size() != 2) Fail("an OrderedDict is made of things that are no pairs");
        dict.insert(dict.end(), items.begin(), items.end());
      }
    }
    PushItems(Kind::kDict, std::move(dict));
  }

  void PushLong(uint64_t size) {
    const std::string_view bytes = Take(size);
    if (size > 8) Fail("a number is longer than 64 bits");
    uint64_t number = 0;
    for (size_t i = 0; i < bytes.size(); ++i) number |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
    // Two's complement: the last byte's sign goes on.
    if (size > 0 && size < 8 && (static_cast<uint8_t>(bytes.back()) & 0x80) != 0) number |= ~uint64_t{0} << (8 * size);
    PushNumber(Kind::kInt, static_cast<int64_t>(number));
  }

  void Step(uint8_t opcode) {
    switch (opcode) {
      case 0x80:  // PROTO
        if (const uint8_t version = Number<uint8_t>(); version > kMaxProtocol) {
          Fail(Code::kUnsupported, "protocol " + std::to_string(version) + ", expected at most " +
                                       std::to_string(kMaxProtocol));
        }
        return;
      case 0x95:  // FRAME
        Number<uint64_t>();
        return;
      case '.':  // STOP
        out_.root_ = Pop();
        stopped_ = true;
        return;
      case '(': return PushMark();
      case '0': Pop(); return;
      case '1': PopToMark(); return;
      case '2': return PushRef(Top());
      case 'N': return Push({});
      case 0x88: return PushNumber(Kind::kBool, 1);
      case 0x89: return PushNumber(Kind::kBool, 0);
      case 'J': return PushNumber(Kind::kInt, Number<int32_t>());
      case 'K': return PushNumber(Kind::kInt, Number<uint8_t>());
      case 'M': return PushNumber(Kind::kInt, Number<uint16_t>());
      case 0x8a: return PushLong(Number<uint8_t>());
      case 0x8b: return PushLong(Number<uint32_t>());
      case 'G': {  // BINFLOAT, big-endian
        const uint64_t bits = __builtin_bswap64(Number<uint64_t>());
        return PushNumber(Kind::kFloat, static_cast<int64_t>(bits));
      }
      case 'X':
      case 'T': return PushText(Kind::kText, Text(Number<uint32_t>()));
      case 'U':
      case 0x8c: return PushText(Kind::kText, Text(Number<uint8_t>()));
      case 0x8d: return PushText(Kind::kText, Text(Number<uint64_t>()));
      case ']': return PushItems(Kind::kList, {});
      case '}': return PushItems(Kind::kDict, {});
      case ')': return PushTuple(0);
      case 0x85: return PushTuple(1);
      case 0x86: return PushTuple(2);
      case 0x87: return PushTuple(3);
      case 't': return PushItems(Kind::kTuple, PopToMark());
      case 'l': return PushItems(Kind::kList, PopToMark());
      case 'd': {
        std::vector<Ref> items = PopToMark();
        if (items.size() % 2 != 0) Fail("a dictionary has a key without a value");
        return PushItems(Kind::kDict, std::move(items));
      }
      case 'a': {
        const Ref item = Pop();
        return Append(Kind::kList, {item});
      }
      case 'e': return Append(Kind::kList, PopToMark());
      case 's': {
        const Ref value = Pop(), key = Pop();
        return Append(Kind::kDict, {key, value});
      }
      case 'u': return Append(Kind::kDict, PopToMark());
      case 'q': return Remember(Number<uint8_t>());
      case 'r': return Remember(Number<uint32_t>());
      case 0x94: return Remember(memo_.size());
      case 'h': return Recall(Number<uint8_t>());
      case 'j': return Recall(Number<uint32_t>());
      case 'c': {
        const std::string module = Line();
        return PushGlobal(module + " " + Line());
      }
      case 0x93: {  // STACK_GLOBAL
        const Ref name = Pop(), module = Pop();
        if (Get(name).kind != Kind::kText || Get(module).kind != Kind::kText) Fail("a global has no name");
        return PushGlobal(TextOf(module).substr(0, 200) + " " + TextOf(name).substr(0, 200));
      }
      case 'Q': return PushStorage();
      case 'R': return Reduce();
      case 'b':  // BUILD: attributes of an OrderedDict (a state_dict's _metadata), which say nothing about numbers
        Pop();
        if (Get(Top()).kind != Kind::kDict) Fail("sets attributes of something that is no dictionary");
        return;
      default: {
        char text[48];
        std::snprintf(text, sizeof text, "opcode 0x%02x is not supported", opcode);
        Fail(Code::kUnsupported, text);
      }
    }
  }

  std::span<const uint8_t> bytes_;
  Pickle& out_;
  size_t limit_, budget_;  // bytes of memory
  size_t at_ = 0, start_ = 0;
  bool stopped_ = false;
  std::vector<Ref> stack_;
  std::unordered_map<uint64_t, Ref> memo_;
};

namespace {

class JsonWriter {
 public:
  explicit JsonWriter(const Pickle& pickle) : pickle_(pickle) {}

  Json Write(Pickle::Ref ref, const std::string& name, size_t depth) {
    const auto fail = [&name](const char* text) {
      throw ImportError(Code::kInvalidModel, "'" + Printable(name) + "' " + text);
    };
    if (depth > kMaxJsonDepth) fail("is nested too deep");
    if (++count_ > kMaxJsonValues) fail("holds too many values");
    const Pickle::Value& value = pickle_[ref];
    switch (value.kind) {
      case Pickle::Kind::kNone: return nullptr;
      case Pickle::Kind::kBool: return value.number != 0;
      case Pickle::Kind::kInt:
        return value.number;
      case Pickle::Kind::kFloat: return std::bit_cast<double>(value.number);
      case Pickle::Kind::kText: return pickle_.Text(ref);
      case Pickle::Kind::kTuple:
      case Pickle::Kind::kList: {
        Json array = Json::Array();
        for (const Pickle::Ref item : pickle_.Items(ref)) array.Push(Write(item, name + "[]", depth + 1));
        return array;
      }
      case Pickle::Kind::kDict: {
        std::vector<Json::Member> members;
        const std::vector<Pickle::Ref>& items = pickle_.Items(ref);
        for (size_t i = 0; i + 1 < items.size(); i += 2) {
          const std::string& key = pickle_.Text(items[i]);
          if (pickle_[items[i]].kind != Pickle::Kind::kText) fail("has a key that is no text");
          members.push_back({key, Write(items[i + 1], name + "." + key.substr(0, 80), depth + 1)});
        }
        return Json::Object(std::move(members), Json::Repeated::kLastCounts);
      }
      default: fail("is no plain value");
    }
    return nullptr;
  }

 private:
  const Pickle& pickle_;
  size_t count_ = 0;
};

}  // namespace

Pickle::Pickle(std::span<const uint8_t> bytes) { PickleMachine(bytes, this).Run(); }

const std::string& Pickle::Text(Ref ref) const {
  static const std::string none;
  const Value& value = values_[ref];
  return value.kind == Kind::kText || value.kind == Kind::kGlobal ? texts_[value.place] : none;
}

const std::vector<Pickle::Ref>& Pickle::Items(Ref ref) const {
  static const std::vector<Ref> none;
  const Value& value = values_[ref];
  return value.kind == Kind::kTuple || value.kind == Kind::kList || value.kind == Kind::kDict ? lists_[value.place] : none;
}

std::optional<Pickle::Ref> Pickle::Find(Ref dict, std::string_view key) const {
  if (values_[dict].kind != Kind::kDict) return std::nullopt;
  const std::vector<Ref>& items = Items(dict);
  for (size_t i = items.size(); i >= 2; i -= 2) {
    if (values_[items[i - 2]].kind == Kind::kText && Text(items[i - 2]) == key) return items[i - 1];
  }
  return std::nullopt;
}

Json Pickle::ToJson(Ref ref, const std::string& name) const {
  return JsonWriter(*this).Write(ref, name, 0);
}

}  // namespace thimble
