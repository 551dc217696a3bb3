#!/usr/bin/env python3
"""Writes unicode_nfc.inc as the library `tokenizers` normalises, whose ids the models were trained with: it goes by Unicode
9.0, so that marks which came later are starters and compose with nothing. See the head of that file for the command.

What a character decomposes into and its combining class never change once they are there; Python's own unicodedata says
what they are, the library which of them it knows. Needs `pip install tokenizers`.
"""
import unicodedata
from importlib.metadata import version

from tokenizers import normalizers

LAST = 0x10FFFF
UNSAFE_STARTER = 255  # ccc 0, but it may compose with what stands before it, or changes by itself
JAMO = list(range(0x1161, 0x1176)) + list(range(0x11A8, 0x11C3))
HANGUL = range(0xAC00, 0xD7A4)
NFD, NFC = normalizers.NFD().normalize_str, normalizers.NFC().normalize_str
LOWEST, HIGHEST = "\u0334", "\u0345"  # marks of the classes 1 and 240


def combining_class(c):
    """0 where the library does not move it."""
    ccc = unicodedata.combining(chr(c))
    before, after = LOWEST + chr(c) + LOWEST, HIGHEST + chr(c) + HIGHEST
    moves = NFD(before) != before or NFD(after) != after
    assert not moves or ccc, hex(c)
    return ccc if moves else 0


def full(c, mapping):
    return [d for part in mapping[c] for d in full(part, mapping)] if c in mapping else [c]


def main():
    mapping = {}
    for c in range(LAST + 1):
        if 0xD800 <= c <= 0xDFFF or c in HANGUL or NFD(chr(c)) == chr(c):
            continue
        mapping[c] = [int(part, 16) for part in unicodedata.decomposition(chr(c)).split()]
    ccc = {c: combining_class(c) for c in range(LAST + 1) if unicodedata.combining(chr(c)) and c not in mapping}
    ccc.update({c: unicodedata.combining(chr(c)) for c in mapping})
    composites = {}
    for c, parts in mapping.items():
        assert len(parts) <= 2 and len(full(c, mapping)) <= 4
        assert "".join(map(chr, full(c, mapping))) == NFD(chr(c))
        assert len(parts) == 1 or parts[1] not in mapping  # so only the first part goes on
        if len(parts) == 2 and NFC("".join(map(chr, parts))) == chr(c):
            composites[tuple(parts)] = c
    unsafe = {c for c in mapping if c not in composites.values()}
    unsafe |= {second for _, second in composites} | set(JAMO)
    info = bytearray(LAST + 1)
    for c in range(LAST + 1):
        info[c] = ccc.get(c, 0) or (UNSAFE_STARTER if c in unsafe else 0)
    assert not any(info[:0x300])
    runs = [c << 8 | info[c] for c in range(LAST + 1) if c == 0 or info[c] != info[c - 1]]
    order = sorted(mapping)
    entries = [c << 42 | mapping[c][0] << 21 | (mapping[c][1] if len(mapping[c]) == 2 else 0) for c in order]
    index = [order.index(composites[pair]) for pair in sorted(composites)]

    print("// Generated, do not edit. Unicode 9.0.0, as tokenizers " + version("tokenizers") + " normalises:")
    print("//   pip install tokenizers && python3 make_unicode_nfc.py > unicode_nfc.inc")
    print("// SPDX-License-Identifier: Unicode-DFS-2016 (data)")

    def table(comment, name, kind, values, per_line, form):
        print("// " + comment)
        print("inline constexpr " + kind + " " + name + "[] = {")
        for i in range(0, len(values), per_line):
            print("    " + " ".join(form % v + "," for v in values[i : i + per_line]))
        print("};")

    table("Each entry starts a run of code points: first << 8 | canonical combining class, or 255 for a starter that is"
          " not safe.", "kNfcRuns", "uint32_t", runs, 14, "%d")
    table("Sorted: code point << 42 | first part << 21 | second part (0: there is none).", "kNfcDecompositions", "uint64_t",
          entries, 6, "%dull")
    table("Entries of kNfcDecompositions that may be put together again, sorted by their parts.", "kNfcComposites",
          "uint16_t", index, 18, "%d")


if __name__ == "__main__":
    main()
