#!/usr/bin/env python3
"""Writes WordPiece tokenizers and the ids that Hugging Face's library gives for texts (pip install tokenizers).

    make_cases.py DIRECTORY                the committed ones: a vocabulary of our own, NAME.tokenizer.json and NAME.json
    make_cases.py DIRECTORY --large N      N random texts over a vocabulary of nearly every character, for
                                           THIMBLE_WORD_PIECE_CASES=DIRECTORY test_tokenizer "WordPiece*"

Left out of the large ones: what Unicode does not name, and U+11938, which the library does not decompose.
"""
import argparse
import json
import random
import unicodedata
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
KINDS = {  # lowercase, strip_accents, handle_chinese_chars
    "uncased": (True, None, True),
    "cased": (False, None, True),
    "accents": (True, False, True),
    "ideographs_joined": (True, None, False),
}
WORDS = """the a an of and to in is it was he she they you that with for on are as his at be this have from or one had by word
but not what all were we when your can said there use each which do how their if will up other about out many then them these
so some her would make like him into time has look two more write go see number no way could people my than first water been
call who oil its now find long down day did get come made may part over new sound take only little work know place year live
me back give most very after thing our just name good sentence man think say great where help through much before line right
too mean old any same tell boy follow came want show also around form three small set put end does another well large must
big even such because turn here why ask went men read need land different home us move try kind hand picture again change off
play spell air away animal house point page letter mother answer found study still learn should world über straße café naïve
fiancée ångström élève señor Übung Straße Café Москва москва ελληνικά Ελληνικά 中 国 你 好 日 本 語 ひらがな カタカナ 한국어""".split()
ENDINGS = "s ed ing er est ly ness ment tion able ful less y es en al ity ive ous ify ize ism ist".split()
TEXTS = [
    "", " ", "the", "The", "THE WORLD", "unhappiness", "Hello, world!", "don't stop...", "a.b,c;d:e", "$100 + 20% = ~120^2 <tag> `x|y`",
    "  many   spaces\tand\nlines\r\n", "the\u00a0world", "the\u3000world\u2003of", "the\u200bworld\u00ad of\ufeff", "zero\u200dwidth\u2060",
    "control\x00\x01\x07\x7f\x85\x0b\x0cthe", "the\ufffdworld", "private \ue000 \U000f0000use", "café CAFÉ cafe\u0301 CAFE\u0301",
    "naïve NAÏVE nai\u0308ve", "Straße STRASSE straße", "İstanbul İ ı I", "Ångström \u212bngstrom A\u030angstrom", "ǅ ǆ Ǆ", "ΑΣ ΟΔΟΣ ὈΔΥΣΣΕΎΣ ς",
    "Москва МОСКВА москва́", "中国你好 日本語です", "the中国world", "\uf900\ufa0e\U0002f800 \U00020000 \u3400", "中\u0301国", "ひらがな カタカナ ガ か\u3099",
    "한국어 \u1112\u1161\u11ab 각", "क्षि हिन्दी \u0958", "ไทย ภาษา", "العربية عَرَبِيّ", "עברית שָׁלוֹם", "emoji 😀 🤣 👨‍👩‍👧 ❤️ 1️⃣ 🇫🇷", "[CLS] the [SEP] [MASK] [UNK]",
    "[cls]", "x[MASK]y", "##s the ##", "# ## ###", "a" * 100, "a" * 101, "é" * 100, "é" * 101, "ａｂｃ ＡＢＣ １２３", "ﬁnd ﬂow", "½ ² ③",
    "¡hola! ¿qué?", "“quoted” ‘single’ — dash … «guillemets»", "https://example.org/a?b=c#d", "user@example.org", "C++ C# .NET",
    "word\u166dword \U000111c9 x", "a\u1734b \u1885 \ua9bd", "a\u302e\u302fb a\u302f\u302eb", "\U0001d15f\U0001d165", "᠎the\u180eworld",
    "x\u034f\u0301y", "e\u0301\u200d\u0301e", "the \U000e0041tag", "ẞ ŉ ǰ ΐ", "K \u212a \u2126 \u037e \u1fef",
]


def vocabulary(large):
    pieces = list(SPECIAL)
    if large:
        characters = [chr(c) for c in range(0x21, 0x110000) if usable(c)]
    else:
        characters = [chr(c) for c in range(0x21, 0x7F)] + list("àáâäåæçèéêëíïñóöøúüß’“”…—¿¡½²αβγσςοδ́абвгд日本語ㅎㅏㄴᄒ\u1161\u11ab가😀ａ")
    pieces += characters + ["##" + c for c in characters]
    if not large:
        pieces += WORDS + ["##" + ending for ending in ENDINGS] + ["[unused0]", "un", "##happi", "...", "'s"]
    return {piece: id for id, piece in enumerate(dict.fromkeys(pieces))}


def usable(c):
    """A character with a name of its own that the library knows as we do."""
    return unicodedata.category(chr(c)) not in ("Cn", "Co", "Cs") and c != 0x11938


def tokenizer(kind, vocab):
    lower, strip, ideographs = KINDS[kind]
    t = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    t.normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=ideographs, strip_accents=strip, lowercase=lower)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    t.add_special_tokens(SPECIAL)
    cls, sep = vocab["[CLS]"], vocab["[SEP]"]
    t.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", cls), ("[SEP]", sep)])
    return t


def random_text(rng):
    parts = []
    for _ in range(rng.randint(1, 12)):
        kind = rng.randrange(9)
        if kind < 2:
            parts.append(rng.choice(WORDS) + rng.choice(ENDINGS + [""]))
        elif kind == 2:
            parts.append("".join(chr(rng.randrange(0x20, 0x7F)) for _ in range(rng.randint(1, 8))))
        elif kind == 3:
            parts.append(rng.choice([" ", "  ", "\t", "\n", "\u00a0", "\u3000", "\u2028", "\u0085", "\u200b"]))
        elif kind == 4:
            parts.append("".join(chr(rng.randrange(0x300, 0x370)) for _ in range(rng.randint(1, 5))))
        elif kind == 5:
            parts.append(rng.choice(SPECIAL + ["😀", "👨‍👩‍👧", "中国", "\U0002f800", "İ", "ẞ"]))
        else:
            top = rng.choice([0x250, 0x3000, 0x3000, 0x10000, 0x1F000, 0x20000, 0x30000])
            chosen = [c for c in (rng.randrange(0x80, top) for _ in range(rng.randint(1, 8))) if usable(c)]
            parts.append("".join(map(chr, chosen)))
        if rng.random() < 0.4:
            parts.append(" ")
    return "".join(parts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--large", type=int, default=0)
    arguments = parser.parse_args()
    vocab = vocabulary(arguments.large > 0)
    rng = random.Random(12)
    texts = TEXTS + [random_text(rng) for _ in range(arguments.large or 60)]
    if arguments.large:
        every = [chr(c) for c in range(1, 0x110000) if usable(c)]
        texts += ["a" + "b".join(every[i : i + 16]) + "c" for i in range(0, len(every), 16)]
    if not arguments.large:
        lines = sorted(vocab, key=vocab.get)
        (arguments.directory / "vocab.txt").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    for kind in KINDS:
        t = tokenizer(kind, vocab)
        if arguments.large:
            t.save(str(arguments.directory / f"{kind}.tokenizer.json"), pretty=False)
        cases = []
        for text in texts:
            ids = t.encode(text).ids
            cases.append({"text": text, "ids": ids, "decoded": t.decode(ids)})
        rows = ",\n".join(json.dumps(case, ensure_ascii=True) for case in cases)
        (arguments.directory / f"{kind}.json").write_text("[\n" + rows + "\n]\n", encoding="utf-8")
    if not arguments.large:
        t = tokenizer("uncased", vocab)
        t.save(str(arguments.directory / "tokenizer.json"), pretty=False)


if __name__ == "__main__":
    main()
