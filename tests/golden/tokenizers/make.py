#!/usr/bin/env python3
"""Writes the small tokenizers of this folder and what the library `tokenizers` makes of texts with them.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3 && python3 make.py

Each folder is laid out as a published model of its kind, with a vocabulary learnt from the texts below. cases.json: text,
its ids with special pieces read as text, "special" the ids with them read as themselves where those differ, and the text
that the ids decode into. splits.json: how every pattern cuts texts into words, in bytes.
"""
import base64
import io
import json
import os
import struct
import sys
import tempfile
import unicodedata

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "toolchains"))
from generated_texts import Texts  # noqa: E402

LEARNT = ["The quick brown fox jumps over the lazy dog.", "She said: I'll be there, don't wait! It's 1984 or 2024.", "for (int i = 0; i < 10; ++i) { sum += i; }",
          "Größe, Straße, naïve, café, façade, Ærøskøbing", "Съешь ещё этих мягких французских булок, да выпей чаю", "日本語のテキスト 中文文本 한국어 텍스트",
          "हिन्दी में लिखा हुआ पाठ  বাংলা ภาษาไทย", "Ελληνικά κείμενα και العربية", "\u00f5\u00f7\u00c1 \u00e3\u00f5es and \u00fd\u00fc\u00fb", "\n\n\t\tindented    by    spaces\n\n"] * 3
TEXTS = ["", "Hello world", " Hello  world ", "I'll say: don't!", "12345 6 789", "\t\r\n\n  x", "é e\u0301 \u0065\u0327\u0301", "\U0001f600\u200d\u2764\ufe0f", "日本語のテキスト",
         # Unicode 16: letters, digits, marks, symbols; 9: combining classes and compositions.
         " \u1c89\u1c8a.a", "\ua7cb\ua7da \u0897x", " \U00010d40\U00010d41\U00010d4a", "\U00011380\U000113b8 \U00016d40\U00016d70", "\u2427\u31e4\u2ffc \U0001faea",
         "a\u07fd\u0327", "a\u0327\u0c3c", "a\u1df6\u0327", "a\u0898\u0327", "\U00011935\U00011930 \U00011938", "a\u0323\u0307\u0301",
         # Literal U+2581.
         " \u2581\u2581", "\u2581\u2581 ", "a \u2581\u2581\u2581 b", "\u2581", "x\u2581y", "\u2581\u2581\u2581\u2581\u2581", " \u2581 \u2581\u2581  ",
         "    four  two   three", "\n\n\n", "\t\t\t", "õ÷ÁýÀÿ ãõ", "\x00\x7f\ufffd"]
PATTERN = {
    "gpt2": [r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"],
    "llama3": [r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "qwen2": [r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "bailing": [r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"],
    "o200k": [r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "tekken": [r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "kimi_k2": [r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "qwen35": [r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "seed_coder": [r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "ufakzeka": [r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "jais2": [r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}"],
    "exaone_moe": [r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"],
    "bloom": [" ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+"],
    "deepseek_coder": ["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+", "digits"],
    "deepseek3": [r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
                  "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"],
    "superbpe": [r"\p{N}+", r"(?=(\d{3})+(?!\d))"],
}
PATTERN["starcoder"] = ["digits"] + PATTERN["gpt2"]
PATTERN["viking"] = [" ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+", "digits"]
PATTERN["laguna"] = [r"[^\n]+|[\n]+"] + PATTERN["qwen2"]
PATTERN["minicpm5"] = [r"\p{N}{1,3}", PATTERN["llama3"][0].replace(r"\p{N}{1,3}", r"\p{N}+")]
PATTERN["tiny_aya"] = [r"\d{1,3}(?=(?:\d{3})*\b)"] + PATTERN["o200k"]
PATTERN["youtu"] = ["[\uac00-\ud7a3\u3131-\u318e]+|[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c\u3001-\u303f\ufe30-\ufe4f]+|[\u3105-\u312f]+|[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
                    PATTERN["o200k"][0].replace(r"\p{N}{1,3}", r"\p{N}")]
PATTERN["spark25"] = PATTERN["deepseek3"][:2] + [PATTERN["deepseek3"][2].replace("[\r\n]*|\\s*[\r\n]+", "|[\r\n]"), r"\p{N}"]
PATTERN["chameleon"] = ["<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", "([\\t\\n]|    |  )", "digits", "punctuation"] + PATTERN["gpt2"]
SPLIT_TEXTS = TEXTS + ["HTMLParser's XMLa ABCs 1234 //\n\naB\u0301c", "(foo) 1234 \u4f60\u597dx\u0301y", "a b\n12\u4f60\u597d!", "IT'S it'ſ x'LL'", "1234567 12345a 1234_ 123\u00b2 \u0661\u0662\u0663\u0664",
                       "12\u00b2345 1\u00bd", "IMGIMGABCZ <sentinel:12> IMGIMGZ", "!\n\n/ ..\r\n a/b//", "one two  three,four", "\u0301\u0301a \u0301", "\uff01\u2026\u3001\u3105\u3106 \ud55c\uad6d",
                       "\u3007\u4e2d1\u3007 \u4e2dabc\u2e80", "x" + " " * 7 + "y" + " " * 11 + "\n" + " " * 5, " " * 700 + "z", "``a``"]


def step(pattern, removed=False):
    if pattern == "digits":
        return {"type": "Digits", "individual_digits": True}
    if pattern == "punctuation":
        return {"type": "Punctuation", "behavior": "Isolated"}
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed" if removed else "Isolated", "invert": removed}


def byte_level(prefix=False, regex=False):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def added(id_, content, special=False, **more):
    return dict({"id": id_, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": special}, **more)


def shell(pre_tokenizer, model, normalizer=None, decoder=None, post=None):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": normalizer, "pre_tokenizer": pre_tokenizer,
            "post_processor": post, "decoder": decoder, "model": model}


def learn_bytes(pieces, steps, **more):
    """A byte-level vocabulary of so many pieces."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=pieces, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    tokenizer.train_from_iterator(LEARNT, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    model["merges"] = [" ".join(merge) for merge in model["merges"]]
    model.update(more)
    return shell({"type": "Sequence", "pretokenizers": steps + [byte_level()]}, model, decoder=byte_level())


def learn_characters(pieces, leave_out=(), first=(), fuse=True):
    """Byte fallback: special pieces, bytes, characters and what they merge into."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    trainer = trainers.BpeTrainer(vocab_size=pieces, show_progress=False, limit_alphabet=150)
    tokenizer.train_from_iterator(LEARNT + ["a" + " " * 9 + "b"] * 3, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    names = list(first) + ["<0x%02X>" % byte for byte in range(256) if byte not in leave_out]
    names += [piece for piece in sorted(model["vocab"], key=model["vocab"].get) if piece not in names]
    model.update(vocab={name: i for i, name in enumerate(names)}, unk_token="<unk>", byte_fallback=True, fuse_unk=fuse)
    decoder = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]}
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    return shell(None, model, normalizer=replace, decoder=decoder)


def in_front(name, id_):
    return {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": name, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"SpecialToken": {"id": name, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {name: {"id": name, "ids": [id_], "tokens": [name]}}}


def qwen():
    file = learn_bytes(400, [step(PATTERN["qwen2"][0])])
    file["normalizer"] = {"type": "NFC"}
    file["added_tokens"] = [added(400, "<|endoftext|>", True), added(401, "<|im_start|>", True), added(402, "<|im_end|>", True), added(403, "<tool_call>"),
                            added(404, "</tool_call>"), added(405, "<think>"), added(406, "</think>")]
    return file, {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "bos_token": None, "add_bos_token": False}, {"eos_token_id": [402, 400], "pad_token_id": 400}


def gptoss():
    file = learn_bytes(400, [step(PATTERN["o200k"][0], removed=True)], ignore_merges=True)
    names = ["<|startoftext|>", "<|endoftext|>", "<|return|>", "<|constrain|>", "<|channel|>", "<|start|>", "<|end|>", "<|message|>", "<|call|>"]
    file["added_tokens"] = [added(400 + i, name, True) for i, name in enumerate(names)]
    return file, {"bos_token": "<|startoftext|>", "eos_token": "<|return|>", "pad_token": "<|endoftext|>"}, {"bos_token_id": 400, "eos_token_id": [402, 401, 408]}


def llama3():
    file = learn_bytes(400, [step(PATTERN["llama3"][0])], ignore_merges=True)
    names = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>"]
    file["added_tokens"] = [added(400 + i, name, True) for i, name in enumerate(names)]
    file["post_processor"] = {"type": "Sequence", "processors": [byte_level(True, True), in_front(names[0], 400)]}
    return file, {"bos_token": names[0], "eos_token": names[5]}, {"bos_token_id": 400, "eos_token_id": [401, 404, 405]}


def smollm2():
    file = learn_bytes(400, [])
    file["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level(regex=True)]}
    file["added_tokens"] = [added(400, "<|endoftext|>", True), added(401, "<|im_start|>", True), added(402, "<|im_end|>", True), added(403, "<repo_name>", True)]
    return file, {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}, {"eos_token_id": 402}


def gemma():
    """Byte <0x09> is not there, the tab is; runs of U+2581, tabs and line ends are added tokens, "</s>" is an HTML tag."""
    names = ["<pad>", "<eos>", "<bos>", "<unk>", "<unused0>", "</s>", "<b>", "<start_of_turn>", "<end_of_turn>"]
    runs = ["\n" * n for n in range(1, 4)] + ["\u2581" * n for n in range(2, 9)] + ["\t" * n for n in range(1, 4)]
    file = learn_characters(420, leave_out=(9,), first=names + runs)
    vocab = file["model"]["vocab"]
    for piece in ("\u2581",):
        vocab.setdefault(piece, len(vocab))
    merges = file["model"]["merges"]
    file["model"]["merges"] = [["\u2581" * n, "\u2581" * m] for n in range(1, 5) for m in range(1, 5) if n + m <= 8] + [
        merge for merge in merges if set("".join(merge)) != {"\u2581"}]
    file["pre_tokenizer"] = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    file["post_processor"] = in_front("<bos>", 2)
    specials = {"<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"}
    file["added_tokens"] = [added(vocab[name], name, name in specials) for name in names + runs]
    config = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>", "add_bos_token": True}
    return file, config, {"bos_token_id": 2, "eos_token_id": [1, 8], "pad_token_id": 0}


def llama2(fuse=True):
    """A space in front of every text, and tokens that a fine-tuning added: not special, and looked for in normalised text."""
    file = learn_characters(420, first=["<unk>", "<s>", "</s>"], leave_out=() if fuse else (0xe4, 0xf0), fuse=fuse)
    count = len(file["model"]["vocab"])
    prepend = {"type": "Prepend", "prepend": "\u2581"}
    file["normalizer"] = {"type": "Sequence", "normalizers": [prepend, file["normalizer"]]}
    file["decoder"]["decoders"].append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    file["post_processor"] = in_front("<s>", 1)
    file["added_tokens"] = [added(0, "<unk>", True), added(1, "<s>", True), added(2, "</s>", True), added(count, "<tool>"), added(count + 1, "<left>", lstrip=True),
                            added(count + 2, "<right>", True, rstrip=True), added(count + 3, "[PAD]", normalized=True)]
    return file, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}, {"eos_token_id": 2}


def mistral():
    """Metaspace: a space in front of the first text only, and no space where one stands."""
    file, config, generation = llama2(fuse=False)
    file["normalizer"] = None
    file["pre_tokenizer"] = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": False}
    return file, config, generation


def deepseek_coder():
    """The bytes that no UTF-8 has are added tokens, spelled like letters that are pieces, too."""
    file = learn_bytes(400, [step(part) for part in PATTERN["deepseek_coder"]])
    vocab = file["model"]["vocab"]
    rare = [name for name in "\u00f5\u00f7\u00c1\u00fd\u00c0\u00ff" if name in vocab]
    for name in rare:
        del vocab[name]
    for i, name in enumerate(sorted(vocab, key=vocab.get)):
        vocab[name] = i
    for spelled in ("\u00c3\u00b5", "\u00c3\u00bd"):  # what the letters are in the alphabet of bytes
        if spelled not in vocab:
            vocab[spelled] = len(vocab)
            file["model"]["merges"].append(" ".join(spelled))
    top = len(vocab)
    file["normalizer"] = {"type": "Sequence", "normalizers": []}
    file["added_tokens"] = [added(top + i, name, normalized=True) for i, name in enumerate(rare)]
    top += len(rare)
    file["added_tokens"] += [added(top, "<\uff5cbegin\u2581of\u2581sentence\uff5c>", True, normalized=True), added(top + 1, "<\uff5cUser\uff5c>", normalized=True),
                             added(top + 2, "<|EOT|>", True, normalized=True)]
    file["model"]["merges"].insert(0, "#version: 0.2")
    return file, {"bos_token": file["added_tokens"][-3]["content"], "eos_token": "<|EOT|>", "add_bos_token": True}, {"eos_token_id": top + 2}


def neox():
    """Runs of spaces are added tokens, and pieces by another id."""
    file = learn_bytes(400, [])
    file["pre_tokenizer"] = byte_level(regex=True)
    file["normalizer"] = {"type": "NFC"}
    vocab = file["model"]["vocab"]
    if "\u0120\u0120" not in vocab:
        vocab["\u0120\u0120"] = len(vocab)
        file["model"]["merges"].append("\u0120 \u0120")
    count = len(vocab)
    file["added_tokens"] = [added(count, "<|endoftext|>", True)] + [added(count + n - 1, " " * n, normalized=True) for n in range(2, 6)]
    return file, {"eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>"}, {"eos_token_id": count}


def character_map(without=()):
    """White space of all kinds, some compatibility forms and accents, as SentencePiece compiles its map."""
    import sentencepiece
    rules = {chr(code): " " for code in [9, 10, 11, 12, 13, 0x85, 0xa0, 0x1680, *range(0x2000, 0x200b), 0x2028, 0x2029, 0x202f, 0x205f, 0x3000] if code not in without}
    rules.update({chr(code): "" for code in [*range(1, 9), 0x200b, 0xfeff]})
    for code in [*range(0xa8, 0x180), *range(0x2460, 0x2474), *range(0xff01, 0xff5f), 0xfdfa]:
        normal = unicodedata.normalize("NFKC", chr(code))
        if normal != chr(code):
            rules[chr(code)] = normal
        if len(unicodedata.normalize("NFD", chr(code))) == 2:
            rules[unicodedata.normalize("NFD", chr(code))] = chr(code)
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        for source, target in sorted(rules.items()):
            file.write("%s\t%s\n" % (" ".join("%X" % ord(c) for c in source), " ".join("%X" % ord(c) for c in target)))
        file.flush()
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(LEARNT), model_writer=model, model_type="unigram", vocab_size=300,
                                                 normalization_rule_tsv=file.name, hard_vocab_limit=False, minloglevel=2)

    def fields(data):
        at = 0

        def number():
            nonlocal at
            value, shift = 0, 0
            while True:
                byte = data[at]
                at += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value
        while at < len(data):
            key = number()
            if key & 7 == 2:
                size = number()
                yield key >> 3, data[at:at + size]
                at += size
            elif key & 7 == 0:
                number()
            else:
                at += 8 if key & 7 == 1 else 4
    spec = next(value for field, value in fields(model.getvalue()) if field == 3)
    return base64.b64encode(next(value for field, value in fields(spec) if field == 2)).decode()


def learn_unigram(steps, pre_tokenizer, without=()):
    """Scores of pieces, runs of letters and of spaces among them, so that ties between cuts come up."""
    precompiled = {"type": "Precompiled", "precompiled_charsmap": character_map(without)}
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = Tokenizer.from_str(json.dumps(shell(None, {"type": "Unigram", "unk_id": None, "vocab": []}, normalizer=precompiled))).normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer.train_from_iterator(LEARNT + ["aaaa aaa bbbb"] * 3, trainers.UnigramTrainer(vocab_size=400, special_tokens=names, unk_token="<unk>", show_progress=False))
    model = json.loads(tokenizer.to_str())["model"]
    have = {piece for piece, _ in model["vocab"]}
    model["vocab"] += [[piece, -6.5 - i / 8] for i, piece in enumerate(["aa", "aaa", "bb", "\u2581"]) if piece not in have]
    for entry in model["vocab"]:  # SentencePiece, from which published files come, has floats
        entry[1] = struct.unpack("f", struct.pack("f", entry[1]))[0]
    count = len(model["vocab"])
    model["vocab"].append(["<mask>", 0.0])
    file = shell(pre_tokenizer, model, normalizer={"type": "Sequence", "normalizers": [precompiled] + steps} if steps else precompiled,
                 decoder={"type": "Metaspace", "replacement": "\u2581", "add_prefix_space": True})
    file["added_tokens"] = [added(i, name, True) for i, name in enumerate(names)] + [added(count, "<mask>", True, lstrip=True)]
    return file, {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}, {"eos_token_id": 2}


METASPACE = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}


def runs(content):
    return {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": content}


def xlm_roberta():
    """Cut at white space, and every word gets a space in front."""
    old = {"type": "Metaspace", "replacement": "\u2581", "add_prefix_space": True}
    file, config, generation = learn_unigram([], {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, old]})
    file["post_processor"] = {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": True, "add_prefix_space": True}
    return file, config, generation


def e5():
    """The same with white space that the character map leaves alone, as published maps do with U+0085."""
    steps = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, METASPACE]}
    return learn_unigram([], steps, without=(9, 0x85, 0x2003, 0x2028))


def white_space():
    """The same without a character map."""
    file, config, generation = e5()
    file["normalizer"] = None
    return file, config, generation


def t5():
    """The end is stripped, then runs of spaces become one."""
    return learn_unigram([{"type": "Strip", "strip_left": False, "strip_right": True}, runs("\u2581")], METASPACE)


def bge_m3():
    """Runs of spaces become one, and one stays at the end."""
    return learn_unigram([runs(" ")], METASPACE)


def without_names(file):
    """The same where no text becomes a special piece by its name, which unigram's model finds even if it is read as text."""
    file = json.loads(json.dumps(file))
    if file["model"]["type"] == "Unigram":
        for token in file["added_tokens"]:
            file["model"]["vocab"][token["id"]][0] = "\ue000%d" % token["id"]
    file["added_tokens"] = []
    file["post_processor"] = None
    return Tokenizer.from_str(json.dumps(file))


def cases(file):
    tokenizer = Tokenizer.from_str(json.dumps(file))
    plain = without_names(file) if file["model"]["type"] == "Unigram" else tokenizer
    specials = [token["content"] for token in file["added_tokens"]]
    texts = TEXTS + ["a%sb %s c" % (name, name) for name in specials[:16]] + ["".join(specials[:4])]
    generator = Texts(15, specials)
    texts += [text for text in (generator.text() for _ in range(60)) if len(text) < 60]
    if plain is not tokenizer:  # where the reference loses accents, or does not see them: see the converter's unigram_json.cc
        texts = [text for text in texts if not any(unicodedata.combining(a) and unicodedata.combining(b) for a, b in zip(text, text[1:]))]
    rows = []
    for text in texts:
        tokenizer.encode_special_tokens = True
        ids = plain.encode(text, add_special_tokens=False).ids
        tokenizer.encode_special_tokens = False
        row = {"text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=True)}
        # Added tokens spelled like bytes are shown as those bytes, which are no UTF-8; ours are shown as they are spelled.
        if "\ufffd" in row["decoded"] and "\ufffd" not in text:
            row["decoded"] = text
        if plain is not tokenizer and 3 in ids:  # which the reference leaves out, and we show
            del row["decoded"]
        special = tokenizer.encode(text, add_special_tokens=False).ids
        if special != ids:
            row["special"] = special
            if "\ufffd" not in tokenizer.decode(special) and "decoded" in row:
                row["special_decoded"] = tokenizer.decode(special, skip_special_tokens=True)
        rows.append(row)
    return rows


def words(name):
    steps = [step(part) for part in PATTERN[name]] + [byte_level()]
    if name == "chameleon":  # whose last step has this pattern by itself
        steps[-2:] = [byte_level(regex=True)]
    split = pre_tokenizers.Sequence([make_step(part) for part in PATTERN[name]])
    rows = []
    generator = Texts(sum(map(ord, name)))
    texts = SPLIT_TEXTS + [text for text in (generator.text() for _ in range(30)) if len(text) < 50]
    for text in texts:
        ends = [len(text[:end].encode()) for _, (_, end) in split.pre_tokenize_str(text)]
        rows.append([text, ends])
    return {"steps": steps, "texts": rows}


def make_step(part):
    if part == "digits":
        return pre_tokenizers.Digits(individual_digits=True)
    if part == "punctuation":
        return pre_tokenizers.Punctuation(behavior="isolated")
    return pre_tokenizers.Split(Regex(part), behavior="isolated")


def write(path, value, indent=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        if isinstance(value, list):
            file.write("[\n" + ",\n".join(json.dumps(row, ensure_ascii=True) for row in value) + "\n]\n")
        else:
            json.dump(value, file, ensure_ascii=True, indent=indent, separators=(",", ":") if indent is None else None)
            file.write("\n")


def main():
    only = sys.argv[1:]  # the names of folders; none: all
    for make in (qwen, gptoss, llama3, smollm2, gemma, llama2, mistral, deepseek_coder, neox, xlm_roberta, e5, white_space, t5, bge_m3):
        if only and make.__name__ not in only:
            continue
        file, config, generation = make()
        folder = os.path.join(HERE, make.__name__)
        write(os.path.join(folder, "tokenizer.json"), file)
        write(os.path.join(folder, "tokenizer_config.json"), config)
        write(os.path.join(folder, "generation_config.json"), generation)
        write(os.path.join(folder, "cases.json"), cases(file))
    if not only:
        write(os.path.join(HERE, "splits.json"), [dict(words(name), name=name) for name in sorted(PATTERN)])


if __name__ == "__main__":
    main()
