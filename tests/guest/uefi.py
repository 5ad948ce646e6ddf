#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's OVMF from a pair of flash chips reaches the EFI shell on the serial line, and a variable set there is in
the file and in the next machine."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import firmware
import guest
import tap

CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
VARS = "/usr/share/OVMF/OVMF_VARS_4M.fd"
GUID = "11223344-5566-7788-99aa-bbccddeeff00"


def flash(variables):
    return ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={CODE}",
            "-drive", f"if=pflash,format=raw,unit=1,file={variables}"]


def shell(e):
    e.expect("UEFI Interactive Shell", 240)
    e.expect("any other key to continue", 60)
    e.send("\r")
    e.expect("Shell> ", 60)


def command(e, text, answer):
    """The shell redraws what is typed, so an answer is looked for after the line's end."""
    e.send(text + "\r")
    return e.expect(answer, 60)


def the_efi_shell_keeps_a_variable():
    with tempfile.TemporaryDirectory() as tmp:
        variables = os.path.join(tmp, "vars.fd")
        shutil.copy(VARS, variables)
        with guest.Emulator(firmware.args(*flash(variables), "-vga", "none", memory=256)) as e:
            shell(e)
            command(e, f"setvar Kept -guid {GUID} -bs -nv =L\"sailor\"", "Shell> ")
            e.send("reset -s\r")
            assert e.wait(60) == 0
        with open(variables, "rb") as f:
            assert "sailor".encode("utf-16-le") in f.read(), "the variable is not in the file"
        with guest.Emulator(firmware.args(*flash(variables), "-vga", "none", memory=256)) as e:
            shell(e)
            command(e, f"setvar Kept -guid {GUID}", "73 00 61 00 69 00 6C 00|s.a.i.l.o.r")
        with open(CODE, "rb") as a, open("/usr/share/OVMF/OVMF_CODE_4M.fd", "rb") as b:
            assert a.read() == b.read()


def wrong_flash_is_refused():
    with tempfile.TemporaryDirectory() as tmp:
        odd = os.path.join(tmp, "odd.fd")
        with open(odd, "wb") as f:
            f.truncate(5000)
        for drives, word in ((["if=pflash,unit=1,file=" + odd], "unit 0"),
                             (["if=pflash,file=" + odd], "multiple of 4 KiB"),
                             (["if=pflash,file=" + odd, "if=pflash,unit=0,file=" + odd], "twice"),
                             (["if=pflash,format=qcow2,file=" + odd], "available: raw"),
                             (["if=pflash,file=" + os.path.join(tmp, "none")], "No such file")):
            args = [x for d in drives for x in ("-drive", d)]
            r = subprocess.run([*guest.emulator(), "-display", "none", "-serial", "none", "-monitor", "none", "-vga",
                                "none", *args], capture_output=True, text=True, timeout=20)
            assert r.returncode == 1 and word in r.stderr and r.stderr.count("\n") == 1, (args, r.stderr)


if __name__ == "__main__":
    tap.main(the_efi_shell_keeps_a_variable, wrong_flash_is_refused)
