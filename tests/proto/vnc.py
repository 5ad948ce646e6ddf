#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The RFB server of bulkhead-ui: versions, security, every encoding in several pixel formats pixel for pixel,
changes of size, input, several clients, share policies."""
import os
import random
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import rfb
import screen
import tap
from screen_child import Ui

KEY, MOVE, BUTTON, WHEEL = 1, 2, 3, 4


def noise(n, seed):
    r = random.Random(seed)
    out = bytearray(r.randbytes(4 * n))
    out[3::4] = bytes(n)
    return bytes(out)


def collage(ui):
    """Every kind of tile: one colour, two, sixteen, two hundred, runs, noise."""
    w, h, r = ui.width, ui.height, random.Random(5)
    ui.draw(0, 0, w, h, b"\x40\x30\x20\0" * (w * h))
    for i, colours in enumerate((2, 3, 5, 16, 17, 200)):
        palette = [r.randbytes(3) + b"\0" for _ in range(colours)]
        ui.draw(70 * i, 10, 66, 70, b"".join(r.choice(palette) for _ in range(66 * 70)))
        ui.draw(70 * i, 100, 66, 70, b"".join(palette[(k // 9) % colours] for k in range(66 * 70)))
    ui.draw(100, 200, 150, 130, noise(150 * 130, 1))
    ui.draw(w - 7, h - 5, 7, 5, noise(35, 2))


def versions_and_pictures():
    with Ui() as ui:
        collage(ui)
        for minor in (3, 7, 8):
            with rfb.Client(ui.address, minor) as c:
                assert (c.width, c.height) == (640, 400) and c.name == "Bulkhead (test)", c.name
                c.request()
                c.update()
                screen.same(c.picture(), ui.picture())
        with socket.create_connection(ui.address) as s:
            s.sendall(b"GET / HTTP/1.1\r\n\r\n")
            s.settimeout(5)
            assert s.recv(12) == b"RFB 003.008\n" and s.recv(1) == b"", "not RFB: dropped"


def reduced(picture, maxes):
    w, h, rgb = picture
    out = bytearray(rgb)
    for k, m in enumerate(maxes):
        table = bytes(((v * m + 127) // 255) * 255 // m for v in range(256))
        out[k::3] = out[k::3].translate(table)
    return w, h, bytes(out)


FORMATS = [(32, 24, 0, (255, 255, 255), (16, 8, 0)), (32, 24, 1, (255, 255, 255), (0, 8, 16)),
           (32, 24, 0, (255, 255, 255), (24, 16, 8)), (16, 16, 0, (31, 63, 31), (11, 5, 0)),
           (16, 16, 1, (31, 31, 31), (10, 5, 0)), (8, 8, 0, (7, 7, 3), (5, 2, 0))]


def encodings_and_formats():
    with Ui() as ui:
        collage(ui)
        for encoding in (rfb.RAW, rfb.HEXTILE, rfb.ZLIB, rfb.ZRLE, rfb.TIGHT):
            for fmt in FORMATS:
                with rfb.Client(ui.address) as c:
                    c.set_format(*fmt)
                    c.encodings(encoding)
                    c.request()
                    rects = c.update()
                    assert {r[4] for r in rects} == {encoding}, rects
                    try:
                        screen.same(c.picture(), reduced(ui.picture(), fmt[3]))
                    except AssertionError as e:
                        raise AssertionError(f"encoding {encoding}, format {fmt}: {e}") from None


def changes_are_sent_and_nothing_else():
    with Ui() as ui, rfb.Client(ui.address) as a, rfb.Client(ui.address) as b:
        collage(ui)
        for c, e in ((a, rfb.ZRLE), (b, rfb.TIGHT)):
            c.encodings(e)
            c.request()
            c.update()
        for n in range(20):
            x, y = 31 * n % 600, 17 * n % 380
            ui.draw(x, y, 20, 10, noise(200, n))
            for c in (a, b):
                c.request(True)
                area = sum(r[2] * r[3] for r in c.update())
                assert area <= 4 * 64 * 16, area
        for c in (a, b):
            dc.until(5, "the pictures agree", lambda c=c: c.picture() == ui.picture() or (c.request(True), c.update()) and False)
        a.request(True)
        a.sock.settimeout(0.5)
        try:
            a.update()
            raise AssertionError("an update without a change")
        except (TimeoutError, socket.timeout):
            pass


def sizes():
    with Ui() as ui, rfb.Client(ui.address) as c, rfb.Client(ui.address) as d, rfb.Client(ui.address) as old:
        c.encodings(rfb.ZRLE, rfb.EXT_DESKTOP)
        d.encodings(rfb.HEXTILE, rfb.DESKTOP_SIZE)
        c.request()
        assert c.update()[0][4] == rfb.EXT_DESKTOP, "told at the first opportunity"
        for width, height in ((800, 600), (320, 200), (1280, 800)):
            ui.mode(width, height)
            ui.draw(0, 0, width, height, noise(width * height, width))
            for x in (c, d):
                x.request(True)
                x.update()
                while x.picture()[:2] != (width, height):
                    x.request(True)
                    x.update()
                screen.same(x.picture(), ui.picture())
        old.request()
        old.update()
        assert (old.width, old.height) == (640, 400), "a client that cannot be told keeps its size"
        c.sock.sendall(struct.pack(">BxHHBx", 251, 100, 100, 1) + bytes(16))
        rects = c.update()
        assert rects[0][:2] == (1, 1), f"a client's wish for a size is refused: {rects}"


def passwords():
    with Ui(password=True) as ui:
        def tries(password):
            begun = time.monotonic()
            try:
                rfb.Client(ui.address, password=password).close()
                return True, time.monotonic() - begun
            except PermissionError:
                return False, time.monotonic() - begun
        assert not tries("secret")[0], "no password is set: nobody comes in"
        ui.send("VNC_PASSWORD", dc.field(1, "secret") + dc.field(2, 0))
        assert tries("secret")[0]
        good, took = tries("Secret")
        assert not good and took >= 1.5, f"a wrong password was refused after {took:.2f} s"
        with socket.create_connection(ui.address) as s:  # no other type is offered, and none is taken
            s.settimeout(5)
            s.sendall(b"RFB 003.008\n\1")
            data = b""
            while part := s.recv(100):
                data += part
            assert data == b"RFB 003.008\n\1\2", data
        ui.send("VNC_PASSWORD", dc.field(1, "secret") + dc.field(2, int(time.time()) - 1))
        assert not tries("secret")[0], "expired"
        ui.send("VNC_PASSWORD", dc.field(1, "other") + dc.field(2, int(time.time()) + 600))
        assert tries("other")[0]
        assert not any("other" in line or "secret" in line for line in [ui.log_text()])


def shares():
    for share, second, first_stays, second_comes in ((0, True, True, True), (0, False, False, True),
                                                     (1, False, True, False), (1, True, True, True), (2, False, True, True)):
        with Ui(share=share) as ui, rfb.Client(ui.address, shared=True) as a:
            a.request()
            a.update()
            try:
                with rfb.Client(ui.address, shared=second) as b:
                    b.request()
                    b.update()
                    came = True
            except (EOFError, ConnectionError):
                came = False
            try:
                a.request()
                a.update()
                stays = True
            except (EOFError, ConnectionError):
                stays = False
            assert (stays, came) == (first_stays, second_comes), (share, second, stays, came)


def keys_and_pointer():
    with Ui() as ui, rfb.Client(ui.address) as c:
        def said(want):
            got = []
            dc.until(5, f"events {want}", lambda: got.extend(ui.events()) or len(got) >= len(want))
            assert got == want, got
        c.type("a\n")
        said([(KEY, 30, 1, 0), (KEY, 30, 0, 0), (KEY, 28, 1, 0), (KEY, 28, 0, 0)])
        c.key(ord("A"), True)  # a program that knows no Shift
        c.key(ord("A"), False)
        said([(KEY, 42, 1, 0), (KEY, 30, 1, 0), (KEY, 42, 0, 0), (KEY, 30, 0, 0)])
        c.key(0xffe1, True)
        c.key(ord("!"), True)
        c.key(ord("!"), False)
        c.key(0xffe1, False)
        said([(KEY, 42, 1, 0), (KEY, 2, 1, 0), (KEY, 2, 0, 0), (KEY, 42, 0, 0)])
        c.sock.sendall(struct.pack(">BBHII", 255, 0, 1, 0x61, 0xc8) + struct.pack(">BBHII", 255, 0, 0, 0x61, 0xc8))
        said([(KEY, 103, 1, 0), (KEY, 103, 0, 0)])  # scan codes go past every layout
        c.pointer(100, 100)
        c.pointer(110, 95, 1)
        c.pointer(110, 95, 0)
        c.pointer(110, 95, 8)
        c.pointer(110, 95, 0)
        said([(MOVE, 0, 10, -5), (BUTTON, 0, 1, 0), (BUTTON, 0, 0, 0), (WHEEL, 0, 1, 0)])
        c.key(ord("q"), False)  # never pressed
        c.key(ord("w"), True)
        c.pointer(110, 95, 4)
        said([(KEY, 17, 1, 0), (BUTTON, 2, 1, 0)])
        c.close()
        said([(KEY, 17, 0, 0), (BUTTON, 2, 0, 0)])
    with Ui() as ui, rfb.Client(ui.address) as c:
        c.encodings(rfb.RAW, rfb.LED, rfb.EXT_KEY, rfb.POINTER)
        c.request()
        kinds = {r[4] for r in c.update()}
        assert kinds == {rfb.RAW, rfb.LED, rfb.EXT_KEY, rfb.POINTER} and c.leds == 0, kinds
        struct.pack_into("<I", ui.input, 4, 4)
        c.request(True)
        c.update()
        assert c.leds == 4
        c.pointer(0x7fff + 3, 0x7fff - 2)  # relative now
        dc.until(5, "a movement", lambda: ui.events() == [(MOVE, 0, 3, -2)])


def fences_and_continuous_updates():
    with Ui() as ui, rfb.Client(ui.address) as c:
        c.encodings(rfb.ZRLE, rfb.FENCE, rfb.CONTINUOUS)
        c.request()
        c.update()
        assert c.seen == ["continuous"] and c.fences == [(0x80000000, b"")], (c.seen, c.fences)
        c.sock.sendall(struct.pack(">BxxxIB", 248, 0x80000003, 5) + b"hello")
        c.sock.sendall(struct.pack(">BBHHHH", 150, 1, 0, 0, 640, 400))
        for n in range(5):  # without asking
            ui.draw(0, 0, 64, 16, noise(1024, n))
            c.update()
        assert c.fences[1] == (3, b"hello"), c.fences
        c.sock.sendall(struct.pack(">BBHHHH", 150, 0, 0, 0, 640, 400))
        c.request()
        c.update()
        assert c.seen == ["continuous"] * 2


def lossy():
    with Ui(lossy=True) as ui, rfb.Client(ui.address) as c:
        ui.draw(0, 0, 640, 400, noise(640 * 400, 9))
        c.encodings(rfb.TIGHT, -32 + 6)
        c.request()
        c.update()
        assert c.jpeg, "a client that asks for a quality gets JPEG"
        c.encodings(rfb.TIGHT)
        c.request()
        c.update()
        screen.same(c.picture(), ui.picture())
    with Ui() as ui, rfb.Client(ui.address) as c:
        ui.draw(0, 0, 640, 400, noise(640 * 400, 9))
        c.encodings(rfb.TIGHT, -32 + 6)
        c.request()
        c.update()
        screen.same(c.picture(), ui.picture())  # lossy=off


def many_and_slow_clients():
    with Ui() as ui:
        collage(ui)
        lazy = rfb.Client(ui.address)
        for _ in range(50):
            lazy.request()  # and reads nothing
        full = [rfb.Client(ui.address) for _ in range(15)]
        with socket.create_connection(ui.address) as s:
            s.settimeout(5)
            assert s.recv(1) == b"", "the seventeenth is turned away"
        for c in full:
            c.request()
            c.update()
            c.close()
        with rfb.Client(ui.address) as c:
            c.request()
            c.update()
            screen.same(c.picture(), ui.picture())
        lazy.close()
        ui.ping()


if __name__ == "__main__":
    dc.program("bulkhead-ui")
    tap.main(versions_and_pictures, encodings_and_formats, changes_are_sent_and_nothing_else, sizes, passwords, shares,
             keys_and_pointer, fences_and_continuous_updates, lossy, many_and_slow_clients)
