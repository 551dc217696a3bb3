#!/usr/bin/env python3
"""Writes types.gguf: rows of every quantised type that is read, and what the format's own package makes of them.

    pip install gguf numpy; cd tests/golden/gguf_types; python3 make.py types.gguf

A tensor per type, named like it, of random codes under chosen scales: zeros of both signs, subnormal ones, the largest and
their negatives, and a row of ones in all bits. The field expected.TYPE has for each row the CRC-32, in hexadecimal digits, of its numbers as
little-endian floats.
"""
import sys
import zlib

import numpy as np
import gguf

K = 256
# Half-precision numbers: 0, -0, smallest and largest subnormal, 1, largest, some others, and all of them negative.
HALVES = [0x0000, 0x8000, 0x0001, 0x83ff, 0x3c00, 0x7bff, 0xfbff, 0x2e66, 0xa5a5, 0x1234, 0x9999, 0x03ff, 0x8001, 0x4d00, 0xcd00, 0x0400]
# Exponents whose largest number, 12 * 2^(e - 128), is finite.
EXPONENTS = [0, 1, 2, 127, 128, 252, 100, 3]

# Where the half-precision scales of a block lie.
SCALES = {
    "Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2],
    "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0], "MXFP4": [], "TQ1_0": [52], "TQ2_0": [64],
}


def rows_of(name, random):
    kind = gguf.GGMLQuantizationType[name]
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    rows = 4 if elements == K else 2
    blocks = np.frombuffer(random.bytes(rows * K // elements * size), dtype=np.uint8).reshape(-1, size).copy()
    blocks[-1 if elements == K else -2:] = 255
    for b, block in enumerate(blocks):
        for s, at in enumerate(SCALES[name]):
            block[at:at + 2] = np.frombuffer(np.uint16(HALVES[(7 * b + 5 * s) % len(HALVES)]).tobytes(), dtype=np.uint8)
        if name == "MXFP4":
            block[0] = EXPONENTS[b % len(EXPONENTS)]
    return kind, blocks.reshape(rows, K // elements * size)


def main():
    random = np.random.default_rng(14)
    writer = gguf.GGUFWriter(sys.argv[1], "llama")
    for name in SCALES:
        kind, rows = rows_of(name, random)
        numbers = gguf.quants.dequantize(rows, kind).astype("<f4")
        assert np.isfinite(numbers).all(), name
        writer.add_array("expected." + name, ["%08x" % zlib.crc32(row.tobytes()) for row in numbers])
        writer.add_tensor(name, rows, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
