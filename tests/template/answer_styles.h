// Small templates, one for each way of writing reasoning and tool calls, and what is derived from each.
#pragma once

namespace thimble::chat {

struct AnswerStyle {
  const char* name;
  const char* text;     // Jinja
  const char* derived;  // AnswerText()
};

#define USER "{% for m in messages %}{% if m.role == 'user' %}{{ '<|u|>' + m.content + '<|e|>\\n' }}{% elif m.role == 'tool' %}{{ '<|t|>' + m.content + '<|e|>\\n' }}{% else %}"
#define END "{% endif %}{% endfor %}"
#define PROMPT END "{% if add_generation_prompt %}{{ '<|a|>\\n' }}{% endif %}"

inline constexpr AnswerStyle kAnswerStyles[] = {
    {"text only", USER "{{ '<|a|>\\n' + m.content + '<|e|>\\n' }}" PROMPT, R"x(behind      "<|a|>\n"
ends with   "<|e|>", token "<|e|>"
)x"},
    {"an object between tags",
     USER "{{ '<|a|>\\n' + m.content }}{% for c in m.tool_calls %}{{ '\\n<call>\\n{\"name\": \"' + c.function.name + '\", \"arguments\": ' + c.function.arguments|tojson + '}\\n</call>' }}"
          "{% endfor %}{{ '<|e|>\\n' }}" PROMPT, R"x(behind      "<|a|>\n"
ends with   "<|e|>", token "<|e|>"
call        "<call>\n" {"name": NAME, "arguments": ARGUMENTS} "\n</call>"
)x"},
    {"a list of objects, with ids, and reasoning",
     USER "{{ '<|a|>\\n' }}{% if m.reasoning_content %}{{ '<think>\\n' + m.reasoning_content + '\\n</think>\\n\\n' }}{% endif %}{{ m.content }}{% if m.tool_calls %}[CALLS][{% for c in m.tool_calls %}"
          "{{ {'tool': c.function.name, 'id': c.id, 'parameters': c.function.arguments}|tojson }}{% if not loop.last %}, {% endif %}{% endfor %}]{% endif %}{{ '<|e|>\\n' }}" PROMPT, R"x(behind      "<|a|>\n"
reasoning   "<think>" REASONING "</think>"
ends with   "<|e|>", token "<|e|>"
calls       "[CALLS][" CALL ... "]"
between     ","
call        {"tool": NAME, "parameters": ARGUMENTS, "id": ID}
)x"},
    {"an object in an object",
     USER "{{ '<|a|>\\n' + m.content }}{% for c in m.tool_calls %}{{ '<call>' + c|tojson + '</call>' }}{% endfor %}{{ '<|e|>\\n' }}" PROMPT, R"x(behind      "<|a|>\n"
ends with   "<|e|>", token "<|e|>"
call        "<call>" {"name": NAME, "arguments": ARGUMENTS, "id": ID} "</call>"
)x"},
    {"nothing but an object",
     USER "{% if m.tool_calls %}{% set c = m.tool_calls[0].function %}{{ '<|a|>\\n{\"name\": \"' + c.name + '\", \"parameters\": ' + c.arguments|tojson + '}<|x|>' }}"
          "{% else %}{{ '<|a|>\\n' + m.content + '<|e|>\\n' }}{% endif %}" PROMPT, R"x(behind      "<|a|>\n"
ends with   "<|e|>", token "<|e|>"
ends with   "<|x|>", token "<|x|>"
call        {"name": NAME, "parameters": ARGUMENTS}
)x"},
    {"a name, an id, and the arguments",
     USER "{{ '<|a|>\\n' + m.content }}{% for c in m.tool_calls %}{{ '[CALL]' + c.function.name + '[ID]' + c.id + '[ARGS]' + c.function.arguments|tojson }}{% endfor %}{{ '<|e|>' }}" PROMPT, R"x(behind      "<|a|>\n"
ends with   "<|e|>", token "<|e|>"
call        "[CALL]" NAME "[ID]" ID "[ARGS]" ARGUMENTS
)x"},
    {"arguments as a text, no content, a count",
     USER "{% if m.content is none %}{{ '<|a|>\\n<calls>' }}{% for c in m.tool_calls %}{{ '<call>' + c.function.name + ':' }}{{ loop.index0 }}{{ '<args>\\n' + c.function.arguments + '\\n</args>' }}{% endfor %}"
          "{{ '</calls><|e|>\\n' }}{% else %}{{ '<|a|>\\n' + m.content + '<|e|>\\n' }}{% endif %}" PROMPT, R"x(behind      "<|a|>\n"
ends with   "<|e|>", token "<|e|>"
calls       "<calls>" CALL ... "</calls>"
call        "<call>" NAME ":" ANY "<args>\n" ARGUMENTS "\n</args>"
given back  with the arguments as a text
given back  with "content": null
)x"},
    {"what Python prints",
     USER "{{ '<|a|>\\n' + m.content }}{% for c in m.tool_calls %}{{ '<call>' + c.function.name + '\\n' }}{{ c.function.arguments }}{{ '</call>' }}{% endfor %}{{ '<|e|>\\n' }}" PROMPT, R"x(behind      "<|a|>\n"
ends with   "<|e|>", token "<|e|>"
call        "<call>" NAME "\n" ARGUMENTS "</call>"
values      as Python prints them
)x"},
    {"quotes of its own",
     "{% macro v(x) %}{% if x is string %}{{ '<|q|>' + x + '<|q|>' }}{% elif x is mapping %}{{ '{' }}{% for k, y in x|items %}{% if not loop.first %},{% endif %}{{ k }}:{{ v(y) }}{% endfor %}{{ '}' }}"
     "{% elif x is iterable %}[{% for y in x %}{% if not loop.first %},{% endif %}{{ v(y) }}{% endfor %}]{% else %}{{ x|tojson }}{% endif %}{% endmacro %}"
     USER "{{ '<|a|>\\n' + m.content }}{% for c in m.tool_calls %}{{ '<|call>call:' + c.function.name }}{{ v(c.function.arguments) }}{{ '<call|>' }}{% endfor %}{{ '<|e|>\\n' }}" PROMPT, R"x(behind      "<|a|>\n"
ends with   "<|e|>", token "<|e|>"
call        "<|call>call:" NAME ARGUMENTS "<call|>"
quote       "<|q|>"
)x"},
    {"fields named in tags, reasoning in the prompt",
     USER "{{ '<|a|>\\n' }}{{ '<think>\\n' + m.reasoning_content|default('') + '\\n</think>\\n' + m.content }}{% for c in m.tool_calls %}{{ '\\n<call>\\n<function=' + c.function.name + '>\\n' }}"
          "{% for k, x in c.function.arguments|items %}{{ '<parameter=' + k + '>\\n' }}{{ x if x is string else x|tojson }}{{ '\\n</parameter>\\n' }}{% endfor %}{{ '</function>\\n</call>' }}{% endfor %}{{ '<|e|>\\n' }}"
     END "{% if add_generation_prompt %}{{ '<|a|>\\n<think>\\n' }}{% endif %}", R"x(behind      "<|a|>\n"
reasoning   "<think>" REASONING "</think>"
ends with   "<|e|>", token "<|e|>"
call        "<call>\n<function=" NAME ">\n" FIELDS "</function>\n</call>"
field       "<parameter=" KEY ">\n" VALUE "\n</parameter>\n"
)x"},
    {"fields as keys and values; turns end where the next begins",
     "{% for m in messages %}{% if m.role == 'user' %}{{ '<|u|>' + m.content }}{% elif m.role == 'tool' %}{{ '<|t|>' + m.content }}{% else %}{{ '<|a|>\\n' + m.content }}{% for c in m.tool_calls %}"
     "{{ '\\n<call>' + c.function.name }}{% for k, x in c.function.arguments|items %}{{ '\\n<k>' + k + '</k>\\n<v>' }}{{ x if x is string else x|tojson }}{{ '</v>' }}{% endfor %}{{ '\\n</call>' }}{% endfor %}" PROMPT, R"x(behind      "<|a|>\n"
ends with   "<|u|>", token "<|u|>"
ends with   "<|t|>", token "<|t|>"
call        "<call>" NAME FIELDS "</call>"
field       "<k>" KEY "</k>\n<v>" VALUE "</v>\n"
)x"},
    {"fields with types, sections for all",
     USER "{{ '<|a|><|open|>think<|sep|>' + m.reasoning_content|default('') + '<|close|>think<|sep|><|open|>response<|sep|>' + m.content + '<|close|>response<|sep|>' }}"
          "{% if m.tool_calls %}{{ '<|open|>tools<|sep|>' }}{% for c in m.tool_calls %}{{ '<|open|>call name=\"' + c.function.name + '\" index=\"' }}{{ loop.index }}{{ '\"<|sep|>' }}{% for k, x in c.function.arguments|items %}"
          "{{ '<|open|>arg key=\"' + k + '\" type=\"' + ('string' if x is string else 'json') + '\"<|sep|>' }}{{ x if x is string else x|tojson }}{{ '<|close|>arg<|sep|>' }}{% endfor %}{{ '<|close|>call<|sep|>' }}"
          "{% endfor %}{{ '<|close|>tools<|sep|>' }}{% endif %}{{ '<|close|>message<|sep|><|e|>' }}" END "{% if add_generation_prompt %}{{ '<|a|>' }}{% endif %}", R"x(behind      "<|a|>"
reasoning   "<|open|>think<|sep|>" REASONING "<|close|>think<|sep|>"
text        "<|open|>response<|sep|>" TEXT "<|close|>response<|sep|>"
ends with   "<|close|>message<|sep|><|e|>", token "<|e|>"
calls       "<|open|>tools<|sep|>" CALL ... "<|close|>tools<|sep|>"
call        "<|open|>call name=\"" NAME "\" index=\"" ANY "\"<|sep|>" FIELDS "<|close|>call<|sep|>"
field       "<|open|>arg key=\"" KEY "\" type=\"" TYPE "\"<|sep|>" VALUE "<|close|>arg<|sep|>"
texts have  TYPE "string"
)x"},
    {"a call as Python writes it",
     USER "{{ '<|a|>\\n' + m.content }}{% if m.tool_calls %}{{ '<calls>[' }}{% for c in m.tool_calls %}{{ '<f>' + c.function.name + '(' }}{% for k, x in c.function.arguments|items %}{{ k + '=' }}{{ x|tojson }}{% if not loop.last %}, {% endif %}{% endfor %}{{ ')' }}"
          "{% if not loop.last %}; {% endif %}{% endfor %}{{ ']</calls>' }}{% endif %}{{ '<|e|>\\n' }}" PROMPT, R"x(behind      "<|a|>\n"
ends with   "<|e|>", token "<|e|>"
calls       "<calls>[" CALL ... "]</calls>"
between     ";"
call        "<f>" NAME "(" FIELDS ")"
field       KEY "=" VALUE
between     ", "
)x"},
    {"calls as Python writes them, and nothing marks them",
     USER "{{ '<|a|>\\n' }}{% if m.tool_calls %}{{ '[' }}{% for c in m.tool_calls %}{{ c.function.name + '(' }}{% for k, x in c.function.arguments|items %}{{ k + '=' }}{{ x|tojson }}{% if not loop.last %}, {% endif %}{% endfor %}{{ ')' }}"
          "{% if not loop.last %}, {% endif %}{% endfor %}{{ ']' }}{% else %}{{ m.content }}{% endif %}{{ '<|e|>\\n' }}" PROMPT, R"x(behind      "<|a|>\n"
ends with   "<|e|>", token "<|e|>"
calls       "[" CALL ... "]"
between     ","
call        NAME "(" FIELDS ")"
field       KEY "=" VALUE
between     ", "
)x"},
    {"lines of calls as Python writes them",
     USER "{{ '<|a|>\\n' + m.content }}{% if m.tool_calls %}{{ '<calls>' }}{% for c in m.tool_calls %}{{ c.function.name + '(' }}{% for k, x in c.function.arguments|items %}{{ k + '=' }}{{ x|tojson }}{% if not loop.last %}, {% endif %}{% endfor %}{{ ')' }}"
          "{% if not loop.last %}{{ '\\n' }}{% endif %}{% endfor %}{{ '</calls>' }}{% endif %}{{ '<|e|>\\n' }}" PROMPT, R"x(behind      "<|a|>\n"
ends with   "<|e|>", token "<|e|>"
calls       "<calls>" CALL ... "</calls>"
call        NAME "(" FIELDS ")"
field       KEY "=" VALUE
between     ", "
)x"},
    {"a bare list of objects",
     USER "{{ '<|a|>\\n' }}{% if m.tool_calls %}{{ '[' }}{% for c in m.tool_calls %}{{ c.function|tojson }}{% if not loop.last %}, {% endif %}{% endfor %}{{ ']' }}{% else %}{{ m.content }}{% endif %}{{ '<|e|>\\n' }}" PROMPT, R"x(behind      "<|a|>\n"
ends with   "<|e|>", token "<|e|>"
calls       "[" CALL ... "]"
between     ","
call        {"name": NAME, "arguments": ARGUMENTS}
)x"},
    {"a list of objects in a list, as they were given",
     USER "{{ '<|a|>\\n' + m.content }}{% if m.tool_calls %}{{ '<|call|>' + m.tool_calls|tojson + '<|/call|>' }}{% endif %}{{ '<|e|>\\n' }}" PROMPT, R"x(behind      "<|a|>\n"
ends with   "<|e|>", token "<|e|>"
calls       "<|call|>[" CALL ... "]<|/call|>"
between     ","
call        {"name": NAME, "arguments": ARGUMENTS, "id": ID}
)x"},
    {"the name as a key",
     USER "{{ '<|a|>\\n' + m.content }}{% if m.tool_calls %}{{ '<|tools|>[' }}{% for c in m.tool_calls %}{{ '{\"' + c.function.name + '\": ' + c.function.arguments|tojson + '}' }}{% if not loop.last %}, {% endif %}{% endfor %}{{ ']<|/tools|>' }}{% endif %}{{ '<|e|>' }}" PROMPT, R"x(behind      "<|a|>\n"
ends with   "<|e|>", token "<|e|>"
calls       "<|tools|>[" CALL ... "]<|/tools|>"
between     ","
call        "{\"" NAME "\": " ARGUMENTS "}"
)x"},
    {"the name in the id",
     USER "{{ '<|a|>\\n' + m.content }}{% if m.tool_calls %}{{ '<|calls|>' }}{% for c in m.tool_calls %}{{ '<|call|>' + c.id + '<|args|>' + c.function.arguments|tojson + '<|end|>' }}{% endfor %}{{ '<|/calls|>' }}{% endif %}{{ '<|e|>' }}" PROMPT, R"x(behind      "<|a|>\n"
ends with   "<|e|>", token "<|e|>"
calls       "<|calls|>" CALL ... "<|/calls|>"
call        "<|call|>functions." NAME ":" ANY "<|args|>" ARGUMENTS "<|end|>"
given back  with the name in the id: "functions.NAME:0"
)x"},
    {"a block of code",
     USER "{{ '<|a|>' + ('</think>' if not m.reasoning_content else '<think>' + m.reasoning_content + '</think>') + m.content }}{% if m.tool_calls %}{{ '<calls>\\n' }}{% for c in m.tool_calls %}{{ '<call>' + c.function.name + '\\n```json\\n' + c.function.arguments|tojson + '\\n```</call>\\n' }}{% endfor %}{{ '</calls>' }}{% endif %}{{ '<|e|>' }}"
     END "{% if add_generation_prompt %}{{ '<|a|>' + ('<think>' if thinking else '</think>') }}{% endif %}", R"x(behind      "<|a|>"
reasoning   "<think>" REASONING "</think>"
ends with   "<|e|>", token "<|e|>"
calls       "<calls>" CALL ... "</calls>"
call        "<call>" NAME "\n```json\n" ARGUMENTS "\n```</call>\n"
)x"},
    {"channels; a call ends the turn in its own way",
     "{% for m in messages %}{% if m.role == 'user' %}{{ '<|start|>user<|message|>' + m.content + '<|end|>' }}{% elif m.role == 'tool' %}{{ '<|start|>tool<|message|>' + m.content + '<|end|>' }}{% else %}"
     "{% if m.reasoning_content %}{{ '<|start|>assistant<|channel|>analysis<|message|>' + m.reasoning_content + '<|end|>' }}{% endif %}"
     "{% if m.tool_calls %}{% set c = m.tool_calls[0].function %}{{ '<|start|>assistant to=functions.' + c.name + '<|channel|>commentary json<|message|>' + c.arguments|tojson + '<|call|>' }}"
     "{% else %}{{ '<|start|>assistant<|channel|>final<|message|>' + m.content + ('<|return|>' if loop.last else '<|end|>') }}{% endif %}" END "{% if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}", R"x(behind      "<|start|>assistant"
reasoning   "<|channel|>analysis<|message|>" REASONING "<|end|>"
text        "<|channel|>final<|message|>" TEXT
ends with   "<|return|>", token "<|return|>"
ends with   "<|call|>", token "<|call|>"
call        " to=functions." NAME "<|channel|>commentary json<|message|>" ARGUMENTS
)x"},
    {"every line says to whom",
     USER "{{ '<|a|>\\n' }}{% if m.content %}{{ '>>>all\\n' + m.content }}{% endif %}{% for c in m.tool_calls %}{{ '>>>' + c.function.name + '\\n' + c.function.arguments|tojson }}{% endfor %}{{ '<|e|>' }}"
     END "{% if add_generation_prompt %}{{ '<|a|>\\n>>>' }}{% endif %}", R"x(behind      "<|a|>\n"
text        ">>>all" TEXT
ends with   "<|e|>", token "<|e|>"
call        ">>>" NAME "\n" ARGUMENTS
)x"},
    {"old reasoning is cut away",
     USER "{{ '<|a|>\\n' + m.content.split('</think>')[-1] + '<|e|>\\n' }}" END "{% if add_generation_prompt %}{{ '<|a|>\\n<think>\\n' }}{% endif %}", R"x(behind      "<|a|>\n"
reasoning   "<think>" REASONING "</think>"
ends with   "<|e|>", token "<|e|>"
)x"},
    {"every answer opens its reasoning and closes it at once; old reasoning is cut away",
     USER "{{ '<|a|><think></think>' + m.content.split('</think>')[-1] }}{% for c in m.tool_calls %}{{ '<call>' + c.function|tojson + '</call>' }}{% endfor %}{{ '<|e|>' }}"
     END "{% if add_generation_prompt %}{{ '<|a|>' + ('<think>' if thinking else '<think></think>') }}{% endif %}", R"x(behind      "<|a|>"
reasoning   "<think>" REASONING "</think>"
ends with   "<|e|>", token "<|e|>"
call        "<call>" {"name": NAME, "arguments": ARGUMENTS} "</call>"
)x"},
    {"the name in the id, and reasoning is kept in front of calls only",
     USER "{{ '<|a|><think>' + (m.reasoning_content if m.tool_calls and m.reasoning_content else '') + '</think>' + m.content }}{% for c in m.tool_calls %}{{ '<|call|>' + c.id + '<|args|>' + c.function.arguments|tojson + '<|end|>' }}{% endfor %}{{ '<|e|>' }}"
     END "{% if add_generation_prompt %}{{ '<|a|><think>' }}{% endif %}", R"x(behind      "<|a|>"
reasoning   "<think>" REASONING "</think>"
ends with   "<|e|>", token "<|e|>"
call        "<|call|>functions." NAME ":" ANY "<|args|>" ARGUMENTS "<|end|>"
given back  with the name in the id: "functions.NAME:0"
)x"},
    {"every answer says to whom, and so does a call, twice",
     USER "{% if m.reasoning_content %}{{ '<|a|>bot to=self<|m|>' + m.reasoning_content + '<|n|>' }}{% endif %}{% for c in m.tool_calls %}{{ '<|a|>bot to=' + c.function.name + '<|m|><calls>\n<call name=\"' + c.function.name + '\">\n' }}{% for k, x in c.function.arguments|items %}{{ '<arg name=\"' + k + '\">' + (x if x is string else x|tojson) + '</arg>\n' }}{% endfor %}"
          "{{ '</call>\n</calls>' + ('<|e|>' if loop.last else '<|n|>') }}{% else %}{{ '<|a|>bot to=user<|m|>' + m.content + '<|e|>' }}{% endfor %}"
     END "{% if add_generation_prompt %}{{ '<|a|>bot' }}{% endif %}", R"x(behind      "<|a|>bot "
reasoning   "to=self<|m|>" REASONING "<|n|>"
text        "to=user<|m|>" TEXT
ends with   "<|e|>", token "<|e|>"
between     "<|n|><|a|>bot"
call        " to=" ANY "<|m|><calls>\n<call name=\"" NAME "\">\n" FIELDS "</call>\n</calls>"
field       "<arg name=\"" KEY "\">" VALUE "</arg>\n"
)x"},
    {"texts between quotes as they are",
     USER "{{ '<|a|>\n' + m.content }}{% if m.tool_calls %}{{ '<calls>[' }}{% for c in m.tool_calls %}{{ c.function.name + '(' }}{% for k, x in c.function.arguments|items %}{{ k + '=' }}{{ \"'\" + x + \"'\" if x is string else x|tojson if x is mapping else x|string }}{% if not loop.last %}, {% endif %}{% endfor %}{{ ')' }}"
          "{% if not loop.last %}, {% endif %}{% endfor %}{{ ']</calls>' }}{% endif %}{{ '<|e|>\n' }}" PROMPT, R"x(behind      "<|a|>\n"
ends with   "<|e|>", token "<|e|>"
calls       "<calls>[" CALL ... "]</calls>"
between     ","
call        NAME "(" FIELDS ")"
field       KEY "=" VALUE
between     ", "
values      as Python prints them
)x"},
    {"what is said is a list of parts", "{% for m in messages %}{{ '<|' + m.role + '|>' }}{% for p in m.content %}{% if p.type == 'text' %}{{ p.text }}{% endif %}{% endfor %}{{ '<|e|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}", R"x(behind      "<|assistant|>"
ends with   "<|e|>", token "<|e|>"
)x"},
    {"no tags", "{% for m in messages %}{% if m.role == 'user' %}{{ 'Question: ' + m.content + '\\n\\n' }}{% else %}{{ 'Answer: ' + m.content + eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}Answer:{% endif %}", R"x(behind      "Answer:"
ends with   "</s>", token "</s>"
)x"},
};

#undef USER
#undef END
#undef PROMPT

}  // namespace thimble::chat
