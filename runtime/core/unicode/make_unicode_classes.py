#!/usr/bin/env python3
"""Writes unicode_classes.inc as the library `tokenizers` has it, whose ids the models were trained with; see the head of
that file for the command. Its regular expressions go by one version of Unicode, which is asked for class by class over
all code points, and so is its lower case.

Needs `pip install tokenizers`.
"""
from importlib.metadata import version

from tokenizers import Regex, normalizers

LAST = 0x10FFFF
CHARACTERS = [c for c in range(LAST + 1) if not 0xD800 <= c <= 0xDFFF]
CLASSES = ((r"\p{L}", 1), (r"\p{N}", 2), (r"\s", 3), (r"\p{P}", 4), (r"\p{S}", 5), (r"\p{M}", 6))
# A character that came with the version, and one that a later version brought.
UNICODE, NEW, LATER = "16.0.0", 0x1C89, 0x1ACF


def members(kind):
    """The characters that [kind] matches."""
    others = normalizers.Replace(Regex("[^" + kind + "]"), "")
    for i in range(0, len(CHARACTERS), 4096):
        yield from map(ord, others.normalize_str("".join(map(chr, CHARACTERS[i : i + 4096]))))


def lower_runs():
    """[first, count, step, delta] of runs whose lower case is each `step`-th code point plus delta."""
    lower = normalizers.Lowercase()
    runs = []
    for c in CHARACTERS:
        small = lower.normalize_str(chr(c))
        if c == 0x130:  # two characters; the one that is its simple lower case
            small = "i"
        assert len(small) == 1
        delta = ord(small) - c
        if delta == 0:
            continue
        if runs and runs[-1][3] == delta:
            first, count, step, _ = runs[-1]
            gap = c - (first + (count - 1) * step)
            if gap == step or (count == 1 and gap <= 2):
                runs[-1][1:3] = [count + 1, gap]
                continue
        runs.append([c, 1, 1, delta])
    return runs


def main():
    classes = bytearray(LAST + 1)
    for kind, value in CLASSES:
        for c in members(kind):
            assert classes[c] == 0
            classes[c] = value
    assert classes[NEW] == 1 and classes[LATER] == 0, "the library goes by another version of Unicode"
    case = bytearray(LAST + 1)
    for kind, value in ((r"\p{Lu}\p{Lt}", 1), (r"\p{Ll}", 2)):
        for c in members(kind):
            case[c] = value
    cases = [c << 2 | case[c] for c in range(LAST + 1) if c == 0 or case[c] != case[c - 1]]
    starts = [c << 3 | classes[c] for c in range(LAST + 1) if c == 0 or classes[c] != classes[c - 1]]
    print("// Generated, do not edit. Unicode " + UNICODE + " as the regular expressions of tokenizers " + version("tokenizers") + " have it:")
    print("//   pip install tokenizers && python3 make_unicode_classes.py > unicode_classes.inc")
    print("// Each entry starts a run of code points: first << 3 | class (CharClass).")
    print("// SPDX-License-Identifier: Unicode-DFS-2016 (data)")
    print('inline constexpr char kUnicodeVersion[] = "' + UNICODE + '";')
    print("inline constexpr uint32_t kUnicodeRuns[] = {")
    for i in range(0, len(starts), 10):
        print("    " + " ".join("0x%x," % s for s in starts[i : i + 10]))
    print("};")
    print("// The same of Lu and Lt (1) and Ll (2): first << 2 | case (LetterCase).")
    print("inline constexpr uint32_t kUnicodeCaseRuns[] = {")
    for i in range(0, len(cases), 12):
        print("    " + " ".join("0x%x," % s for s in cases[i : i + 12]))
    print("};")
    decimal = set(members(r"\p{Nd}"))
    digits = [c for c in sorted(decimal) if c - 1 not in decimal]
    ends = [c + 1 for c in sorted(decimal) if c + 1 not in decimal]
    print("// Decimal digits (Nd): first, and the one behind the last.")
    print("inline constexpr uint32_t kUnicodeDigitRuns[][2] = {")
    pairs = list(zip(digits, ends))
    for i in range(0, len(pairs), 7):
        print("    " + " ".join("{0x%x, 0x%x}," % pair for pair in pairs[i : i + 7]))
    print("};")
    print("// Simple lower case: first, count, step, what is added.")
    print("inline constexpr UnicodeLowerRun kUnicodeLowerRuns[] = {")
    lower = lower_runs()
    for i in range(0, len(lower), 5):
        print("    " + " ".join("{0x%x, %d, %d, %d}," % tuple(run) for run in lower[i : i + 5]))
    print("};")


if __name__ == "__main__":
    main()
