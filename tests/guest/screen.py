#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The screen of a Linux guest: its text console and a framebuffer of bochs-drm, dumped as PPM and PNG and
compared pixel for pixel with pictures made here, from the guest's own text cells and framebuffer bytes.
"""
import base64
import hashlib
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import guest
import screen
import tap


def dump(e, fmt="ppm"):
    path = os.path.join(e.dir, "screen." + fmt)
    e.qmp.cmd("screendump", filename=path, format=fmt)
    data = open(path, "rb").read()
    return screen.png(data) if fmt == "png" else screen.ppm(data)


def machine(initrd, *extra):
    return guest.Emulator(guest.linux_args(initrd, "console=tty0 console=ttyS0 loglevel=1 vt.global_cursor_default=0",
                                           extra=["-vga", "std", *extra]))


def cells_of(e):
    """The text cells as the guest's kernel reads them back from video memory: characters, attributes."""
    status, text = e.run("cat /dev/vcsa1 | base64 -w 0; echo")
    assert status == 0, text
    data = base64.b64decode(text.strip())
    return data[1], data[0], data[4:]  # columns, lines, after the cursor's place


COLOURS = ("printf '\\033[2J\\033[H' >/dev/tty1; i=0; while [ $i -lt 16 ]; do printf \"\\033[3$((i%8));4$((i/2))m"
           " row $i of colours \\033[1m bright \\033[0m\\n\" >/dev/tty1; i=$((i+1)); done;"
           "printf '\\033[24;5H\\033[11m\\260\\261\\262\\304\\315\\333\\334\\311\\273\\033[10m' >/dev/tty1")


def text_console():
    tmp = tempfile.TemporaryDirectory()
    with machine(guest.initramfs(tmp.name)) as e:
        e.shell(120)
        assert e.run("mknod /dev/vcsa1 c 7 129 2>/dev/null; " + COLOURS)[0] == 0
        cols, rows, cells = cells_of(e)
        assert (cols, rows) == (80, 25)
        assert b"row 15 of colours" in cells[::2] and len(set(cells[1::2])) > 12
        want = 720, 400, screen.text_picture(cells, cols, rows)
        screen.same(dump(e), want)
        screen.same(dump(e, "png"), want)
        e.run("i=0; while [ $i -lt 60 ]; do echo line $i >/dev/tty1; i=$((i+1)); done")  # scrolls: start address
        cols, rows, cells = cells_of(e)
        screen.same(dump(e), (720, 400, screen.text_picture(cells, cols, rows)))
    tmp.cleanup()


def pattern(width, height):
    """XRGB bytes, every pixel another colour than its neighbours; the guest gets the file itself."""
    out = bytearray()
    for y in range(height):
        line = b"".join(bytes(((x * 7 + y) & 255, (x ^ y) & 255, (x * y >> 4) & 255, 0)) for x in range(width))
        out += line
    return bytes(out)


def framebuffer():
    tmp = tempfile.TemporaryDirectory()
    width, height = 640, 480
    bits = pattern(width, height)
    path = os.path.join(tmp.name, "picture")
    open(path, "wb").write(bits)
    initrd = guest.initramfs(tmp.name, "bochs.gz", "--modules", "bochs", "--add", f"{path}=root/picture")
    with machine(initrd, "-vga", "none", "-device", f"VGA,xres={width},yres={height},vgamem_mb=8") as e:
        e.shell(120)
        status, text = e.run("for m in /lib/modules/*.ko; do insmod $m || echo failed $m; done; sleep 0;"
                             "cat /sys/class/graphics/fb0/virtual_size /sys/class/graphics/fb0/stride", 60)
        assert text.split() == [f"{width},{height}", str(width * 4)], text + e.tail()
        status, text = e.run("cat /root/picture >/dev/fb0; sha256sum </root/picture", 60)
        assert status == 0 and text.split()[0] == hashlib.sha256(bits).hexdigest()
        rgb = bytes(b for i in range(0, len(bits), 4) for b in (bits[i + 2], bits[i + 1], bits[i]))

        def drawn():  # the driver copies its shadow to the card some milliseconds later
            return dump(e) == (width, height, rgb)
        try:
            dc.until(10, "the picture is on the screen", drawn)
        except AssertionError:
            screen.same(dump(e), (width, height, rgb))
            raise
        screen.same(dump(e, "png"), (width, height, rgb))
        status, text = e.run("cat /sys/class/drm/card0-Virtual-1/edid | wc -c; dmesg | grep -c 'Bulkhead'")
        assert text.split()[0] in ("128", "256"), text
    tmp.cleanup()


def refusals():
    tmp = tempfile.TemporaryDirectory()
    with machine(guest.initramfs(tmp.name), "-S") as e:
        precious = os.path.join(e.dir, "precious")
        open(precious, "w").write("not a picture")
        for path, why in ((precious, "no picture"), (os.path.join(e.dir, "no", "dir"), "No such file"), (e.dir, "directory")):
            try:
                e.qmp.cmd("screendump", filename=path)
                raise AssertionError(path)
            except RuntimeError as err:
                assert why in str(err), err
        assert open(precious).read() == "not a picture"
        link = os.path.join(e.dir, "link.ppm")
        os.symlink(precious, link)
        assert "Error" in e.qmp.hmp(f"screendump {link}")
        assert "expected" in e.qmp.hmp("screendump -f gif")
        dc.until(20, "the display process is up",
                 lambda: e.qmp.hmp(f"screendump {e.dir}/a.png -f png") == "")
        before = screen.png(open(f"{e.dir}/a.png", "rb").read())
        lit = [i // 3 for i in range(0, len(before[2]), 3) if any(before[2][i:i + 3])]
        assert before[:2] == (720, 400) and lit == [720 * y + x for y in (13, 14) for x in range(9)], \
            "a machine that has not started shows an empty screen with the cursor at its start"
        assert e.qmp.hmp(f"screendump {e.dir}/a.png -f png") == "", "a picture may be written again"
    tmp.cleanup()


if __name__ == "__main__":
    tap.main(text_console, framebuffer, refusals)
