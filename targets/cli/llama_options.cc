#include "targets/cli/llama_options.h"

#include <cstring>
#include <optional>
#include <string_view>

#include "targets/cli/error.h"

namespace thimble::cli {
namespace {

enum class Does {
  kRename,   // `text` is the option here
  kModel,    // its value is the argument MODEL
  kIgnore,   // `text` says why nothing is lost
  kExplain,  // `text` says what to do instead
};

enum class Takes { kNothing, kValue, kSwitch };  // kSwitch: on, off or auto, if that follows

struct LlamaOption {
  const char* names;     // "-ngl --gpu-layers"
  Takes takes;
  Does does;
  const char* text;
  const char* command = "";  // only of this one, which has no option of that name
};

constexpr char kNoGpu[] = "everything is computed by the processor";
constexpr char kInTheFile[] = "the model file says so; convert the model again if that is wrong";
constexpr char kFilters[] =
    "the filters are --top-k, --top-p, --min-p, --temp and --repeat-penalty, in the order: penalty, top-k, top-p, min-p, temperature";
constexpr char kDownload[] =
    "nothing is downloaded here. Download the model's folder (config.json, *.safetensors and the tokenizer's files) or its .gguf "
    "file yourself, then: thimble convert FOLDER -o model.thimble --weights q8 && thimble run model.thimble";
constexpr char kGrammar[] = "no grammars here; a program can forbid tokens by thimble_generation.hook of the C interface";
constexpr char kAdapter[] = "merge it into the model's weights, then convert that";
constexpr char kTextOnly[] = "models that `thimble run` runs read text alone";

constexpr LlamaOption kOptions[] = {
    // The same under another name.
    {"-m --model", Takes::kValue, Does::kModel, ""},
    {"-ctk", Takes::kValue, Does::kRename, "--cache-type-k"},
    {"-ctv", Takes::kValue, Does::kRename, "--cache-type-v"},
    {"-ub", Takes::kValue, Does::kRename, "--ubatch-size"},
    {"-pg", Takes::kValue, Does::kRename, "--pg"},
    {"-Cr", Takes::kValue, Does::kRename, "--cpu-range"},
    {"-cnv", Takes::kNothing, Does::kRename, "--conversation"},
    {"-st", Takes::kNothing, Does::kRename, "--single-turn"},
    {"-mli", Takes::kNothing, Does::kRename, "--multiline-input"},
    {"-sys", Takes::kValue, Does::kRename, "--system-prompt"},
    {"-sp", Takes::kNothing, Does::kRename, "--special"},
    {"--chat-template-file", Takes::kValue, Does::kRename, "--chat-template"},
    // Nothing is lost without them.
    {"-ngl --gpu-layers --n-gpu-layers", Takes::kValue, Does::kIgnore, kNoGpu},
    {"-sm --split-mode -ts --tensor-split -mg --main-gpu -dev --device", Takes::kValue, Does::kIgnore, kNoGpu},
    {"-nkvo --no-kv-offload -kvo --kv-offload --no-op-offload --no-host", Takes::kNothing, Does::kIgnore, kNoGpu},
    {"-fa --flash-attn", Takes::kSwitch, Does::kIgnore, "attention is always computed in one pass over the cache"},
    {"--mlock", Takes::kNothing, Does::kIgnore, "the model stays in the system's page cache; --no-mmap copies it into memory of our own"},
    {"--mmap", Takes::kNothing, Does::kIgnore, "so it is; --no-mmap copies the model"},
    {"--numa -tb --threads-batch --prio --prio-batch --poll --poll-batch", Takes::kValue, Does::kIgnore,
     "-t, --cpu-mask and --cpu-strict say where everything is computed"},
    {"-dt --defrag-thold", Takes::kValue, Does::kIgnore, "the cache has no gaps"},
    {"--swa-full --no-repack -nr --no-kv-unified", Takes::kNothing, Does::kIgnore, "the plan says how much the cache and the weights take"},
    {"--no-context-shift", Takes::kNothing, Does::kIgnore, "the context is never shifted"},
    {"--no-warmup --warmup", Takes::kNothing, Does::kIgnore, "nothing is warmed up", "run"},
    {"--perf --no-perf -v --verbose --log-verbose --verbose-prompt --log-disable --log-colors --log-prefix --log-timestamps "
     "--simple-io --jinja --no-jinja -no-cnv --no-conversation",
     Takes::kNothing, Does::kIgnore, "nothing changes"},
    {"-co --color", Takes::kSwitch, Does::kIgnore, "the text is not coloured"},
    {"-lv --verbosity --log-verbosity --log-file", Takes::kValue, Does::kIgnore, "there is no log"},
    // There is another way, or none.
    {"-hf -hfr --hf-repo -hff --hf-file -hft --hf-token -mu --model-url -dr --docker-repo", Takes::kValue, Does::kExplain, kDownload},
    {"-sysf --system-prompt-file", Takes::kValue, Does::kExplain, "give the text: --system \"$(cat FILE)\""},
    {"-i --interactive -if --interactive-first", Takes::kNothing, Does::kExplain, "give --chat for a conversation", "run"},
    {"--in-prefix --in-suffix --chat-template-kwargs", Takes::kValue, Does::kExplain, "the chat template says how messages are written; --chat-template has others"},
    {"--prompt-cache", Takes::kValue, Does::kExplain, "--save-state FILE writes what the context holds, and --load-state FILE goes on from it"},
    {"--keep", Takes::kValue, Does::kExplain, "--window N --sinks K keep the last N and the first K tokens"},
    {"--context-shift", Takes::kNothing, Does::kExplain, "--window N --sinks K go on for as long as you like in a bounded cache"},
    {"--grammar --grammar-file -j --json-schema -jf --json-schema-file", Takes::kValue, Does::kExplain, kGrammar, "run"},
    {"--lora --lora-scaled --control-vector", Takes::kValue, Does::kExplain, kAdapter},
    {"--mmproj -mm --image --audio", Takes::kValue, Does::kExplain, kTextOnly},
    {"-md --model-draft --draft --draft-max", Takes::kValue, Does::kExplain, "there are no draft models yet"},
    {"--rope-scaling --rope-scale --rope-freq-base --rope-freq-scale --yarn-orig-ctx --yarn-ext-factor --yarn-attn-factor "
     "--yarn-beta-slow --yarn-beta-fast --override-kv",
     Takes::kValue, Does::kExplain, kInTheFile},
    {"--samplers --sampling-seq --sampler-seq --typical --xtc-probability --xtc-threshold --top-nsigma --top-n-sigma --mirostat "
     "--mirostat-lr --mirostat-ent --dynatemp-range --dynatemp-exp --presence-penalty --frequency-penalty --dry-multiplier "
     "--dry-base --dry-allowed-length --dry-penalty-last-n --dry-sequence-breaker -l --logit-bias",
     Takes::kValue, Does::kExplain, kFilters},
    {"--check-tensors", Takes::kNothing, Does::kExplain, "`thimble verify MODEL` reads every byte"},
};

bool Names(const LlamaOption& option, std::string_view name) {
  const std::string_view all = option.names;
  for (size_t at = all.find(name); at != std::string_view::npos; at = all.find(name, at + 1)) {
    const size_t end = at + name.size();
    if ((at == 0 || all[at - 1] == ' ') && (end == all.size() || all[end] == ' ')) return true;
  }
  return false;
}

const LlamaOption* Find(std::string_view name, std::string_view command) {
  for (const LlamaOption& option : kOptions) {
    if (Names(option, name) && (option.command[0] == 0 || command == option.command)) return &option;
  }
  return nullptr;
}

// Whose value may look like an option: a text.
bool TakesText(std::string_view argument) {
  for (const std::string_view name : {"-p", "--prompt", "-sys", "--system", "--system-prompt", "-r", "--reverse-prompt", "--stop", "--ids"}) {
    if (argument == name) return true;
  }
  return false;
}

bool IsSwitch(const std::string& word) { return word == "on" || word == "off" || word == "auto" || word == "0" || word == "1"; }

}  // namespace

std::vector<std::string> TranslateArguments(const std::vector<std::string>& arguments, std::vector<std::string>* notes) {
  std::vector<std::string> out;
  const std::string command = arguments.empty() ? std::string() : arguments[0];
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    const LlamaOption* option = name.size() > 1 && name[0] == '-' ? Find(name, command) : nullptr;
    if (option == nullptr) {
      out.push_back(argument);
      if (TakesText(argument) && i + 1 < arguments.size()) out.push_back(arguments[++i]);
      continue;
    }
    std::optional<std::string> value;
    if (equals != std::string::npos) {
      value = argument.substr(equals + 1);
    } else if (i + 1 < arguments.size() && (option->takes == Takes::kValue || (option->takes == Takes::kSwitch && IsSwitch(arguments[i + 1])))) {
      value = arguments[++i];
    }
    switch (option->does) {
      case Does::kRename:
        out.push_back(option->text);
        if (value) out.push_back(*value);
        break;
      case Does::kModel:
        if (!value) throw Error(kInvalidArgument, name + ": a model file must follow");
        out.push_back(*value);
        break;
      case Does::kIgnore:
        notes->push_back(name + (value ? " " + *value : "") + ": ignored; " + option->text);
        break;
      case Does::kExplain:
        throw Error(kUnsupported, name + ": " + option->text);
    }
  }
  return out;
}

}  // namespace thimble::cli
