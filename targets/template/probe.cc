#include "targets/template/probe.h"

#include "runtime/template/render.h"
#include "targets/template/json_values.h"

namespace thimble::chat {
namespace {

Json Tool(const char* name) {
  Json properties = Json::Object();
  for (const char* key : {Prober::kKey, Prober::kKey2}) properties[key] = Json{{"type", "string"}, {"description", "A word."}};
  const std::pair<const char*, const char*> kinds[] = {{"whole", "integer"}, {"real", "number"}, {"flag", "boolean"}, {"list", "array"}, {"dict", "object"}};
  for (const auto& [key, type] : kinds) properties[key] = Json{{"type", type}, {"description", "Something."}};
  const Json parameters = {{"type", "object"}, {"properties", properties}, {"required", Json::Array({Prober::kKey})}};
  Json function = {{"name", name}, {"description", "Does something."}, {"parameters", parameters}};
  Json tool = {{"type", "function"}, {"function", function}};
  tool.Update(function);  // some look for it there
  tool["parameter_definitions"] = Json::Object();
  return tool;
}

Json AsParts(const Json& messages) {
  Json all = Json::Array();
  for (Json message : messages.items()) {
    const Json* content = message.Find("content");
    if (content != nullptr && content->is_text()) message["content"] = Json::Array({Json{{"type", "text"}, {"text", *content}}});
    all.Push(std::move(message));
  }
  return all;
}

}  // namespace

Prober::Prober(const std::vector<uint8_t>& program, const Json& variables, bool parts)
    : bytes_(program), program_(VerifyProgram(program.data(), program.size()).value()), variables_(variables), parts_(parts), memory_(size_t{1} << 20) {}

std::optional<std::string> Prober::Render(const Json& messages, bool prompt, const Json& more) const {
  JsonValues values;  // views of what lives here
  const Json said = parts_ ? AsParts(messages) : Json();
  Json all = variables_.is_object() ? variables_ : Json::Object();
  if (more.is_object()) all.Update(more);
  std::vector<Member> variables;
  for (const Json::Member& m : all.members()) {
    variables.push_back({Value::Text(m.key, kTemplate), values.Make(m.value)});
  }
  variables.push_back({Value::Text("messages", kTemplate), values.Make(parts_ ? said : messages)});
  variables.push_back({Value::Text("add_generation_prompt", kTemplate), Value::Bool(prompt)});
  if (!all.Has("tools")) variables.push_back({Value::Text("tools", kTemplate), Value::None()});
  if (!all.Has("documents")) variables.push_back({Value::Text("documents", kTemplate), Value::None()});
  RenderInput input;
  input.variables = variables.data();
  input.count = variables.size();
  input.clock = {2026, 1, 1, 0, 0, 0};
  input.most_steps = 2'000'000;
  std::string text;
  const TextSink sink = {&text, [](void* user, std::string_view piece, bool) { *static_cast<std::string*>(user) += piece; }};
  Workspace workspace(memory_.data(), memory_.size() * sizeof memory_[0]);
  const RenderError error = RenderTemplate(program_, input, workspace, sink);
  if (error.kind != RenderError::Kind::kNone) return std::nullopt;
  return text;
}

Json Prober::WithReason(Json answer) {
  for (const char* name : {"reasoning_content", "reasoning", "thinking", "tool_plan"}) answer[name] = kReason;
  return answer;
}

Json Prober::Reasoned(const Json& content) {
  return WithReason(Answer(content));
}

Json Prober::Call(const char* name, const Json& arguments, const char* id, const CallShape& shape) {
  const Json written = shape.arguments_as_text ? Json(JsonText(arguments)) : arguments;
  const std::string called = shape.id_has_name ? std::string("functions.") + name + ":" + (std::string_view(id) == kId ? "0" : "1") : id;
  return {{"id", called}, {"type", "function"}, {"function", {{"name", name}, {"arguments", written}}}};
}

Json Prober::Calls(std::vector<Json> calls, const CallShape& shape, const Json& text) {
  Json message = {{"role", "assistant"}};
  if (!text.is_null()) message["content"] = text;
  else if (shape.content == CallShape::Content::kEmpty) message["content"] = "";
  else if (shape.content == CallShape::Content::kNull) message["content"] = nullptr;
  message["tool_calls"] = Json::Array(std::move(calls));
  return message;
}

const Json& Prober::Tools() {
  static const Json tools = {{"tools", Json::Array({Tool(kTool), Tool(kTool2)})}};
  return tools;
}

Json CallShape::Tools() const { return with_tools ? Prober::Tools() : Json::Object(); }

std::string Prober::eos() const {
  const Json* eos = variables_.Find("eos_token");
  return eos != nullptr && eos->is_text() ? eos->as_text() : "";
}

}  // namespace thimble::chat
