#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Frames per second, and processor time for each, of bulkhead-ui with one local client and a screen of 1280 x 800
that changes everywhere before each frame. Arguments: seconds for each encoding (default 4). Told, not judged."""
import os
import random
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rfb
from screen_child import VRAM, Ui

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
W, H = 1280, 800


def pictures():
    """Like a desktop: areas of one colour, text-like patterns, a gradient, a photograph's noise in a corner."""
    out = []
    for n in range(6):
        r = random.Random(n)
        rows = []
        text = b"".join(r.choice((b"\x10\x10\x10\0", b"\xf0\xf0\xe0\0")) for _ in range(W))
        photo = r.randbytes(4 * 320)
        for y in range(H):
            base = bytes(((y * 3 + 40 * n) & 255, 60, (200 + n) & 255, 0))
            line = base * 200 + text[4 * (y * 13 % 400):4 * (y * 13 % 400) + 4 * 760] + base * (W - 960)
            if y < 240:
                line = line[:4 * (W - 320)] + photo[y % 97:] + photo[:y % 97]
            rows.append(line[:4 * W])
        out.append(b"".join(rows))
    return out


class Sink(rfb.Client):
    """Reads updates without looking at pixels."""

    def _rect(self, x, y, w, h, e):
        if e == rfb.TIGHT:
            kind = self.read(1)[0] >> 4
            if kind == 8:
                self.read(3)
                return
            if kind == 9:
                self.read(self._compact())
                return
            n = 3 * w * h
            if kind & 4:
                self.read(1)
                colours = self.read(1)[0] + 1
                self.read(3 * colours)
                n = (w + 7) // 8 * h if colours == 2 else w * h
            self.read(n if n < 12 else self._compact())
        elif e == rfb.RAW:
            self.read(4 * w * h)
        else:
            self.read(struct.unpack(">I", self.read(4))[0])


def cpu(pid):
    f = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")


def main():
    shots = pictures()
    for name, codes in (("raw", [rfb.RAW]), ("zlib", [rfb.ZLIB]), ("ZRLE", [rfb.ZRLE]), ("Tight", [rfb.TIGHT]),
                        ("Tight, JPEG quality 6", [rfb.TIGHT, -26])):
        with Ui(W, H, lossy=True) as ui, Sink(ui.address) as c:
            c.encodings(*codes)
            c.request()
            c.update()
            frames, begun, used = 0, time.monotonic(), cpu(ui.proc.pid)
            while time.monotonic() - begun < SECONDS:
                ui.mem[VRAM:VRAM + 4 * W * H] = shots[frames % len(shots)]
                c.request(True)
                c.update()
                frames += 1
            took = time.monotonic() - begun
            print(f"{name}: {frames / took:.1f} frames/s, {(cpu(ui.proc.pid) - used) / frames * 1000:.1f} ms of ui-proc each")


if __name__ == "__main__":
    main()
