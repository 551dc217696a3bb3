"""Texts that nobody wrote: words of all scripts, code, digits, marks, emoji, white space, special pieces, characters of all
planes, assigned or not. The same seed gives the same texts."""
import random
import unicodedata

SPACES = [" ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", " \n", "\u00a0", "\u2003", "\u3000", "\u2028", "\u200b", "\u0085", "\u2581", "\u2581\u2581"]
PARTS = ["'s", "'S", "'ll", "'RE", "'\u017f", "don't", "I'LL", "e\u0301", "\u00e9", "\u0301", "\u0327\u0301", "\u1100\u1161\u11a8", "\uac01", "\u2126",
         "\u212b", "\ufb01", "\u01c5", "\u00b2", "\u00bd", "\u2167", "\u0661\u0662\u0663", "1234567", "3.14", "0x1F", "100,000", "...", "!!", "?!", "//", "==", "->",
         "::", "(){}[]", "```", "#include", "def f(x):", "<b>", "</s>", "<s>", "<unk>", "https://a.b/c?d=e", "HTMLParser", "camelCase", "snake_case",
         "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "\u2764\ufe0f", "\ufffd", "\u00df", "\u0130", "\u0131", "\u03a3\u03c2",
         "\u1e9b\u0323", "\u0928\u093c", "\u0e33", "\ufeff", "\x00", "\x7f", "\u200d", "_", "-", "\u2013", "\u201cquoted\u201d", "$5", "\u20ac", "^", "`", "~", "|"]
LATIN = "the of and to in is was for on are as with his they at be this from have or by one had not but what all were when we there can an your".split()
# First and last of blocks whose scripts people write.
BLOCKS = [(0x41, 0x5a), (0x61, 0x7a), (0xc0, 0x24f), (0x370, 0x3ff), (0x400, 0x4ff), (0x531, 0x587), (0x591, 0x5f4), (0x620, 0x6ff), (0x700, 0x74f),
          (0x780, 0x7b1), (0x7c0, 0x7ff), (0x900, 0x97f), (0x980, 0x9fe), (0xa01, 0xa76), (0xa81, 0xaff), (0xb01, 0xb77), (0xb82, 0xbfa), (0xc00, 0xc7f),
          (0xc80, 0xcf3), (0xd00, 0xd7f), (0xd81, 0xdf4), (0xe01, 0xe5b), (0xe81, 0xedf), (0xf00, 0xfda), (0x1000, 0x109f), (0x10a0, 0x10ff),
          (0x1100, 0x11ff), (0x1200, 0x137f), (0x13a0, 0x13fd), (0x1401, 0x167f), (0x1780, 0x17f9), (0x1800, 0x18aa), (0x1b00, 0x1b7f), (0x1c80, 0x1c8a),
          (0x1e00, 0x1fff), (0x2000, 0x2bff), (0x2c00, 0x2dff), (0x2e80, 0x2fdf), (0x3000, 0x30ff), (0x3105, 0x31ff), (0x3400, 0x4dbf), (0x4e00, 0x9fff),
          (0xa000, 0xa4cf), (0xa640, 0xa7ff), (0xa980, 0xa9df), (0xab30, 0xabff), (0xac00, 0xd7a3), (0xf900, 0xfaff), (0xfb00, 0xfdff), (0xfe10, 0xfe6f),
          (0xff01, 0xffee), (0x10000, 0x103ff), (0x10400, 0x107ff), (0x10d40, 0x10d8f), (0x11000, 0x11fff), (0x16d40, 0x16d7f), (0x1d100, 0x1d7ff),
          (0x1e000, 0x1e95f), (0x1f000, 0x1faff), (0x20000, 0x2a6df), (0x30000, 0x323af)]
MARKS = [chr(c) for c in range(0x20000) if unicodedata.combining(chr(c))]


class Texts:
    def __init__(self, seed, specials=()):
        self.random = random.Random(seed)
        self.specials = list(specials)

    def character(self):
        while True:
            c = self.random.randrange(0x110000 if self.random.random() < 0.5 else 0x10000)
            if not 0xd800 <= c <= 0xdfff:
                return chr(c)

    def word(self):
        first, last = self.random.choice(BLOCKS)
        return "".join(chr(self.random.randint(first, last)) for _ in range(self.random.randint(1, 8)))

    def part(self):
        kind = self.random.random()
        if kind < 0.25:
            return self.random.choice(LATIN)
        if kind < 0.45:
            return self.word()
        if kind < 0.6:
            return self.random.choice(PARTS)
        if kind < 0.75:
            return self.random.choice(SPACES)
        if kind < 0.8:
            return self.random.choice(MARKS)
        if kind < 0.85:
            return str(self.random.randrange(10 ** self.random.randint(1, 12)))
        if kind < 0.9 and self.specials:
            return self.random.choice(self.specials)
        if kind < 0.95:
            return self.character()
        return self.random.choice(["a", " ", "\n", "\u2581", "=", "\t", "\u4e2d", "\u0301", "0", "'"]) * self.random.randint(1, 40)

    def text(self):
        space = self.random.random() < 0.6
        return "".join(self.part() + (" " if space and self.random.random() < 0.7 else "") for _ in range(self.random.randint(0, 12)))
