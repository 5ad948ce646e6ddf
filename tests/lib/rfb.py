# SPDX-License-Identifier: Apache-2.0
"""An RFB client for tests: every encoding the server has, decoded from the specification.

Owns one connection and the picture it shows; never shares code with the server.
"""
import socket
import struct
import zlib

RAW, COPYRECT, HEXTILE, ZLIB, TIGHT, ZRLE = 0, 1, 5, 6, 7, 16
DESKTOP_SIZE, EXT_DESKTOP, LED, EXT_KEY, POINTER, FENCE, CONTINUOUS = -223, -308, -261, -258, -257, -312, -313
KEYSYMS = {"\n": 0xff0d, "\t": 0xff09, "\b": 0xff08, "\x1b": 0xff1b}


def vnc_key(password):
    return bytes(int(f"{b:08b}"[::-1], 2) for b in password.encode()[:8].ljust(8, b"\0"))


class Client:
    def __init__(self, address, minor=8, password=None, shared=True, timeout=20.0):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.sock = socket.socket(family)
        self.sock.settimeout(timeout)
        self.sock.connect(address)
        self.streams, self.leds, self.fences, self.seen = {}, None, [], []
        self._hello(minor, password)
        self.sock.sendall(bytes([shared]))
        self.width, self.height = struct.unpack(">HH", self.read(4))
        self.format = self.read(16)
        self.name = self.read(struct.unpack(">I", self.read(4))[0]).decode()
        self.bytes, self.maxes, self.shifts, self.depth = 4, (255,) * 3, (16, 8, 0), 24
        self.big = False
        self.fb = bytearray(3 * self.width * self.height)

    def read(self, n):
        out = b""
        while len(out) < n:
            part = self.sock.recv(n - len(out))
            if not part:
                raise EOFError("the server closed the connection")
            out += part
        return out

    def _hello(self, minor, password):
        assert self.read(12) == b"RFB 003.008\n"
        self.sock.sendall(b"RFB 003.%03d\n" % minor)
        if minor < 7:
            kind = struct.unpack(">I", self.read(4))[0]
        else:
            kinds = self.read(self.read(1)[0])
            kind = 2 if password is not None else 1
            assert kind in kinds, kinds
            self.sock.sendall(bytes([kind]))
        if kind == 2:
            self.sock.sendall(self._answer(self.read(16), password or ""))
        if kind == 2 or minor >= 8:
            if struct.unpack(">I", self.read(4))[0]:
                raise PermissionError(self.read(struct.unpack(">I", self.read(4))[0]).decode() if minor >= 8 else "")

    @staticmethod
    def _answer(challenge, password):
        import subprocess
        key = vnc_key(password)
        out = subprocess.run(["openssl", "enc", "-des-ecb", "-nopad", "-K", key.hex(), "-provider", "legacy",
                              "-provider", "default"], input=challenge, capture_output=True)
        assert len(out.stdout) == 16, out.stderr
        return out.stdout

    # ---- what the client says
    def encodings(self, *list_):
        self.sock.sendall(struct.pack(">BBH", 2, 0, len(list_)) + b"".join(struct.pack(">i", e) for e in list_))

    def set_format(self, bpp, depth, big, maxes, shifts):
        self.bytes, self.maxes, self.shifts, self.depth, self.big = bpp // 8, maxes, shifts, depth, big
        self.sock.sendall(struct.pack(">BxxxBBBBHHHBBBxxx", 0, bpp, depth, big, 1, *maxes, *shifts))

    def request(self, incremental=False, area=None):
        x, y, w, h = area or (0, 0, self.width, self.height)
        self.sock.sendall(struct.pack(">BBHHHH", 3, incremental, x, y, w, h))

    def key(self, keysym, down):
        self.sock.sendall(struct.pack(">BBxxI", 4, down, keysym))

    def type(self, text):
        for ch in text:
            sym = KEYSYMS.get(ch, ord(ch))
            self.key(sym, True)
            self.key(sym, False)

    def pointer(self, x, y, buttons=0):
        self.sock.sendall(struct.pack(">BBHH", 5, buttons, x, y))

    # ---- what the server says
    def update(self):
        """Handles messages up to and including one framebuffer update; its rectangles (x, y, w, h, encoding)."""
        while True:
            kind = self.read(1)[0]
            if kind == 0:
                n = struct.unpack(">xH", self.read(3))[0]
                rects = []
                for _ in range(n):
                    x, y, w, h, e = struct.unpack(">HHHHi", self.read(12))
                    rects.append((x, y, w, h, e))
                    self._rect(x, y, w, h, e)
                return rects
            self._message(kind)

    def _message(self, kind):
        if kind == 1:
            self.read(3 + 2)
            raise AssertionError("colour map")
        if kind == 150:
            self.seen.append("continuous")
        elif kind == 248:
            flags, n = struct.unpack(">xxxIB", self.read(8))
            self.fences.append((flags, self.read(n)))
        else:
            raise AssertionError(f"message {kind}")

    def picture(self):
        return self.width, self.height, bytes(self.fb)

    def _set(self, x, y, w, rgb):
        at = 3 * (y * self.width + x)
        self.fb[at:at + 3 * w] = rgb

    def _colour(self, raw):
        v = int.from_bytes(raw, "big" if self.big else "little")
        return bytes((v >> s & m) * 255 // m for s, m in zip(self.shifts, self.maxes))

    def _pixels(self, x, y, w, h, data, size=None, conv=None):
        size, conv = size or self.bytes, conv or self._colour
        cache = {}
        for row in range(h):
            line = bytearray()
            for i in range(row * w * size, (row + 1) * w * size, size):
                raw = data[i:i + size]
                c = cache.get(raw)
                if c is None:
                    c = cache[raw] = conv(raw)
                line += c
            self._set(x, y + row, w, line)

    def _inflate(self, name, data):
        if name not in self.streams:
            self.streams[name] = zlib.decompressobj()
        return self.streams[name].decompress(data)

    def _rect(self, x, y, w, h, e):
        if e == RAW:
            self._pixels(x, y, w, h, self.read(w * h * self.bytes))
        elif e == HEXTILE:
            self._hextile(x, y, w, h)
        elif e == ZLIB:
            n = struct.unpack(">I", self.read(4))[0]
            self._pixels(x, y, w, h, self._inflate("zlib", self.read(n)))
        elif e == ZRLE:
            n = struct.unpack(">I", self.read(4))[0]
            self._zrle(x, y, w, h, self._inflate("zrle", self.read(n)))
        elif e == TIGHT:
            self._tight(x, y, w, h)
        elif e in (DESKTOP_SIZE, EXT_DESKTOP):
            if e == EXT_DESKTOP:
                self._screens()
            if e == DESKTOP_SIZE or x == 0 or y == 0:
                self.width, self.height, self.fb = w, h, bytearray(3 * w * h)
        elif e == LED:
            self.leds = self.read(1)[0]
        elif e not in (EXT_KEY, POINTER):
            raise AssertionError(f"encoding {e} was not asked for")

    def _screens(self):
        n = self.read(4)[0]
        self.read(16 * n)

    def _hextile(self, x0, y0, w, h):
        bg = fg = None
        for y in range(y0, y0 + h, 16):
            for x in range(x0, x0 + w, 16):
                tw, th = min(16, x0 + w - x), min(16, y0 + h - y)
                mask = self.read(1)[0]
                if mask & 1:
                    self._pixels(x, y, tw, th, self.read(tw * th * self.bytes))
                    continue
                bg = self._colour(self.read(self.bytes)) if mask & 2 else bg
                fg = self._colour(self.read(self.bytes)) if mask & 4 else fg
                for row in range(th):
                    self._set(x, y + row, tw, bg * tw)
                for _ in range(self.read(1)[0] if mask & 8 else 0):
                    c = self._colour(self.read(self.bytes)) if mask & 16 else fg
                    xy, wh = self.read(2)
                    for row in range((wh & 15) + 1):
                        self._set(x + (xy >> 4), y + (xy & 15) + row, (wh >> 4) + 1, c * ((wh >> 4) + 1))

    def _cpixel(self):
        """(size, converter) of a ZRLE pixel."""
        used = sum(m << s for m, s in zip(self.maxes, self.shifts))
        if self.bytes != 4 or self.depth > 24 or (used & 0xff and used >> 24):
            return self.bytes, self._colour
        low = not used >> 24  # the top byte in value is unused
        if self.big:
            return 3, (lambda r: self._colour(b"\0" + r)) if low else (lambda r: self._colour(r + b"\0"))
        return 3, (lambda r: self._colour(r + b"\0")) if low else (lambda r: self._colour(b"\0" + r))

    def _zrle(self, x0, y0, w, h, data):
        size, conv = self._cpixel()
        at = 0

        def take(n):
            nonlocal at
            at += n
            assert at <= len(data), "the rectangle is too short"
            return data[at - n:at]

        def run():
            n = 1
            while True:
                b = take(1)[0]
                n += b
                if b != 255:
                    return n
        for y in range(y0, y0 + h, 64):
            for x in range(x0, x0 + w, 64):
                tw, th = min(64, x0 + w - x), min(64, y0 + h - y)
                kind, out = take(1)[0], bytearray()
                if kind == 0:
                    self._pixels(x, y, tw, th, take(tw * th * size), size, conv)
                    continue
                if kind == 1:
                    out = bytearray(conv(take(size)) * (tw * th))
                elif kind <= 16:
                    colours = [conv(take(size)) for _ in range(kind)]
                    bits = 1 if kind == 2 else 2 if kind <= 4 else 4
                    for _ in range(th):
                        row = take((tw * bits + 7) // 8)
                        for i in range(tw):
                            byte = row[i * bits // 8]
                            out += colours[byte >> (8 - bits - i * bits % 8) & (1 << bits) - 1]
                elif kind == 128:
                    while len(out) < 3 * tw * th:
                        c = conv(take(size))
                        out += c * run()
                else:
                    assert kind >= 130, kind
                    colours = [conv(take(size)) for _ in range(kind - 128)]
                    while len(out) < 3 * tw * th:
                        i = take(1)[0]
                        out += colours[i & 127] * (run() if i & 128 else 1)
                assert len(out) == 3 * tw * th, "runs and tile differ"
                for row in range(th):
                    self._set(x, y + row, tw, out[3 * tw * row:3 * tw * (row + 1)])
        assert at == len(data), "bytes after the last tile"

    def _compact(self):
        n = shift = 0
        for i in range(3):
            b = self.read(1)[0]
            n |= (b & (127 if i < 2 else 255)) << shift
            shift += 7
            if not b & 128:
                break
        return n

    def _tight(self, x, y, w, h):
        three = self.bytes == 4 and self.depth == 24 and self.maxes == (255,) * 3
        size, conv = (3, bytes) if three else (self.bytes, self._colour)
        ctl = self.read(1)[0]
        for i in range(4):
            if ctl >> i & 1:
                self.streams.pop(("tight", i), None)
        kind = ctl >> 4
        if kind == 8:
            c = conv(self.read(size))
            for row in range(h):
                self._set(x, y + row, w, c * w)
            return
        if kind == 9:
            self.jpeg = getattr(self, "jpeg", 0) + 1
            self.jpeg_data = self.read(self._compact())
            assert self.jpeg_data[:2] == b"\xff\xd8" and self.jpeg_data[-2:] == b"\xff\xd9"
            return
        assert kind < 8, kind
        filt = self.read(1)[0] if kind & 4 else 0
        colours = None
        if filt == 1:
            colours = [conv(self.read(size)) for _ in range(self.read(1)[0] + 1)]
            n = (w + 7) // 8 * h if len(colours) == 2 else w * h
        else:
            assert filt == 0, filt
            n = w * h * size
        data = self.read(n) if n < 12 else self._inflate(("tight", kind & 3), self.read(self._compact()))
        assert len(data) == n, (len(data), n)
        if not colours:
            self._pixels(x, y, w, h, data, size, conv)
            return
        for row in range(h):
            if len(colours) == 2:
                line = data[row * ((w + 7) // 8):]
                out = b"".join(colours[line[i // 8] >> (7 - i % 8) & 1] for i in range(w))
            else:
                out = b"".join(colours[i] for i in data[row * w:(row + 1) * w])
            self._set(x, y + row, w, out)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
