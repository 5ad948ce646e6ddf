# SPDX-License-Identifier: Apache-2.0
"""Writes KIB KiB of bytes that are always the same: text-like, so that compressors have something to do."""
import random
import sys

r = random.Random(20)
words = ["".join(r.choices("abcdefghijklmnopqrstuvwxyz", k=r.randint(2, 9))) for _ in range(500)]
out = bytearray()
while len(out) < int(sys.argv[1]) * 1024:
    out += (" ".join(r.choices(words, k=12)) + f" {r.getrandbits(32)}\n").encode()
sys.stdout.buffer.write(out[: int(sys.argv[1]) * 1024])
