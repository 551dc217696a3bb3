#!/usr/bin/env python3
"""A conversation of ten turns with SmolLM2-135M-Instruct, greedy, f32 weights and f32 cache: the ids of its prompts and answers
beside those of transformers on the same dequantised weights. Then one question whose answer has seven ids, with these weights and with the
file as it is, 4 bits per weight.

    ten_turns.py --thimble build/host/bin/thimble --work DIR            compares with ten_turns.json
    ten_turns.py --work DIR --record                                    makes ten_turns.json anew; needs torch, transformers, gguf

The model is the GGUF file of tests/bench/quality.py, fetched once by pip into DIR. Exit status 77 (skipped) where pip gives none.
The record has what transformers' LlamaForCausalLM says to what the model's own chat template makes of the conversation, with a
tokenizer built by the package tokenizers from the file's pieces and merges; nothing in it is ours. `ids` are the whole conversation,
`turns` where each prompt and each answer ends in it.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))
import quality  # noqa: E402

RECORD = os.path.join(HERE, "ten_turns.json")
MOST_TOKENS = 40
# With the template's own system message the first word of the answer is nearly a tie (0.08 apart in f32), which 4 bits may decide
# otherwise: they are asked with another.
QUESTION, ANSWER, ANSWER_IDS = "What is the capital of France?", "The capital of France is Paris.", 7
SYSTEM = "You are a helpful assistant who answers briefly."
SAID = ["Hello! Who are you?",
        "Name three colours of the rainbow.",
        "Which of them is the colour of the sky?",
        "What is 12 plus 30?",
        "Write one sentence about a lighthouse.",
        "Translate \"good morning\" into French.",
        "Comment ça va ? Réponds en français, s'il te plaît.",
        "List two animals that can fly.",
        "def add(a, b):\n    return a + b\n\nWhat does this function do?",
        "Thank you. Goodbye! \U0001f44b"]


def tokenizer_of(path):
    """As the model's authors publish it: digits one by one, then GPT-2's byte-level BPE."""
    import gguf
    import tokenizers
    import transformers
    from tokenizers import decoders, models, pre_tokenizers
    fields = gguf.GGUFReader(path).fields

    def texts(key):
        field = fields[key]
        return [bytes(field.parts[i]).decode("utf-8") for i in field.data]

    def text(key):
        return bytes(fields[key].parts[-1]).decode("utf-8")

    pieces = texts("tokenizer.ggml.tokens")
    kinds = [int(fields["tokenizer.ggml.token_type"].parts[i][0]) for i in fields["tokenizer.ggml.token_type"].data]
    merges = [tuple(merge.split(" ")) for merge in texts("tokenizer.ggml.merges")]
    made = tokenizers.Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges))
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                  pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    made.decoder = decoders.ByteLevel()
    control = [piece for piece, kind in zip(pieces, kinds) if kind == 3]
    made.add_special_tokens([tokenizers.AddedToken(piece, normalized=False, special=True) for piece in control])
    eos = pieces[int(fields["tokenizer.ggml.eos_token_id"].parts[-1][0])]
    bos = pieces[int(fields["tokenizer.ggml.bos_token_id"].parts[-1][0])]
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, bos_token=bos, eos_token=eos, clean_up_tokenization_spaces=False,
                                                chat_template=text("tokenizer.chat_template"))


def record(path):
    import torch
    import transformers
    tokenizer = tokenizer_of(path)
    model = transformers.AutoModelForCausalLM.from_pretrained(os.path.dirname(os.path.abspath(path)), gguf_file=os.path.basename(path),
                                                              torch_dtype=torch.float32)
    # The file has one matrix for both ends, of which this reader of GGUF files does not know.
    model.config.tie_word_embeddings = True
    model.tie_weights()
    model.eval()
    messages, ids, turns, margins = [{"role": "system", "content": SYSTEM}], [], [], []
    for said in SAID:
        messages.append({"role": "user", "content": said})
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
        if prompt[:len(ids)] != ids:
            sys.exit("the prompt of turn %d does not begin with what came before it" % (len(turns) + 1))
        answer = []
        with torch.no_grad():
            out = model(torch.tensor([prompt]), use_cache=True)
            while len(answer) < MOST_TOKENS:
                best = torch.topk(out.logits[0, -1], 2)
                margins.append(float(best.values[0] - best.values[1]))
                if int(best.indices[0]) == tokenizer.eos_token_id:
                    break
                answer.append(int(best.indices[0]))
                out = model(best.indices[:1].reshape(1, 1), past_key_values=out.past_key_values, use_cache=True)
        text = tokenizer.decode(answer, skip_special_tokens=True)
        print("> %s\n%s\n" % (said, text))
        messages.append({"role": "assistant", "content": text})
        ids = prompt + answer
        turns.append([len(prompt), len(ids)])
    print("smallest distance between the two likeliest tokens: %.4f" % min(margins))
    with open(RECORD, "w") as file:
        json.dump({"torch": torch.__version__, "transformers": transformers.__version__, "turns": turns, "ids": ids}, file)
        file.write("\n")


def ours(thimble, path, work, convert, *conversations):
    """What `thimble chat --json` tells of each conversation, (messages, options), with the file converted so."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        model = os.path.join(folder, "model.thimble")
        subprocess.run([thimble, "convert", path, "-o", model, "-q", *convert], check=True)
        for said, options in conversations:
            # A line of input is a message; a \ at its end goes on in the next.
            lines = "".join(one.replace("\n", "\\\n") + "\n" for one in said)
            run = subprocess.run([thimble, "chat", model, "--temp", "0", "-n", str(MOST_TOKENS), "--json", *options],
                                 input=lines, stdout=subprocess.PIPE, check=True, text=True)
            yield json.loads(run.stdout)


def compare(answers):
    """What differs, in words; None where nothing does."""
    with open(RECORD) as file:
        wanted = json.load(file)
    for i, ((prompt, end), answer) in enumerate(zip(wanted["turns"], answers, strict=True)):
        for what, is_, want in (("prompt", answer["prompt_ids"], wanted["ids"][:prompt]), ("answer", answer["ids"], wanted["ids"][prompt:end])):
            if is_ != want:
                at = next((k for k, (a, b) in enumerate(zip(is_, want)) if a != b), min(len(is_), len(want)))
                return "turn %d: the %s differs from id %d on: %s, transformers has %s" % (i + 1, what, at, is_[at:at + 8], want[at:at + 8])
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thimble")
    parser.add_argument("--work", required=True, help="folder for the model; 700 MB are needed while it runs")
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    os.makedirs(args.work, exist_ok=True)
    path = quality.fetch(args.work)
    if args.record:
        record(path)
        return
    if not args.thimble:
        parser.error("--thimble is needed to compare")
    turns, in_floats = ours(args.thimble, path, args.work, ("--weights", "f32"), (SAID, ("--system", SYSTEM, "--kv", "f32")),
                            ([QUESTION], ("-c", "512", "--kv", "f32")))
    in_4_bits, = ours(args.thimble, path, args.work, (), ([QUESTION], ("-c", "512", "--system", "You are a helpful assistant.")))
    different = compare(turns["answers"])
    if different:
        sys.exit(different)
    print("ten turns: all ids are those of transformers")
    for said in in_floats, in_4_bits:
        answer = said["messages"][-1]["content"], len(said["answers"][0]["ids"])
        if answer != (ANSWER, ANSWER_IDS):
            sys.exit("%s: %r, %d ids; wanted %r, %d" % (QUESTION, *answer, ANSWER, ANSWER_IDS))
    print("%s %s %d ids" % (QUESTION, ANSWER, ANSWER_IDS))


if __name__ == "__main__":
    main()
