#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Viewers from Debian's packages against bulkhead-ui: gvnccapture's picture, and what tigervnc's viewer shows under
Xvfb with each encoding, pixel for pixel; a key typed into its window; the VNC password."""
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import screen
import tap
from screen_child import Ui


def need(*programs):
    for p in programs:
        if not shutil.which(p):
            raise tap.Skip(f"{p} is not installed")


def paint(ui):
    r = random.Random(3)
    w, h = ui.width, ui.height
    ui.draw(0, 0, w, h, b"\x60\x40\x20\0" * (w * h))
    for i in range(40):
        x, y, pw, ph = r.randrange(w - 90), r.randrange(h - 60), r.randrange(5, 90), r.randrange(5, 60)
        palette = [r.randbytes(3) + b"\0" for _ in range(r.choice((1, 2, 3, 9, 200)))]
        ui.draw(x, y, pw, ph, b"".join(r.choice(palette) for _ in range(pw * ph)))


def gvnccapture_sees_the_screen():
    need("gvnccapture")
    with Ui() as ui, tempfile.TemporaryDirectory() as tmp:
        paint(ui)
        out = os.path.join(tmp, "a.png")
        display = f"127.0.0.1:{ui.address[1] - 5900}"
        r = subprocess.run(["gvnccapture", "-q", display, out], capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stderr
        screen.same(screen.png(open(out, "rb").read()), ui.picture())


class Xvfb:
    def __init__(self, directory):
        r, w = os.pipe()
        self.shot = os.path.join(directory, "Xvfb_screen0")
        self.proc = subprocess.Popen(["Xvfb", "-displayfd", str(w), "-screen", "0", "800x600x24", "-fbdir", directory,
                                      "-nolisten", "tcp", "-noreset"], pass_fds=(w,), stderr=subprocess.DEVNULL)
        os.close(w)
        with os.fdopen(r) as f:
            self.name = ":" + f.readline().strip()

    def picture(self):
        """RGB rows of the X screen: an XWD file that Xvfb keeps mapped."""
        import struct
        data = open(self.shot, "rb").read()
        head = struct.unpack(">25I", data[:100])
        w, h, line, colours = head[4], head[5], head[12], head[19]
        at = head[0] + 12 * colours
        out = bytearray(3 * w * h)
        for y in range(h):
            row = data[at + y * line:at + y * line + 4 * w]
            out[3 * w * y:3 * w * (y + 1):3] = row[2::4]
            out[3 * w * y + 1:3 * w * (y + 1):3] = row[1::4]
            out[3 * w * y + 2:3 * w * (y + 1):3] = row[0::4]
        return w, h, bytes(out)

    def close(self):
        self.proc.terminate()
        self.proc.wait(10)


def shown(x, picture):
    """Is the picture somewhere on the X screen?"""
    w, h, rgb = picture
    sw, sh, s = x.picture()
    first = rgb[:3 * w]
    at = s.find(first)
    while at >= 0:
        if at % 3 == 0 and at // 3 % sw + w <= sw and at // 3 // sw + h <= sh:
            if all(s[at + 3 * sw * y:at + 3 * sw * y + 3 * w] == rgb[3 * w * y:3 * w * (y + 1)] for y in range(h)):
                return True
        at = s.find(first, at + 1)
    return False


def tigervnc_shows_every_encoding():
    need("vncviewer", "Xvfb")
    with tempfile.TemporaryDirectory() as tmp:
        x = Xvfb(tmp)
        env = dict(os.environ, DISPLAY=x.name, HOME=tmp)
        try:
            for encoding in ("Raw", "Hextile", "ZRLE", "Tight"):
                with Ui(400, 300) as ui:
                    paint(ui)
                    v = subprocess.Popen(["vncviewer", "-AutoSelect=0", f"-PreferredEncoding={encoding}", "-NoJPEG=1",
                                          "-FullColor=1", "-RemoteResize=0", "-DotWhenNoCursor=0", "-Shared=1",
                                          f"127.0.0.1::{ui.address[1]}"], env=env, stdout=subprocess.PIPE,
                                         stderr=subprocess.STDOUT)
                    try:
                        dc.until(30, f"tigervnc shows the screen ({encoding})", lambda: shown(x, ui.picture()),
                                 lambda: time.sleep(0.2))
                        paint2 = bytes([10, 200, 30, 0]) * (64 * 40)
                        ui.draw(33, 44, 64, 40, paint2)
                        dc.until(30, f"and what changes ({encoding})", lambda: shown(x, ui.picture()),
                                 lambda: time.sleep(0.2))
                    finally:
                        v.kill()
                        v.wait(10)
        finally:
            x.close()


def password_file_opens():
    need("vncviewer", "Xvfb")
    # d3des of tigervnc's fixed key over "secret": what `vncpasswd -f` writes
    import subprocess as sp
    key = bytes(int(f"{b:08b}"[::-1], 2) for b in bytes([23, 82, 107, 6, 35, 78, 88, 7]))
    out = sp.run(["openssl", "enc", "-des-ecb", "-nopad", "-K", key.hex(), "-provider", "legacy", "-provider", "default"],
                 input=b"secret\0\0", capture_output=True)
    with tempfile.TemporaryDirectory() as tmp:
        x = Xvfb(tmp)
        path = os.path.join(tmp, "pw")
        open(path, "wb").write(out.stdout)
        try:
            with Ui(400, 300, password=True) as ui:
                ui.send("VNC_PASSWORD", dc.field(1, "secret") + dc.field(2, 0))
                paint(ui)
                v = sp.Popen(["vncviewer", "-PasswordFile", path, "-NoJPEG=1", "-RemoteResize=0", "-DotWhenNoCursor=0",
                              f"127.0.0.1::{ui.address[1]}"],
                             env=dict(os.environ, DISPLAY=x.name, HOME=tmp), stdout=sp.DEVNULL, stderr=sp.DEVNULL)
                try:
                    dc.until(30, "the screen behind the password", lambda: shown(x, ui.picture()), lambda: time.sleep(0.2))
                finally:
                    v.kill()
                    v.wait(10)
        finally:
            x.close()


if __name__ == "__main__":
    dc.program("bulkhead-ui")
    tap.main(gvnccapture_sees_the_screen, tigervnc_shows_every_encoding, password_file_opens)
