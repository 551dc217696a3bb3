#!/usr/bin/env python3
"""Writes unicode_nfc.inc from the Unicode Character Database; see the head of that file for the command.

Input: the directory that holds UnicodeData.txt, CompositionExclusions.txt and PropList.txt (Debian's package
unicode-data installs it as /usr/share/unicode).
"""
import re
import sys
from pathlib import Path

LAST = 0x10FFFF
UNSAFE_STARTER = 255  # ccc 0, but it may compose with what stands before it, or changes by itself
JAMO = list(range(0x1161, 0x1176)) + list(range(0x11A8, 0x11C3))


def code_points(path):
    """The first field of every line, as numbers."""
    for line in path.read_text(encoding="utf-8").splitlines():
        field = line.split("#")[0].split(";")[0].strip()
        if field:
            first, _, last = field.partition("..")
            yield from range(int(first, 16), int(last or first, 16) + 1)


def full(c, mapping):
    return [d for part in mapping[c] for d in full(part, mapping)] if c in mapping else [c]


def main():
    root = Path(sys.argv[1])
    version = re.search(r"PropList-([0-9.]+)\.txt", (root / "PropList.txt").read_text(encoding="utf-8")).group(1)
    ccc, mapping = {}, {}
    for line in (root / "UnicodeData.txt").read_text(encoding="utf-8").splitlines():
        fields = line.split(";")
        c = int(fields[0], 16)
        ccc[c] = int(fields[3])
        if fields[5] and not fields[5].startswith("<"):
            mapping[c] = [int(part, 16) for part in fields[5].split()]
    excluded = set(code_points(root / "CompositionExclusions.txt"))
    composites = {}
    for c, parts in mapping.items():
        assert len(parts) <= 2 and len(full(c, mapping)) <= 4
        assert len(parts) == 1 or parts[1] not in mapping  # so only the first part goes on
        if len(parts) == 2 and c not in excluded and ccc[c] == 0 and ccc[parts[0]] == 0:
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

    print("// Generated, do not edit. Unicode " + version + ", Character Database files UnicodeData.txt and")
    print("// CompositionExclusions.txt, as Debian's package unicode-data installs them:")
    print("//   python3 make_unicode_nfc.py /usr/share/unicode > unicode_nfc.inc")
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
