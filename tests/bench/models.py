"""Models of one shape for both runtimes: random weights, written once into a work folder. Knows no measurements."""
import os
import subprocess
import sys

import family_gguf

PEER_TYPES = {"q4": "Q4_0", "q8": "Q8_0"}


def log(text):
    print(text, file=sys.stderr, flush=True)


def thimble_model(program, work, shape, weights, runner=(), positions=0, head=None):
    """A .thimble file of the shape; with `positions` for a context of that many tokens, else of the shape's own; `head`: its type."""
    path = os.path.join(work, "%s-%s%s%s.thimble" % (shape, weights, "-%d" % positions if positions else "", "-head-" + head if head else ""))
    if not os.path.exists(path):
        log("writing " + path)
        subprocess.run(list(runner) + [program, "convert", "--shape", shape, "--weights", weights, "-o", path, "-q",
                        "--positions", str(positions)] + (["--keep-head", head] if head else []), check=True)
    return path


def packed_model(program, path, runner=(), name="packed"):
    """`path` rewritten by `thimble pack` for the CPU it runs on, or `path` where there is no such command."""
    packed = path.replace(".thimble", "-%s.thimble" % name)
    if not os.path.exists(packed) or os.path.getmtime(packed) < os.path.getmtime(path):
        run = subprocess.run(list(runner) + [program, "pack", path, "-o", packed], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        if run.returncode != 0:
            return path
    return packed


def peer_model(peer, scripts, work, shape, weights):
    """A GGUF file of the shape with as many bits as `weights`."""
    return gguf_model(peer, scripts, work, shape, PEER_TYPES[weights])


# Runs make_gguf.py, with shapes that it does not know.
MAKE = "import sys; sys.path.insert(0, sys.argv.pop(1)); import make_gguf; make_gguf.SHAPES.update(eval(sys.argv.pop(1))); make_gguf.main()"


def gguf_model(peer, scripts, work, shape, kind, layers=None, shape_of=None):
    """A GGUF file of the shape, quantised to a type by the peer's own tool; None where the peer's scripts do not know the shape. Layers: fewer
    than the shape has. shape_of: what make_gguf.py's SHAPES would say of it."""
    name = shape if layers is None else "%s-%d-layers" % (shape, layers)
    path = os.path.join(work, "%s-%s.gguf" % (name, kind))
    if os.path.exists(path):
        return path
    if shape in family_gguf.SHAPES:  # in 4 bits only
        if kind != "Q4_0":
            return None
        log("writing " + path)
        subprocess.run([sys.executable, family_gguf.__file__, shape, path + ".part"], check=True)
        os.replace(path + ".part", path)
        return path
    source = os.path.join(work, name + "-F16.gguf")
    if not os.path.exists(source):
        if not scripts:
            return None
        run = subprocess.run([sys.executable, "-c", MAKE, scripts, repr({shape: shape_of} if shape_of else {}), shape, source + ".part"] +
                             (["--layers", str(layers)] if layers else []), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if run.returncode != 0:
            return None
        os.replace(source + ".part", source)
    log("writing " + path)
    subprocess.run([peer, "llama-quantize", source, path + ".part", kind], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    os.replace(path + ".part", path)
    return path


def carried_model(program, gguf, runner=()):
    """The same weights in the same bits as a .thimble file."""
    path = gguf.replace(".gguf", "-as-is.thimble")
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(gguf):
        log("writing " + path)
        subprocess.run(list(runner) + [program, "convert", gguf, "-o", path, "--weights", "as-is", "--no-tokenizer", "-q"], check=True)
    return path
