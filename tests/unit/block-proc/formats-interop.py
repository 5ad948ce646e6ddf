#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every format both ways: what Debian's qemu-img makes is read and changed by ours, what ours makes is read, checked and
changed by QEMU's, byte for byte, and both say the same about it.
"""
import base64
import bz2
import json
import os
import random
import subprocess
import sys
import tempfile
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import tap

OURS = os.path.join(os.environ["BULKHEAD_BUILD"], "bulkhead-img")
THEIRS = "qemu-img"
SIZE = (9 << 20) + 512 * 7
# format: options of new images
FORMATS = {
    "vdi": ["", "static=on"],
    "vpc": ["force_size=on", "", "subformat=fixed,force_size=on"],
    "parallels": ["", "cluster_size=64k"],
    "qed": ["", "cluster_size=4k,table_size=2", "cluster_size=1M"],
    "qcow": [""],
    "vmdk": ["", "zeroed_grain=on", "subformat=streamOptimized", "subformat=monolithicFlat", "subformat=twoGbMaxExtentSparse",
             "subformat=twoGbMaxExtentFlat,adapter_type=lsilogic"],
    "vhdx": ["", "block_size=1M", "subformat=fixed", "block_state_zero=off,log_size=2M"],
}
CHECKED = ("vdi", "parallels", "qed", "vmdk", "vhdx")  # formats qemu-img can check
BACKED = ("qed", "qcow", "vmdk")
PACKED = ("qcow", "vmdk")
ONCE = "streamOptimized"  # a cluster can be written once


def run(tool, *args, status=0):
    """Standard output, or both outputs when a failure is expected."""
    p = subprocess.run([tool, *args], capture_output=True, text=True, timeout=120)
    assert p.returncode == status, f"{tool} {args}: status {p.returncode}, {p.stdout}{p.stderr}"
    return p.stdout + (p.stderr if status else "")


def sample(path, seed, size=SIZE):
    """Random, repeating and zero pieces, holes, an odd end."""
    rng = random.Random(seed)
    with open(path, "wb") as f:
        for at in range(0, size - (1 << 16), 1 << 16):
            kind = rng.randrange(5)
            f.seek(at)
            if kind == 0:
                f.write(rng.randbytes(1 << 16))
            elif kind == 1:
                f.write((b"%d bottles " % rng.randrange(99)) * 5000)
            elif kind == 2:
                f.write(bytes(5000) + b"x" + bytes(60535))
        f.truncate(size)
        f.seek(size - 512)
        f.write(b"the end." * 64)


def in_temp(test):
    def wrapped():
        with tempfile.TemporaryDirectory() as tmp:
            os.chdir(tmp)
            try:
                sample("r.raw", 3)
                sample("s.raw", 4)
                test()
            finally:
                os.chdir("/")
    wrapped.__name__ = test.__name__
    return wrapped


def cases():
    return [(f, o) for f, options in FORMATS.items() for o in options]


def made(tool, fmt, options, name, *more, source="r.raw"):
    run(tool, "convert", "-f", "raw", "-O", fmt, *more, *(["-o", options] if options else []), source, name)


def same(fmt, name, raw="r.raw"):
    """Both tools read the same bytes as the raw file's (a vpc may be longer: zeros follow)."""
    for tool in OURS, THEIRS:
        run(tool, "compare", "-q", "-f", fmt, "-F", "raw", name, raw)
    if fmt in CHECKED:
        for tool in OURS, THEIRS:
            run(tool, "check", "-q", "-f", fmt, name)


@in_temp
def ours_is_read_by_theirs():
    for fmt, options in cases():
        made(OURS, fmt, options, "o")
        same(fmt, "o")


@in_temp
def theirs_is_read_by_ours():
    for fmt, options in cases():
        made(THEIRS, fmt, options, "t")
        same(fmt, "t")
        run(OURS, "convert", "-f", fmt, "-O", "raw", "t", "back")
        data = open("back", "rb").read()
        assert data[:SIZE] == open("r.raw", "rb").read() and not any(data[SIZE:]), (fmt, options)


@in_temp
def info_check_and_map_say_the_same():
    for fmt, options in cases():
        made(THEIRS, fmt, options, "t")
        for form in ("human", "json"):
            ours, theirs = (run(t, "info", "-f", fmt, "--output", form, "t") for t in (OURS, THEIRS))
            assert ours == theirs, (fmt, options, ours, theirs)
            json.loads(ours) if form == "json" else None
        if fmt in CHECKED:
            ours, theirs = (run(t, "check", "-f", fmt, "t") for t in (OURS, THEIRS))
            assert ours == theirs, (fmt, options, ours, theirs)
        else:
            assert "does not support checks" in run(OURS, "check", "-f", fmt, "t", status=63)


@in_temp
def each_writes_into_the_others():
    """A second disk is written over the first, by the other tool; then parts of it at random."""
    rng = random.Random(5)
    for fmt, options in cases():
        if ONCE in options:
            continue
        for maker, writer in (OURS, THEIRS), (THEIRS, OURS):
            made(maker, fmt, options, "x")
            run(writer, "convert", "-n", "-f", "raw", "-O", fmt, "s.raw", "x")
            same(fmt, "x", "s.raw")
        data = bytearray(open("s.raw", "rb").read())
        writes = []
        for _ in range(20):
            at, n, fill = rng.randrange(SIZE // 512 - 300) * 512, rng.randrange(1, 300) * 512, rng.randrange(1, 255)
            writes += ["-c", f"write -P {fill} {at} {n}"]
            data[at:at + n] = bytes([fill]) * n
        made(OURS, fmt, options, "x", source="s.raw")
        run("qemu-io", "-f", fmt, *writes, "x")
        open("w.raw", "wb").write(data)
        same(fmt, "x", "w.raw")


@in_temp
def backing_files_and_compression():
    for fmt in BACKED:
        base_fmt = "vmdk" if fmt == "vmdk" else "raw"
        run(OURS, "convert", "-f", "raw", "-O", base_fmt, "r.raw", "base")
        for tool, name in (OURS, "o"), (THEIRS, "t"):
            run(tool, "create", "-q", "-f", fmt, "-b", "base", "-F", base_fmt, name)
            run("qemu-io", "-f", fmt, "-c", "write -P 77 100k 70k", name)
        data = bytearray(open("r.raw", "rb").read())
        data[100 << 10:170 << 10] = b"M" * (70 << 10)
        open("w.raw", "wb").write(data)
        same(fmt, "o", "w.raw")
        same(fmt, "t", "w.raw")
    os.truncate("s.raw", 8 << 20)
    os.truncate("r.raw", 8 << 20)
    for fmt in PACKED:  # -c of Debian's qemu-img 7.2 fails for this format
        options = "subformat=streamOptimized" if fmt == "vmdk" else ""
        for tool in (OURS, THEIRS)[:2 if fmt == "vmdk" else 1]:
            made(tool, fmt, options, "c", "-c")
            same(fmt, "c")
            assert os.stat("c").st_size < 0.9 * os.stat("r.raw").st_blocks * 512, (fmt, tool)
            if options:
                continue
            run("qemu-io", "-f", fmt, "-c", "write -P 77 100k 70k", "c")
            run(OURS, "convert", "-n", "-f", "raw", "-O", fmt, "s.raw", "c")
            same(fmt, "c", "s.raw")


@in_temp
def create_says_the_same():
    for fmt, options in cases():
        args = ["create", "-f", fmt, *(["-o", options] if options else []), "x", "20M"]
        ours, theirs = (run(t, *args) for t in (OURS, THEIRS))
        assert sorted(ours.split()) == sorted(theirs.split()), (ours, theirs)
        assert run(OURS, "info", "-f", fmt, "x").split("disk size")[0] == run(THEIRS, "info", "-f", fmt, "x").split("disk size")[0]


@in_temp
def short_files_get_one_clear_line():
    """Cut anywhere, an image is read as what it was or refused with one line; nothing crashes."""
    for fmt, options in cases():
        made(THEIRS, fmt, options, "t")
        whole = open("t", "rb").read()
        for n in (0, 3, 40, 64, 300, 511, 512, 600, 1024, 1500, 2048, 4096, 65536, 70000, 1 << 20, len(whole) - 512):
            open("cut", "wb").write(whole[:n])
            p = subprocess.run([OURS, "convert", "-f", fmt, "-O", "raw", "cut", "x"], capture_output=True, text=True, timeout=60)
            assert p.returncode in (0, 1) and p.stderr.count("\n") == p.returncode, (fmt, n, p)


def be(n, size):
    return n.to_bytes(size, "big")


def le(n, size):
    return n.to_bytes(size, "little")


def bochs_image(data, extent=65536):
    """Version 2; extents and sectors of zeros are left out."""
    n = -(-len(data) // extent)
    bitmap = max(512, extent // 512 // 8)
    catalog, body = [], b""
    for i in range(n):
        part = data[i * extent:(i + 1) * extent].ljust(extent, b"\0")
        if not any(part):
            catalog.append(0xffffffff)
            continue
        catalog.append(len(body) // (bitmap + extent))
        bits = bytearray(bitmap)
        for s in range(extent // 512):
            if any(part[s * 512:s * 512 + 512]):
                bits[s // 8] |= 1 << s % 8
        body += bytes(bits) + part
    head = b"Bochs Virtual HD Image".ljust(32, b"\0") + b"Redolog".ljust(16, b"\0") + b"Growing".ljust(16, b"\0")
    head += le(0x20000, 4) + le(512, 4) + le(n, 4) + le(bitmap, 4) + le(extent, 4) + le(0, 4) + le(len(data), 8)
    return head.ljust(512, b"\0") + b"".join(le(c, 4) for c in catalog) + body


def cloop_image(data, block=65536):
    parts = [zlib.compress(data[i:i + block].ljust(block, b"\0")) for i in range(0, len(data), block)]
    at, offsets = 128 + 8 + 8 * (len(parts) + 1), []
    for p in parts:
        offsets.append(at)
        at += len(p)
    script = b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n"
    return (script.ljust(128, b"\0") + be(block, 4) + be(len(parts), 4) + b"".join(be(o, 8) for o in offsets + [at])
            + b"".join(parts))


def dmg_image(data, packers=(zlib.compress, zlib.compress)):
    """Chunks of 256 KiB: packed (QEMU's bzip2 is in a module of its own), raw, and zeros where the data is zero."""
    runs, body, block = b"", b"", 1 << 18
    for i in range(0, len(data), block):
        part = data[i:i + block]
        kind = i // block % 3
        packed, code = (b"", 2) if not any(part) else (part, 1) if kind == 2 else (
            packers[kind](part), 0x80000006 if packers[kind] is bz2.compress else 0x80000005)
        runs += be(code, 4) + be(0, 4) + be(i // 512, 8) + be(len(part) // 512, 8) + be(len(body), 8) + be(len(packed), 8)
        body += packed
    runs += be(0xffffffff, 4) + bytes(36)
    mish = (b"mish" + be(1, 4) + be(0, 8) + be(len(data) // 512, 8) + be(0, 8) + be(1032, 4)).ljust(200, b"\0")
    mish += be(len(runs) // 40, 4) + runs
    plist = (b"<?xml version=\"1.0\"?><plist><dict><key>resource-fork</key><dict><key>blkx</key><array><dict>"
             b"<key>Data</key><data>" + base64.encodebytes(mish) + b"</data></dict></array></dict></dict></plist>")
    koly = bytearray(512)
    koly[0:12] = b"koly" + be(4, 4) + be(512, 4)
    koly[32:40] = be(len(body), 8)
    koly[216:232] = be(len(body), 8) + be(len(plist), 8)
    koly[492:500] = be(len(data) // 512, 8)
    return body + plist + bytes(koly)


@in_temp
def read_only_formats():
    """Made here, read by both; QEMU's answer is the measure. Cut and damaged ones are refused with a line."""
    data = open("r.raw", "rb").read()
    rng = random.Random(6)
    for fmt, make in ("bochs", bochs_image), ("cloop", cloop_image), ("dmg", dmg_image):
        image = make(data)
        open("x", "wb").write(image)
        run(THEIRS, "convert", "-f", fmt, "-O", "raw", "x", "t")
        run(OURS, "convert", "-f", fmt, "-O", "raw", "x", "o")
        assert open("o", "rb").read() == open("t", "rb").read(), fmt
        assert open("o", "rb").read()[:len(data)] == data, fmt
        assert run(OURS, "info", "-f", fmt, "x") == run(THEIRS, "info", "-f", fmt, "x"), fmt
        assert "can only be read" in run(OURS, "resize", "-f", fmt, "x", "+1M", status=1)
        assert "does not support image creation" in run(OURS, "create", "-f", fmt, "y", "1M", status=1)
        if fmt == "dmg":
            open("x", "wb").write(dmg_image(data, (zlib.compress, bz2.compress)))
            run(OURS, "convert", "-f", fmt, "-O", "raw", "x", "o")
            assert open("o", "rb").read() == data
        else:
            assert f"file format: {fmt}" in run(OURS, "info", "x")
        for _ in range(30):
            bad = bytearray(image)
            for _ in range(3):
                bad[rng.randrange(600) if fmt != "dmg" else -1 - rng.randrange(9000)] = rng.randrange(256)
            bad = bad[:rng.randrange(len(bad))] if rng.randrange(2) else bad
            open("x", "wb").write(bad)
            p = subprocess.run([OURS, "convert", "-f", fmt, "-O", "raw", "x", "o"], capture_output=True, text=True, timeout=60)
            assert p.returncode in (0, 1) and p.stderr.count("\n") == p.returncode, (fmt, p)


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


@in_temp
def vhdx_log_is_replayed():
    """As if the writer had died between its log and the block table: the next one that writes puts it in place."""
    run(THEIRS, "create", "-q", "-f", "vhdx", "v", "64M")
    run("qemu-io", "-f", "vhdx", "-c", "write -P 5 9M 1M", "v")
    with open("v", "r+b") as f:
        f.seek(1 << 20)
        entry = f.read(8192)
        assert entry[:4] == b"loge" and entry[64:68] == b"desc"
        f.seek(int.from_bytes(entry[80:88], "little"))
        assert any(f.read(4096)), "the block table was empty"
        f.seek(-4096, 1)
        f.write(bytes(4096))
        for at in 64 << 10, 128 << 10:  # both headers name the log again
            f.seek(at)
            head = bytearray(f.read(4096))
            head[48:64] = entry[32:48]
            head[4:8] = bytes(4)
            head[4:8] = crc32c(head).to_bytes(4, "little")
            f.seek(at)
            f.write(head)
    assert "log has to be replayed" in run(OURS, "info", "v", status=1)
    run(OURS, "check", "-q", "-r", "all", "v")
    for tool in OURS, THEIRS:
        run(tool, "check", "-q", "v")
        run(tool, "convert", "-O", "raw", "v", "x")
        data = open("x", "rb").read()
        assert data[9 << 20:10 << 20] == b"\5" * (1 << 20) and not any(data[:9 << 20]), tool


if __name__ == "__main__":
    tap.main(ours_is_read_by_theirs, theirs_is_read_by_ours, info_check_and_map_say_the_same, each_writes_into_the_others,
             backing_files_and_compression, create_says_the_same, short_files_get_one_clear_line, read_only_formats, vhdx_log_is_replayed)
