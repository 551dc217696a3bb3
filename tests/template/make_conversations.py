#!/usr/bin/env python3
"""Writes conversations.json: what transformers does around a template, with small templates of our own.

    python3 -m venv venv && venv/bin/pip install transformers==5.23.0 jinja2==3.1.6 && venv/bin/python make_conversations.py > conversations.json

A case has what `thimble template` takes, its template, and "text" or "error": {"kind": "raise", "message"} for the template's own words,
"caller" for what transformers refuses itself, "runtime" for anything else. The clock stands still.
"""
import copy
import datetime
import json
import sys

import jinja2
from transformers.utils import chat_template_utils as utils


class Frozen(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 11, 28, 10, 30, 0)


utils.datetime = Frozen


def user(content):
    return {"role": "user", "content": content}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


PLAIN = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
TRIMS = "{% for m in messages %}<|{{ m.role }}|>{{ m.content | trim }} <|end|>\n{% endfor %}"
PARTS = "{% for m in messages %}{{ m.role }}:{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{{ p.text if p.type == 'text' else '<' + p.type + '>' }}{% endfor %}{% endif %};{% endfor %}"
KEYS = "{% for m in messages %}{{ m | tojson }}{% endfor %}|{{ tools }}|{{ documents }}|{{ enable_thinking }}|{{ x }}"
REASON = "{% for m in messages %}[{{ m.reasoning_content }}/{{ m.thinking }}/{{ m.reasoning }}]{{ m.content }}{% endfor %}"
TALK = [user("Count"), assistant("One, two,")]
CASES = [
    (PLAIN, TALK, {}), (PLAIN, TALK, {"add_generation_prompt": False}),
    # Continuing the last message.
    (PLAIN, TALK, {"continue_final_message": True}), (PLAIN, [user("a"), assistant("One, ")], {"continue_final_message": True}),
    (TRIMS, TALK, {"continue_final_message": True}), (TRIMS, [user("a"), assistant("  One, \n")], {"continue_final_message": True}),
    (PLAIN, [user("Once upon a ")], {"continue_final_message": True}), (PLAIN, [user("a"), assistant("")], {"continue_final_message": True}),
    (PARTS, [user("a"), assistant([{"type": "text", "text": "One"}, {"type": "text", "text": "two "}, {"type": "image"}])], {"continue_final_message": True}),
    (PARTS, [user("a"), assistant([{"type": "image"}])], {"continue_final_message": True}),
    (PLAIN, [user("a"), {"role": "assistant"}], {"continue_final_message": True}), (PLAIN, [user("a"), assistant(None)], {"continue_final_message": True}),
    ("{{ messages[0].role }}", TALK, {"continue_final_message": True}), ("{{ messages[0].content }}", TALK, {"continue_final_message": True}),
    ("{{ messages[-1].content[:3] }}", TALK, {"continue_final_message": True}),
    ("{{ messages[-1].content }}|{{ messages[-1].content }}.", TALK, {"continue_final_message": True}),
    (PLAIN, TALK, {"continue_final_message": True, "add_generation_prompt": True}),
    # Keys without a value, reasoning under its names, what is absent.
    (KEYS, [{"role": "user", "content": None, "name": None, "a": False}], {}), (KEYS, [assistant("x", reasoning_content="why"), assistant("y", reasoning="how")], {}),
    (KEYS, [assistant("x", thinking="t", reasoning_content="r")], {"tools": [], "variables": {"x": 1, "documents": [{"title": "T"}]}}),
    (REASON, [assistant("x", thinking="t"), assistant("y", reasoning="r"), assistant("z")], {}),
    (KEYS, [user("a")], {"tools": [{"type": "function"}], "variables": {"enable_thinking": False, "x": {"a": [1.5, None]}}}),
    # Words, and what goes wrong.
    ("{{ raise_exception('No ' + messages[0].role) }}", TALK, {}), ("{{ messages[7].content }}", TALK, {}), ("{{ strftime_now('%d %b %Y') }}", TALK, {}),
]


def main():
    out = []
    for template, messages, more in CASES:
        case = {"template": template, "messages": messages, **more}
        prompt, go_on = more.get("add_generation_prompt", not more.get("continue_final_message", False)), more.get("continue_final_message", False)
        case["add_generation_prompt"], case["continue_final_message"] = prompt, go_on
        try:
            if prompt and go_on:
                raise ValueError("continue_final_message and add_generation_prompt are not compatible.")
            plain = [{k: v for k, v in m.items() if v is not None} for m in messages]
            text, _ = utils.render_jinja_template([copy.deepcopy(plain)], tools=more.get("tools"), chat_template=template, add_generation_prompt=prompt,
                                                  continue_final_message=go_on, **copy.deepcopy(more.get("variables", {})))
            case["text"] = text[0]
        except Exception as error:
            kind = "caller" if isinstance(error, ValueError) else "raise" if type(error) is jinja2.exceptions.TemplateError else "runtime"
            case["error"] = {"kind": kind, "message": str(error).split("Final message to continue:")[0]}
        out.append(case)
    json.dump(out, sys.stdout, ensure_ascii=False, indent=0)
    print()


main()
