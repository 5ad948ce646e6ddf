#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel without its decompressor: the vmlinux inside the bzImage, entered by its PVH note."""
import lzma
import os
import struct
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import guest  # noqa: E402
import tap  # noqa: E402


def vmlinux(directory):
    """boot.rst: setup sectors, then the payload at payload_offset."""
    with open(guest.kernel(), "rb") as f:
        image = f.read()
    start = ((image[0x1f1] or 4) + 1) * 512
    offset, length = struct.unpack_from("<II", image, 0x248)
    payload = image[start + offset:start + offset + length]
    if not payload.startswith(b"\xfd7zXZ\0"):
        raise tap.Skip("this kernel's payload is not xz")
    path = os.path.join(directory, "vmlinux")
    with open(path, "wb") as f:
        f.write(lzma.LZMADecompressor().decompress(payload))
    return path


def an_uncompressed_kernel_boots():
    with tempfile.TemporaryDirectory() as d:
        args = guest.linux_args(guest.initramfs(d), append="bhtest=boot-poweroff")
        args[args.index("-kernel") + 1] = vmlinux(d)
        with guest.Emulator(args) as e:
            assert e.expect("BHTEST boot-poweroff exit=([0-9]+)", 120).group(1) == b"0"
            assert e.wait(30) == 0


if __name__ == "__main__":
    tap.main(an_uncompressed_kernel_boots)
