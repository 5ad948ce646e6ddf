# SPDX-License-Identifier: Apache-2.0
"""Writes a 320x240 picture (PPM) that is always the same, from integers only."""
import sys

W, H = 320, 240
px = bytearray()
for y in range(H):
    for x in range(W):
        px += bytes(((x * x + y * y) >> 7 & 255, (x ^ y) & 255, (x * y * 3 >> 6) & 255))
sys.stdout.buffer.write(b"P6 %d %d 255\n" % (W, H) + px)
