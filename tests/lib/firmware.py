# SPDX-License-Identifier: Apache-2.0
"""Machines that start from firmware: arguments, and media made of Debian's own boot loaders."""
import os
import subprocess

BOOT_IMG = "/usr/lib/grub/i386-pc/boot.img"
SERIAL = "serial --unit=0 --speed=115200\nterminal_input serial\nterminal_output serial\n"


def args(*more, memory=128):
    """A machine without a kernel: console on standard output, firmware's words in the file debug."""
    return ["-accel", "tcg", "-M", "pc", "-m", memory, "-nodefaults", "-display", "none", "-serial", "stdio",
            "-monitor", "none", *more]


def debugcon(path):
    return ["-debugcon", f"file:{path}", "-global", "isa-debugcon.iobase=0x402"]


def wait_file(emulator, path, word, timeout=60.0):
    """The contents of a file once `word` is in it."""
    import time
    end = time.monotonic() + timeout
    while time.monotonic() < end and emulator.proc.poll() is None:
        if os.path.exists(path):
            with open(path, errors="replace") as f:
                text = f.read()
            if word in text:
                return text
        time.sleep(0.1)
    raise AssertionError(f"{word!r} does not come in {path}")


def grub_disk(directory, script="", modules=(), name="grub.img", files=(), mib=8):
    """A disk whose boot sector is GRUB with `script`, run on the serial line; then GRUB's prompt. files: (path on
    the host, name) pairs for a FAT partition."""
    config = os.path.join(directory, name + ".cfg")
    core = os.path.join(directory, name + ".core")
    with open(config, "w") as f:
        f.write(SERIAL + script)
    subprocess.run(["grub-mkimage", "-O", "i386-pc", "-p", "/", "-c", config, "-o", core, "biosdisk", "part_msdos",
                    "fat", "normal", "minicmd", "serial", "terminal", "echo", "ls", "reboot", "halt", "test",
                    *modules], check=True, timeout=60)
    path = os.path.join(directory, name)
    with open(path, "wb") as out:
        for part in (BOOT_IMG, core):
            with open(part, "rb") as f:
                out.write(f.read())
        out.truncate(mib << 20)
    if files:
        start = 2048
        sectors = (mib << 11) - start
        entry = bytes([0x80, 0, 0, 0, 0x0c, 0, 0, 0]) + start.to_bytes(4, "little") + sectors.to_bytes(4, "little")
        with open(path, "r+b") as f:
            f.seek(446)
            f.write(entry + bytes(48))  # over code that is for floppies only
            f.seek(510)
            f.write(b"\x55\xaa")
        image = f"{path}@@{start * 512}"
        subprocess.run(["mformat", "-i", image, "-F", "-T", str(sectors), "-h", "16", "-s", "63"], check=True,
                       timeout=60)
        for host, guest_name in files:
            subprocess.run(["mcopy", "-i", image, host, f"::{guest_name}"], check=True, timeout=60)
    return path
