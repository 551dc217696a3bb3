#!/usr/bin/env python3
"""Writes cases.json: small templates of our own, one for each thing that chat templates use, with what Jinja makes of them.

    python3 -m venv venv && venv/bin/pip install jinja2==3.1.6 && venv/bin/python make_cases.py > cases.json

The environment is that of transformers: trim_blocks, lstrip_blocks, loop controls, a sandbox, tojson as json.dumps without escapes,
raise_exception, strftime_now with a clock that stands still. A case that fails has "error" instead of "text": the words, where the
template raised them itself, else null.
"""
import datetime
import json
import sys

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Raised(Exception):
    pass


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_run"), [], [], body).set_lineno(line)

    def _run(self, caller):
        return caller()


def raise_exception(message):
    raise Raised(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


ENVIRONMENT = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
ENVIRONMENT.filters["tojson"] = tojson
ENVIRONMENT.globals["raise_exception"] = raise_exception
ENVIRONMENT.globals["strftime_now"] = lambda f: datetime.datetime(2026, 11, 28, 10, 30, 5).strftime(f)

MESSAGES = [{"role": "system", "content": "  Be brief. "}, {"role": "user", "content": "Grüße, 世界"},
            {"role": "assistant", "content": None, "tool_calls": [{"name": "f", "arguments": {"a": 1, "b": [True, None, 1.5]}}]},
            {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image"}]}]
V = {"messages": MESSAGES, "n": 5, "t": "a-b-c", "empty": [], "d": {"k": "v", "items": 1, "b": 2, "A": 3}, "words": ["b", "A", "a", "c"],
     "big": 1e21, "small": 1.5e-7, "half": 0.5, "flag": True, "nothing": None, "quote": "it's \"q\"\n\t\\ \x07"}

TEMPLATES = [
    # Upper and lower case beyond ASCII.
    "{{ 'größe ǆ ŉ ﬀ ΐ ა ſ' | upper }} {{ 'GRÖẞE İ ΣΑΣ ΟΔΟΣ. ΣΣ Σ ΑΣ.Α Α.Σ' | lower }} {{ 'ΧΑΟΣ-ΧΑΟΣ ΑΣ\u0301 ΑΣ\u0301Β'.lower() }} {{ 'élan VITAL' | capitalize }} {{ 'ßx ǆY' | capitalize }} {{ 'ǆx'.capitalize() }}",
    "{{ \"it's 3d éa-éb (öl [ǆ\" | title }} {{ \"it's 3d éa-éb (öl [ǆ\".title() }} {{ 'ÉA'.isupper() }} {{ 'éa'.islower() }} {{ 'Éa'.isupper() }} {{ '世！'.isalpha() }} {{ '世é'.isalpha() }} {{ '٣4'.isdigit() }}",
    "{{ ['é', 'Z', 'É', 'a'] | sort }} {{ ['É', 'é', 'x'] | unique | list }} {{ 'Ж' is upper }} {{ 'ж' is lower }} {{ messages[1].content | upper }} {{ messages[1].content | title }}",
    # Texts by percent signs.
    "{{ '%s is %d' % (t, n) }} {{ '%s' % t }} {{ '%s' % n }} {{ '%s' % none }} {{ '%s' % [1, 'x'] }} {{ '100%%' % () }} {{ '%s|%r' % (t, quote) }}",
    "{{ '%5d|%-5d|%05d|%+d|% d|%.3d' % (n, n, n, n, n, n) }} {{ '%x %X %o %#x %#o' % (255, 255, 8, 255, 8) }} {{ '%d %i %u' % (2.9, -2.9, true) }}",
    "{{ '%f %.2f %10.3f|%-10.1f|%010.2f' % (half, half, 3.14159, 2.25, -2.5) }} {{ '%e %.1E %g %g %G' % (12345.678, 0.00012, 0.0001, 1e20, 1e-7) }}",
    "{{ '%(k)s and %(b)04d' % d }} {{ '%-6s|%6s|%.2s' % (t, 'é', 'éèê') }} {{ '%c%c' % ('x', 'é') }} {{ '%5s|%%|%5.1f%%' % ('a', 99.95) }}",
    "{{ '%s and %02d'|format(t, n) }} {{ '%-05d|%+05d|%05s' % (n, n, n) }} {{ '%(x)s'|format(x=3) }} {{ '%+.1f'|format(1) }} {{ '%.0f %.0f %.0f' % (0.5, 1.5, 2.5) }}",
    "{{ '%d' % 'x' }}", "{{ '%s %s' % t }}", "{{ '%s' % (1, 2) }}", "{{ 'x' % 1 }}", "{{ '%q' % 1 }}", "{{ '%' % 1 }}", "{{ '%(z)s' % d }}", "{{ '%(k)s' % 1 }}", "{{ '%x' % 1.5 }}",
    "{{ 'x' % d }}|{{ 'x' % () }}",
    # White space.
    "a\n{% if true %}\n  b\n{% endif %}\nc\n", "  {%- if true -%}  x  {%- endif -%}  y", "a {{- ' b ' -}} c", "  {% set x = 1 %}  \n{{ x }}",
    "a{# gone #}b\n  {# line #}\nc", "{%+ if true +%}\n x{% endif %}", "x\n\n", "a\r\nb\rc", "{{ 'a' }}\n{{ 'b' }}",
    # Expressions.
    "{{ 1 + 2 * 3 - 4 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 5 }} {{ -2 ** 2 }}",
    "{{ 1.5 + 1 }} {{ big }} {{ small }} {{ half }} {{ 1e16 }} {{ 123456789.0 }} {{ 0.1 + 0.2 }} {{ 100000000000000000.0 }}",
    "{{ n > 3 and n < 9 }} {{ n >= 5 or false }} {{ not flag }} {{ 1 < n < 6 }} {{ n == 5.0 }} {{ true == 1 }}",
    "{{ 'a' ~ 1 ~ none ~ true }} {{ 'ab' * 2 }} {{ 'a' 'b' }} {{ \"q\\n\\t\\\\\\x41\\u00e9\" }}",
    "{{ 'x' if flag else 'y' }} {{ 'x' if not flag }}| {{ ('a' if false else 'b') if true else 'c' }}",
    "{{ 'a' in 'bab' }} {{ 'A' in words }} {{ 'k' in d }} {{ 'z' not in d }} {{ 1 in empty }}",
    "{{ [1, 'a', 2.0, none, true, [], {}, (1,), (1, 2)] }} {{ {'a': {'b': [1]}} }} {{ quote }} {{ [quote] }}",
    "{{ words[1:] }} {{ words[::-1] }} {{ words[:-1] }} {{ words[-1] }} {{ t[0] }} {{ t[::-1] }} {{ words[1:3:2] }} {{ words[9] is defined }}",
    "{{ messages[1]['content'][0] }}{{ messages[1].content[-2:] }}{{ messages[1]['content']|length }}",
    "{{ d.k }} {{ d['k'] }} {{ d.zz }}| {{ d.zz is defined }} {{ d['items'] }} {{ d.items is callable }} {{ d.b + 1 }}",
    "{{ missing }}|{{ missing is undefined }}|{{ missing|default('x') }}|{{ nothing|default('x') }}|{{ nothing|default('x', true) }}|{{ '' or 'y' }}",
    "{{ nothing }} {{ flag }} {{ nothing is none }} {{ empty is iterable }} {{ t is string }} {{ d is mapping }} {{ words is sequence }} {{ n is number }} {{ flag is boolean }} {{ n is integer }} {{ half is float }} {{ flag is true }} {{ flag is false }} {{ n is odd }} {{ n is even }} {{ n is divisibleby 5 }} {{ n is eq 5 }} {{ n is not string }} {{ t is in ['a-b-c'] }}",
    # Statements.
    "{% for m in messages %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }} {% endfor %}",
    "{% for w in words %}{{ loop.previtem|default('-') }}{{ w }}{{ loop.nextitem|default('-') }}{{ loop.cycle('x', 'y') }} {% endfor %}",
    "{% for w in words if w != 'a' %}{{ loop.index }}{{ w }}{% endfor %}", "{% for x in empty %}a{% else %}none{% endfor %}",
    "{% for w in words %}{% if w == 'a' %}{% break %}{% endif %}{% if w == 'A' %}{% continue %}{% endif %}{{ w }}{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}{% for c in 'aé世' %}[{{ c }}]{% endfor %}",
    "{% set x = 1 %}{% for w in words %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}",
    "{% set ns = namespace(n=0, s='') %}{% for w in words %}{% set ns.n = ns.n + loop.index %}{% set ns.s = ns.s + w %}{% endfor %}{{ ns.n }}{{ ns.s }}{{ ns.zz is defined }}",
    "{% set a, b = [1, 2] %}{{ a }}{{ b }}{% set x %}in {{ n }}\n{% endset %}[{{ x }}]{% set y | upper %}ab{% endset %}{{ y }}",
    "{% if n == 1 %}a{% elif n == 5 %}b{% elif n == 5 %}c{% else %}d{% endif %}{% if empty %}x{% endif %}",
    "{% macro f(a, b='x', c=n) %}{{ a }}{{ b }}{{ c }}{{ zz }}{% endmacro %}{{ f(1) }}|{{ f(1, 2) }}|{{ f(b=3, a=4) }}|{{ f(1, c=none) }}",
    "{% macro tree(x) %}({% for y in x %}{{ tree(y) if y is not string else y }}{% endfor %}){% endmacro %}{{ tree([['a'], 'b', [['c']]]) }}",
    "{% set z = 1 %}{% macro f() %}{{ z }}{% endmacro %}{{ f() }}{% set z = 2 %}{{ f() }}",
    "{% filter upper | trim %} ab {{ t }} {% endfilter %}", "{% generation %}a{% set q = 1 %}{{ q }}{% endgeneration %}{{ q is defined }}",
    # Filters.
    "[{{ messages[0].content|trim }}][{{ 'xaxx'|trim('x') }}][{{ t|upper }}][{{ 'ABC'|lower }}][{{ 'aBC dEF'|capitalize }}][{{ 'aBC dEF-g'|title }}]",
    "{{ words|join }} {{ words|join(', ') }} {{ messages|join('/', attribute='role') }} {{ [1, none]|join('-') }} {{ words|first }}{{ words|last }} {{ empty|first }}|",
    "{{ words|sort|list }} {{ words|sort(reverse=true) }} {{ words|sort(case_sensitive=true) }} {{ messages|sort(attribute='role')|map(attribute='role')|list }}",
    "{{ words|unique|list }} {{ words|reverse|list }} {{ 'abc'|reverse }} {{ [3, 1, 2]|min }}{{ [3, 1, 2]|max }} {{ [1, 2, 3]|sum }} {{ 'abc'|list }}",
    "{{ d|dictsort }} {{ d|dictsort(by='value') if false else '' }}{{ d|items|list }} {{ d|length }} {{ d|list }}",
    "{{ words|map('upper')|join(',') }} {{ messages|map(attribute='role')|list }} {{ messages|selectattr('role', 'equalto', 'user')|list|length }} {{ messages|rejectattr('content', 'string')|map(attribute='role')|list }} {{ messages|selectattr('tool_calls', 'defined')|list|length }} {{ words|select('equalto', 'a')|list }} {{ [0, 1, '']|select|list }} {{ words|reject('equalto', 'a')|list }}",
    "{{ t|replace('-', '+') }} {{ t|replace('-', '+', 1) }} {{ 'aaa'|replace('a', 'bb') }} {{ 'ab'|replace('', '.') }} {{ n|string + 'x' }} {{ '12'|int + 1 }} {{ 'x'|int }} {{ 'x'|int(7) }} {{ '1.5'|float }} {{ 2.7|int }} {{ -3|abs }} {{ 2.5|round }} {{ 2.345|round(2) }}",
    "{{ 'a\nb\n\nc'|indent }}|{{ 'a\nb'|indent(2, true) }}|{{ 'a\nb'|indent(2, first=True) }}|{{ 'a\n\nb'|indent('> ', blank=true) }}", "{{ '<a & \"b\">'|e }} {{ 'x'|safe }}",
    "{{ '<a>'|safe + '<b>' }} {{ t + '<' + '<a>'|safe }} {{ ('<a>'|safe) ~ '<b>' }} {{ ('<a>'|e) + '<b>' }} {{ ('<a>'|safe)|e }} {% set x = '<'|safe %}{{ x + t + x }}",
    # JSON.
    "{{ messages[2]|tojson }} {{ d|tojson }} {{ big|tojson }} {{ half|tojson }} {{ quote|tojson }} {{ 'é世😀'|tojson }} {{ 'é世😀'|tojson(ensure_ascii=True) }}",
    "{{ messages[2]|tojson(indent=2) }} {{ []|tojson(indent=2) }} {{ {'b': 1, 'a': [2]}|tojson(sort_keys=true) }} {{ [1, 2]|tojson(separators=(',', ':')) }} {{ {1: 2, none: 3, true: 4}|tojson }}",
    # Methods.
    "[{{ ' a '.strip() }}][{{ ' a '.lstrip() }}][{{ ' a '.rstrip() }}][{{ 'xxay'.strip('xy') }}][{{ '\n\na\n'.lstrip('\n') }}][{{ '\u00a0\u3000a\u2009'.strip() }}]",
    "{{ t.split('-') }} {{ t.split('-', 1) }} {{ ' a  b '.split() }} {{ t.split('-')[-1] }} {{ t.rsplit('-', 1) }} {{ ''.split('-') }} {{ 'a b c'.split(none, 1) }}",
    "{{ t.startswith('a-') }} {{ t.endswith(('x', 'c')) }} {{ t.replace('-', '') }} {{ t.upper() }} {{ 'aB'.title() }} {{ t.find('b') }} {{ t.find('z') }} {{ t.count('-') }} {{ ', '.join(words) }} {{ '{} and {}'.format(1, 'x') }} {{ '{0}{1}{0} {{}}'.format('a', 'b') }} {{ '{x}'.format(x=2) }} {{ '12'.isdigit() }} {{ 'a\nb\n'.splitlines() }}",
    "{{ d.get('k') }} {{ d.get('zz') }} {{ d.get('zz', 'x') }} {{ d.keys()|list }} {{ d.values()|list }} {{ d.items()|list }} {{ words.index('a') }} {{ words.count('a') }}",
    "{{ range(3)|list }} {{ range(1, 4)|list }} {{ range(6, 0, -2)|list }} {{ dict(a=1) }} {{ strftime_now('%d %B %Y, %H:%M:%S %A %b %a %y %j %I %p %m %%') }}",
    # Statements that few templates have: what {% call %} gives, names for a part, text as it stands, loops that call themselves.
    "{% macro box(a, b='B') %}[{{ a }}{{ b }}:{{ caller() }}]{% endmacro %}{% call box('x') %}in {{ n }}{% endcall %}{% call box(1, b=2) %}{{ t }}{% endcall %}",
    "{% macro each(xs) %}{% for x in xs %}{{ caller(x, loop.index) }};{% endfor %}{% endmacro %}{% call(x, i) each(words) %}{{ i }}={{ x|upper }}{% endcall %}",
    "{% macro m(a) %}{{ a }}{{ caller() if caller is defined else '-' }}{% endmacro %}{{ m(1) }}{% call m(2) %}c{% endcall %}{{ m.name }}",
    "{% macro outer() %}<{% call inner() %}{{ caller() }}{% endcall %}>{% endmacro %}{% macro inner() %}({{ caller() }}){% endmacro %}{% call outer() %}x{% endcall %}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{% call m(1) %}nobody asks for this{% endcall %}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}",
    "{% set a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% set c = 3 %}{% endwith %}{{ a }}{{ b }}{{ c }}{% with %}{{ a }}{% endwith %}",
    "{% raw %}\n{{ x }} {% if %} {# c #}{% endraw %}\nx", "a {%- raw -%}  {{ }}  {%- endraw -%}  b", "  {% raw %} y\n  {% endraw %}  z\n {%+ raw %}q{% endraw +%}\nw",
    "{% for x in [1, [2, [3, 4]], 5] recursive %}{{ loop.depth }}{{ loop.depth0 }}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}{{ loop.index }}{% endif %}{% endfor %}",
    "{% for x in [1, 1, 2, 2, 1] %}{{ x if loop.changed(x) else '-' }}{% endfor %}{% for m in messages %}{{ loop.changed(m.role ~ '!', 1) }}{% endfor %}",
    "{% macro m(a, b=a, c=d.k) %}{{ a }}{{ b }}{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(*[1, 2, 3]) }}{{ m(*[1], **{'c': 'C'}) }}{{ m(**{'b': 7, 'a': 8}) }}",
    "{% macro m(p=q, q=p) %}{{ p }}{{ q }};{% endmacro %}{{ m() }}{{ m(1) }}{{ m(q=2) }}", "{{ '{}{}'.format(*'ab') }}{{ dict(**d) }}", "{{ m(*5) }}", "{% macro m(a) %}{% endmacro %}{{ m(**[1]) }}",
    "{% if nothing %}{{ t|no_such_filter(1, x=2) }}{{ t is no_such_test }}{% else %}fine{% endif %}{{ (t|no_such_filter) if nothing else 'fine' }}", "{% if flag %}{{ t|no_such_filter }}{% endif %}",
    "{% if flag %}{{ t is no_such_test(3) }}{% endif %}", "{{ 0x1f + 0o17 + 0b101 }} {{ '\\x41\\101\\0' | length }} {{ '\\101\\60' }}",
    # Macros and loops that a namespace keeps longer than what they were made in.
    "{% set ns = namespace() %}{% for x in [1, [2]] %}{% set y = x %}{% macro m() %}{{ y }}{% endmacro %}{% set ns.m = m %}{% set ns.l = loop %}{% endfor %}{% for q in 'abcdefgh' %}{{ q }}{% endfor %}{{ ns.m() is string }}{{ ns.l.index }}{{ ns.l.previtem }}{{ ns.l.nextitem }}{{ ns.l.last }}",
    "{% set ns = namespace() %}{% for x in words recursive %}{% if loop.depth == 1 %}{% set ns.l = loop %}{% endif %}{{ x }}{% break %}{% endfor %}{% for q in t %}{{ q }}{% endfor %}{{ ns.l.index }}{{ ns.l.nextitem }}{{ ns.l(['p', 'q']) }}",
    # Lists.
    "{{ [2, 1] * 2 }} {{ 'ab' * true }} {{ 0 * [1] }}",
    "{{ [1, 2, 3]|select('>', 1)|list }} {{ [1, 2, 3]|reject('==', 2)|list }} {{ messages|map(attribute='tool_calls.0.name', default='-')|list }} {{ messages|unique(attribute='role')|list|length }}",
    "{{ words|unique(true)|list }} {{ [[1], [1]]|unique|list }}", "{{ [1] in d }}",
    # Texts.
    "{{ t.partition('-') }} {{ t.rpartition('-') }} {{ t.partition('+') }} {{ t.rpartition('+') }}",
    "{{ '  a b  c '.split(none, 1) }} {{ '  a b  c '.rsplit(none, 1) }} {{ ' a b '.split(none, 0) }} {{ ' a b '.rsplit(none, 5) }} {{ 'a1é'.isalnum() }}{{ 'a '.isalnum() }}{{ t.rindex('-') }}",
    "{{ ['\u200b\u00a0\u0085\u202e\ufeff é世😀\x1f\u2028\U000e0001'] }} {{ '%r' % '\u200dx' }}", "{{ 2.675|round(2) }} {{ 2.5|round }} {{ 3|round }} {{ 1234.5|round(-2) }} {{ true|round }}",
    "[{{ 'a\\r\\nb\\x0bc\\u2028d\\re'|indent(1) }}][{{ 'a\\r'|indent }}][{{ 'a\\n'|indent(2, true, true) }}][{{ ''|indent(2, true) }}] {{ 'a\\r\\nb\\x0bc\\u2028d\\r'.splitlines() }} {{ 'a\\r\\n\\nb'.splitlines(true) }} {{ ''.splitlines() }}",
    "{{ 11 // 0.1 }} {{ -11 // 0.1 }} {{ 1 % -0.3 }} {{ 0.3 // 5 }} {{ -0.3 // 5 }} {{ 6.0 % 3 }} {{ 7.5 // 2.5 }}",
    # What fails.
    "a{{ raise_exception('Only user and assistant, got ' + messages[0].role) }}", "{{ missing.x }}", "{{ missing + 1 }}", "{{ 1 + 'a' }}", "{{ none + 'a' }}",
    "{% for x in 5 %}{% endfor %}", "{{ 1 // 0 }}", "{{ missing|tojson }}", "{{ words.append(1) }}", "{{ d.update({'a': 1}) }}", "{{ t.nosuch() }}", "{{ missing() }}",
    "{{ 1 < 'a' }}", "{{ words|map('upper')|tojson }}", "{{ words|map('upper')|length }}", "{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", "{{ 5|length }}", "{{ 'a'.index('b') }}",
    "{% set a, b = [1] %}", "{{ 1 in 'a' }}",
]


def main():
    cases = []
    for text in TEMPLATES:
        case = {"template": text}
        try:
            case["text"] = ENVIRONMENT.from_string(text).render(**V)
        except Raised as error:
            case["error"] = str(error)
        except Exception:
            case["error"] = None
        cases.append(case)
    json.dump({"variables": V, "now": "2026-11-28T10:30:05", "cases": cases}, sys.stdout, ensure_ascii=False, indent=0)
    print()


main()
