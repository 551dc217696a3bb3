#!/usr/bin/env python3
"""Writes case_exceptions.inc: where the upper case or the title case of a character is not the one whose lower case it is, as
Python's str has it (which is what Jinja's filters call); see the head of that file for the command."""
import unicodedata

CHARACTERS = [c for c in range(128, 0x110000) if not 0xD800 <= c <= 0xDFFF]


def table(name, comment, rows):
    print("// " + comment)
    print("inline constexpr CaseException " + name + "[] = {")
    for i in range(0, len(rows), 6):
        print("    " + " ".join("{0x%x, \"%s\"}," % (c, "".join("\\x%02x" % byte for byte in text.encode())) for c, text in rows[i : i + 6]))
    print("};")


def main():
    inverse = {}
    for c in CHARACTERS:
        lower = chr(c).lower()
        if len(lower) == 1 and lower != chr(c):
            inverse.setdefault(ord(lower), chr(c))
    simple = lambda c: inverse.get(c, chr(c))
    upper = [(c, chr(c).upper()) for c in CHARACTERS if chr(c).upper() != simple(c)]
    georgian = range(0x10D0, 0x1100)
    title = [(c, chr(c).title()) for c in CHARACTERS if chr(c).title() != simple(c) and c not in georgian]
    assert all(chr(c).title() == chr(c) for c in georgian)
    assert all(c < 0x10000 and len(text.encode()) <= 6 for c, text in upper + title)
    print("// Generated, do not edit. Special cases of Unicode " + unicodedata.unidata_version + " as Python has them:")
    print("//   python3 make_case_exceptions.py > case_exceptions.inc")
    print("// SPDX-License-Identifier: Unicode-DFS-2016 (data)")
    table("kUpperExceptions", "Upper case in UTF-8.", upper)
    table("kTitleExceptions", "Title case; Georgian letters, whose upper case titles do not use, are left out.", title)


if __name__ == "__main__":
    main()
