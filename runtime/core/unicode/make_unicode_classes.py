#!/usr/bin/env python3
"""Writes unicode_classes.inc from the Unicode Character Database; see the head of that file for the command.

Input: the directory that holds UnicodeData.txt, PropList.txt and extracted/DerivedGeneralCategory.txt
(Debian's package unicode-data installs it as /usr/share/unicode).
"""
import re
import sys
from pathlib import Path

LETTER, NUMBER, SPACE, PUNCTUATION, SYMBOL, MARK = 1, 2, 3, 4, 5, 6
LAST = 0x10FFFF


def ranges(path, wanted):
    """Yields (first, last) of the lines 'XXXX..YYYY ; Value' whose value satisfies wanted()."""
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = line.split("#")[0].split(";")
        if len(fields) == 2 and wanted(fields[1].strip()):
            first, _, last = fields[0].strip().partition("..")
            yield int(first, 16), int(last or first, 16)


def lower_runs(path):
    """[first, count, step, delta] of runs whose lower case is each `step`-th code point plus delta."""
    runs = []
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = line.split(";")
        if not fields[13]:
            continue
        c, delta = int(fields[0], 16), int(fields[13], 16) - int(fields[0], 16)
        if runs and runs[-1][3] == delta:
            first, count, step, _ = runs[-1]
            gap = c - (first + (count - 1) * step)
            if gap == step or (count == 1 and gap <= 2):
                runs[-1][1:3] = [count + 1, gap]
                continue
        runs.append([c, 1, 1, delta])
    return runs


def main():
    root = Path(sys.argv[1])
    categories = root / "extracted" / "DerivedGeneralCategory.txt"
    properties = root / "PropList.txt"
    version = re.search(r"PropList-([0-9.]+)\.txt", properties.read_text(encoding="utf-8")).group(1)
    classes = bytearray(LAST + 2)
    for value, path, wanted in (
        (LETTER, categories, lambda c: c[0] == "L"),
        (NUMBER, categories, lambda c: c[0] == "N"),
        (SPACE, properties, lambda c: c == "White_Space"),
        (PUNCTUATION, categories, lambda c: c[0] == "P"),
        (SYMBOL, categories, lambda c: c[0] == "S"),
        (MARK, categories, lambda c: c[0] == "M"),
    ):
        for first, last in ranges(path, wanted):
            for code_point in range(first, last + 1):
                assert classes[code_point] == 0
                classes[code_point] = value
    case = bytearray(LAST + 1)
    for value, wanted in ((1, ("Lu", "Lt")), (2, ("Ll",))):
        for first, last in ranges(categories, lambda c: c in wanted):
            case[first : last + 1] = bytes([value]) * (last + 1 - first)
    cases = [c << 2 | case[c] for c in range(LAST + 1) if c == 0 or case[c] != case[c - 1]]
    starts = [c << 3 | classes[c] for c in range(LAST + 1) if c == 0 or classes[c] != classes[c - 1]]
    print("// Generated, do not edit. Unicode " + version + ", Character Database files PropList.txt (White_Space) and")
    print("// extracted/DerivedGeneralCategory.txt (L*, N*, P*, S*, M*), as Debian's package unicode-data installs them:")
    print("//   python3 make_unicode_classes.py /usr/share/unicode > unicode_classes.inc")
    print("// Each entry starts a run of code points: first << 3 | class (CharClass).")
    print('// SPDX-License-Identifier: Unicode-DFS-2016 (data)')
    print('inline constexpr char kUnicodeVersion[] = "' + version + '";')
    print("inline constexpr uint32_t kUnicodeRuns[] = {")
    for i in range(0, len(starts), 10):
        print("    " + " ".join("0x%x," % s for s in starts[i : i + 10]))
    print("};")
    print("// The same of Lu and Lt (1) and Ll (2): first << 2 | case (LetterCase).")
    print("inline constexpr uint32_t kUnicodeCaseRuns[] = {")
    for i in range(0, len(cases), 12):
        print("    " + " ".join("0x%x," % s for s in cases[i : i + 12]))
    print("};")
    print("// Simple lower case (UnicodeData.txt): first, count, step, what is added.")
    print("inline constexpr UnicodeLowerRun kUnicodeLowerRuns[] = {")
    lower = lower_runs(root / "UnicodeData.txt")
    for i in range(0, len(lower), 5):
        print("    " + " ".join("{0x%x, %d, %d, %d}," % tuple(run) for run in lower[i : i + 5]))
    print("};")


if __name__ == "__main__":
    main()
