# SPDX-License-Identifier: Apache-2.0
"""Pictures for display tests: reading PPM and PNG, and drawing a text screen from its cells and a font.

Nothing here uses the emulator's code: the drawing is a second opinion.
"""
import struct
import zlib

ROM = "/usr/share/seabios/vgabios-stdvga.bin"


def ppm(data):
    """(width, height, RGB bytes) of a P6 file with 255 levels."""
    head, pos = [], 0
    while len(head) < 4:
        end = min(i for i in (data.find(b" ", pos), data.find(b"\n", pos)) if i >= 0)
        head.append(data[pos:end])
        pos = end + 1
    assert head[0] == b"P6" and head[3] == b"255", head
    width, height = int(head[1]), int(head[2])
    assert len(data) == pos + 3 * width * height, "the file has another size than its header says"
    return width, height, data[pos:]


def _unfilter(kind, line, prior, bpp):
    out = bytearray(line)
    for i in range(len(out)):
        a = out[i - bpp] if i >= bpp else 0
        b, c = prior[i], prior[i - bpp] if i >= bpp else 0
        if kind == 4:
            p = a + b - c
            pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
            add = a if pa <= pb and pa <= pc else b if pb <= pc else c
        else:
            add = (0, a, b, (a + b) // 2)[kind]
        out[i] = (out[i] + add) & 255
    return out


def png(data):
    """The same of an 8-bit RGB or RGBA PNG (transparency is not looked at)."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    pos, packed = 8, b""
    while pos < len(data):
        n, kind = struct.unpack(">I4s", data[pos:pos + 8])
        body = data[pos + 8:pos + 8 + n]
        assert zlib.crc32(kind + body) == struct.unpack(">I", data[pos + 8 + n:pos + 12 + n])[0]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert depth == 8 and colour in (2, 6), (depth, colour)
        packed += body if kind == b"IDAT" else b""
        pos += 12 + n
    bpp = 3 if colour == 2 else 4
    raw, out, prior = zlib.decompress(packed), b"", bytes(bpp * width)
    for y in range(height):
        at = y * (bpp * width + 1)
        prior = _unfilter(raw[at], raw[at + 1:at + 1 + bpp * width], prior, bpp)
        line = bytearray(prior)
        if bpp == 4:
            del line[3::4]
        out += bytes(line)
    return width, height, out


def font():
    """The 256 glyphs of 16 rows in the video BIOS, found by its letter A."""
    rom = open(ROM, "rb").read()
    at = rom.index(bytes.fromhex("000010386cc6c6fec6c6c6c600000000")) - 65 * 16
    return [rom[at + 16 * i:at + 16 * i + 16] for i in range(256)]


PALETTE = [(0, 0, 0), (0, 0, 170), (0, 170, 0), (0, 170, 170), (170, 0, 0), (170, 0, 170), (170, 85, 0),
           (170, 170, 170), (85, 85, 85), (85, 85, 255), (85, 255, 85), (85, 255, 255), (255, 85, 85),
           (255, 85, 255), (255, 255, 85), (255, 255, 255)]


def text_picture(cells, cols, rows):
    """RGB bytes of cols x rows cells (character, attribute) of 9 x 16 pixels, no cursor."""
    glyphs, out = font(), bytearray()
    for y in range(rows * 16):
        for x in range(cols):
            ch, attr = cells[2 * (y // 16 * cols + x)], cells[2 * (y // 16 * cols + x) + 1]
            bits = glyphs[ch][y % 16]
            fg, bg = bytes(PALETTE[attr & 15]), bytes(PALETTE[attr >> 4 & 7])
            dots = [bits >> (7 - i) & 1 for i in range(8)]
            dots.append(dots[7] if 0xc0 <= ch <= 0xdf else 0)
            for d in dots:
                out += fg if d else bg
    return bytes(out)


def same(have, want):
    """Raises with the first pixel that differs."""
    assert have[:2] == want[:2], f"{have[0]}x{have[1]}, expected {want[0]}x{want[1]}"
    if have[2] == want[2]:
        return
    for i in range(0, len(want[2]), 3):
        a, b = have[2][i:i + 3], want[2][i:i + 3]
        if a != b:
            raise AssertionError(f"pixel {i // 3 % want[0]},{i // 3 // want[0]}: {a.hex()}, expected {b.hex()}")
