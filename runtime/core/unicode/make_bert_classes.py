#!/usr/bin/env python3
"""Writes bert_classes.inc from the Unicode Character Database; see the head of that file for the command.

Input: the directory that holds UnicodeData.txt and DerivedAge.txt (Debian's package unicode-data installs it as
/usr/share/unicode). The categories of Unicode 8.0 are what later files say of the characters that it had, but for
those that Unicode has put into another category since.
"""
import sys
from pathlib import Path

PUNCTUATION, MARK, REMOVED = 1, 2, 3
LAST = 0x10FFFF
AS_OF = (8, 0)
SINCE_CHANGED = {0x166D: "Po", 0x1734: "Mn", 0x1885: "Lo", 0x1886: "Lo", 0xA9BD: "Mc", 0x111C9: "Po"}


def categories(path):
    """Code point -> general category."""
    category = {}
    first = None
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = line.split(";")
        c = int(fields[0], 16)
        if fields[1].endswith("First>"):
            first = c
            continue
        for each in range(c if first is None else first, c + 1):
            category[each] = fields[2]
        first = None
    return category


def ages(path):
    """Code point -> the version that it came with."""
    age = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = line.split("#")[0].split(";")
        if len(fields) == 2:
            first, _, last = fields[0].strip().partition("..")
            version = tuple(int(part) for part in fields[1].strip().split("."))
            for c in range(int(first, 16), int(last or first, 16) + 1):
                age[c] = version
    return age


def main():
    root = Path(sys.argv[1])
    category, age = categories(root / "UnicodeData.txt"), ages(root / "DerivedAge.txt")

    def class_of(c):
        if c < 0x80 and category[c][0] == "S":
            return PUNCTUATION
        if c in (0x09, 0x0A, 0x0D) or age.get(c, (99,)) > AS_OF:
            return 0
        kind = SINCE_CHANGED.get(c, category.get(c, "Cn"))
        if c == 0xFFFD or kind in ("Cc", "Cf", "Co"):
            return REMOVED
        return MARK if kind == "Mn" else PUNCTUATION if kind[0] == "P" else 0

    classes = [class_of(c) for c in range(LAST + 1)]
    runs = [c << 2 | classes[c] for c in range(LAST + 1) if c == 0 or classes[c] != classes[c - 1]]
    print("// Generated, do not edit. Unicode Character Database 15.0, UnicodeData.txt and DerivedAge.txt, as Debian's package")
    print("// unicode-data installs them, brought back to Unicode 8.0:")
    print("//   python3 make_bert_classes.py /usr/share/unicode > bert_classes.inc")
    print("// Each entry starts a run of code points: first << 2 | class (BertClass).")
    print("// SPDX-License-Identifier: Unicode-DFS-2016 (data)")
    print("inline constexpr uint32_t kBertRuns[] = {")
    for i in range(0, len(runs), 14):
        print("    " + " ".join("0x%x," % run for run in runs[i : i + 14]))
    print("};")


if __name__ == "__main__":
    main()
