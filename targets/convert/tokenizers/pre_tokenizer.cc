// The pre-tokenizer of a tokenizer.json is written down as one line per step and looked up in a table: a
// sequence of steps that is not in it is not understood.
#include "targets/convert/tokenizers/pre_tokenizer.h"

#include <algorithm>
#include <iterator>

#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/json_fields.h"
#include "targets/json/json.h"

namespace thimble {
namespace {

using Steps = std::vector<std::string>;

// Line ends are written as escapes.
constexpr char kGpt2[] =
    R"(Split 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr char kLlama3[] =
    R"(Split (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
// The same in the spelling of cl100k_base: what is possessive here could not give anything back.
constexpr char kCl100k[] =
    R"(Split '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|)"
    R"(\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr char kQwen2[] =
    R"(Split (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kO200k[] =
    R"(Split [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// DeepSeek LLM spells its letters out.
constexpr char kDeepSeekLlmLetters[] =
    R"(Split \s?[)"
    "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽ"
    "ᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-"
    "Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-"
    "ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"
    "]+";
constexpr char kDeepSeekLlmPunctuation[] =
    "Split \\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+";
constexpr char kDeepSeekCjk[] = "Split [\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+";
constexpr char kDeepSeek3[] =
    R"(Split [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)"
    R"( ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Qwen2's in the spelling of cl100k_base (Ling), and what differs from it.
constexpr char kBailing[] =
    R"(Split '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr char kQwen35[] =
    R"(Split (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kSeedCoder[] =
    R"(Split (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kUfakzeka[] =
    R"(Split [^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kMiniCpm5[] =
    R"(Split (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kJais2[] =
    R"(Split (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
    R"(\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|)"
    R"(\s{1,2}(?!\S)|\s{1})";
constexpr char kExaoneMoe[] =
    R"(Split (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr char kTekken[] =
    R"(Split [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kYoutu[] =
    R"(Split [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kYoutuScripts[] =
    "Split [\uac00-\ud7a3\u3131-\u318e]+|[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c\u3001-\u303f\ufe30-\ufe4f]+|"
    "[\u3105-\u312f]+|[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+";
constexpr char kKimiK2[] =
    R"(Split [\p{Han}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kTinyAyaDigits[] = R"(Split \d{1,3}(?=(?:\d{3})*\b))";
constexpr char kDeepSeek3Cjk[] = "Split [\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+";
constexpr char kDeepSeek3Digits[] = R"(Split \p{N}{1,3})";
constexpr char kSpark25[] =
    R"(Split [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)"
    R"( ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+)";
constexpr char kBloom[] = "Split  ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+";
constexpr char kViking[] = "Split  ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+";
constexpr char kByteLevel[] = "ByteLevel.use_regex false";
constexpr char kByteLevelGpt2[] = "ByteLevel.use_regex true";
constexpr char kDigits[] = "Digits.individual_digits true";

struct Known {
  SplitPattern pattern;
  uint32_t flags;
  Steps steps;
};

const std::vector<Known>& KnownSteps() {
  static const std::vector<Known> known = {
      {SplitPattern::kGpt2, 0, {kByteLevelGpt2}},
      {SplitPattern::kGpt2, 0, {kGpt2, kByteLevel}},
      {SplitPattern::kGpt2, kTokenizerSplitDigits, {kDigits, kByteLevelGpt2}},
      {SplitPattern::kGpt2, kTokenizerSplitDigits, {kDigits, kGpt2, kByteLevel}},
      {SplitPattern::kLlama3, 0, {kLlama3, kByteLevel}},
      {SplitPattern::kLlama3, 0, {kCl100k, kByteLevel}},
      {SplitPattern::kQwen2, 0, {kQwen2, kByteLevel}},
      {SplitPattern::kFalcon,
       0,
       {"Punctuation.behavior Contiguous", kByteLevelGpt2, "Digits.individual_digits false",
        "Split [0-9][0-9][0-9]"}},
      {SplitPattern::kO200k, 0, {kO200k, kByteLevel}},
      {SplitPattern::kDeepSeekLlm,
       0,
       {R"(Split [\r\n])", kDeepSeekLlmLetters, kDeepSeekLlmPunctuation, R"(Split \s+$)", kDeepSeekCjk, kDigits,
        kByteLevel}},
      {SplitPattern::kDeepSeekCoder,
       0,
       {R"(Split [\r\n])", R"(Split \s?\p{L}+)", R"(Split \s?\p{P}+)",
        kDeepSeekCjk, kDigits, kByteLevel}},
      {SplitPattern::kDeepSeek3, 0, {kDeepSeek3Digits, kDeepSeek3Cjk, kDeepSeek3, kByteLevel}},
      {SplitPattern::kQwen2, 0, {kBailing, kByteLevel}},
      {SplitPattern::kQwen35, 0, {kQwen35, kByteLevel}},
      {SplitPattern::kTekken, 0, {kTekken, kByteLevel}},
      {SplitPattern::kKimiK2, 0, {kKimiK2, kByteLevel}},
      {SplitPattern::kTinyAya, 0, {kTinyAyaDigits, kO200k, kByteLevel}},
      {SplitPattern::kYoutu, 0, {kYoutuScripts, kYoutu, kByteLevel}},
      {SplitPattern::kSeedCoder, 0, {kSeedCoder, kByteLevel}},
      {SplitPattern::kUfakzeka, 0, {kUfakzeka, kByteLevel}},
      {SplitPattern::kLaguna, 0, {R"(Split [^\n]+|[\n]+)", kQwen2, kByteLevel}},
      {SplitPattern::kMiniCpm5, 0, {kDeepSeek3Digits, kMiniCpm5, kByteLevel}},
      {SplitPattern::kJais2, 0, {kJais2, kByteLevel}},
      {SplitPattern::kExaoneMoe, 0, {kExaoneMoe, kByteLevel}},
      {SplitPattern::kBloom, 0, {kBloom, kByteLevel}},
      {SplitPattern::kViking, 0, {kViking, kDigits, kByteLevel}},
      {SplitPattern::kViking, 0, {kViking, R"(Split \p{N})", kByteLevel}},
      {SplitPattern::kSuperBpe, 0, {R"(Split \p{N}+)", R"(Split (?=(\d{3})+(?!\d)))", kByteLevel}},
      {SplitPattern::kSpark25, 0, {kDeepSeek3Digits, kDeepSeek3Cjk, kSpark25, R"(Split \p{N})", kByteLevel}},
      {SplitPattern::kChameleon,
       0,
       {R"(Split <sentinel:[0-9]+>)", R"(Split (IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z)", R"(Split ([\t\n]|    |  ))", kDigits,
        "Punctuation.behavior Isolated", kByteLevelGpt2}},
  };
  return known;
}

[[noreturn]] void Refuse(const std::string& text) {
  throw ImportError(Code::kUnsupported, text + " is not supported");
}

std::string Describe(const Json& step, const std::string& name) {
  const std::string type = StringMember(step, "type", name);
  if (type == "ByteLevel") {
    if (BoolMember(step, "add_prefix_space", true, name)) Refuse(name + ".add_prefix_space true");
    return BoolMember(step, "use_regex", true, name) ? kByteLevelGpt2 : kByteLevel;
  }
  if (type == "Digits") {
    return BoolMember(step, "individual_digits", false, name) ? kDigits : "Digits.individual_digits false";
  }
  if (type == "Punctuation") return "Punctuation.behavior " + StringMember(step, "behavior", name);
  if (type != "Split") Refuse(name + ".type " + type);
  const Json& pattern = Member(step, "pattern", name);
  const std::string regex = StringMember(pattern, "Regex", name + ".pattern");
  if (regex.empty()) Refuse(name + ".pattern " + Shown(pattern));
  const std::string behavior = StringMember(step, "behavior", name);
  const bool inverted = BoolMember(step, "invert", false, name);
  // Removing what does not match is the same where everything does.
  const bool removes_nothing = behavior == "Removed" && inverted;
  if (!removes_nothing && behavior != "Isolated") Refuse(name + ".behavior other than Isolated");
  if (!removes_nothing && inverted) Refuse(name + ".invert true");
  std::string line = "Split ";
  for (const char c : regex) {
    if (c == '\r') {
      line += "\\r";
    } else if (c == '\n') {
      line += "\\n";
    } else {
      line += c;
    }
  }
  if (removes_nothing) {
    static const std::string_view kCovering[] = {kGpt2, kLlama3, kCl100k, kQwen2, kBailing, kQwen35, kSeedCoder, kUfakzeka,
                                                 kJais2, kExaoneMoe, kO200k, kTekken, kYoutu, kKimiK2};
    if (std::find(std::begin(kCovering), std::end(kCovering), line) == std::end(kCovering)) {
      Refuse(name + ".behavior Removed with a pattern that does not match all of a text");
    }
  }
  return line;
}

}  // namespace

void ReadPreTokenizer(const Json& pre_tokenizer, TokenizerModel* model) {
  if (pre_tokenizer.is_null()) Refuse("pre_tokenizer null");
  Json steps = Json::Array({pre_tokenizer});
  std::string name = "pre_tokenizer";
  if (StringMember(pre_tokenizer, "type", name) == "Sequence") {
    steps = Member(pre_tokenizer, "pretokenizers", name);
    name += ".pretokenizers";
    if (!steps.is_array()) throw ImportError(Code::kInvalidModel, name + " must be an array");
  }
  Steps lines;
  for (size_t i = 0; i < steps.size(); ++i) {
    lines.push_back(Describe(steps[i], name + "[" + std::to_string(i) + "]"));
  }
  for (const Known& known : KnownSteps()) {
    if (lines != known.steps) continue;
    model->split = known.pattern;
    model->flags |= known.flags;
    return;
  }
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : ", then ") + line;
  constexpr size_t kShownBytes = 1000;
  if (text.size() > kShownBytes) text = text.substr(0, kShownBytes) + "...";
  Refuse(name + " with the split pattern (" + text + ")");
}

}  // namespace thimble
