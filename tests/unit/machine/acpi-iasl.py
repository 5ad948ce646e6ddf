#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every ACPI table disassembles, and what comes out compiles again without an error; the DSDT's
bytes must survive the round trip. usage: acpi-iasl.py DUMP-PROGRAM. Status 77 (skip) without iasl."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

iasl = shutil.which("iasl")
if not iasl:
    sys.exit(77)


def run(*args):
    p = subprocess.run([iasl, *args], cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=60, check=False)
    return p.stdout


with tempfile.TemporaryDirectory() as work:
    subprocess.run([sys.argv[1], work], check=True, timeout=10)
    tables = sorted(f for f in os.listdir(work) if f.endswith(".dat"))
    assert {t.split("-")[2] for t in tables} == {
        f"{s}.dat" for s in ("FACP", "APIC", "HPET", "FACS", "DSDT")}, tables
    for t in tables:
        out = run("-d", t)
        dsl = t.replace(".dat", ".dsl")
        assert os.path.exists(os.path.join(work, dsl)), out
        assert not re.search(r"(?i)invalid|incorrect|error|truncat", out), out
        text = open(os.path.join(work, dsl), encoding="ascii").read()
        assert "Incorrect checksum" not in text, text
        out = run("-oa", "-p", "again", dsl)
        assert "0 Errors, 0 Warnings" in out, out
        again = open(os.path.join(work, "again.aml"), "rb").read()
        first = open(os.path.join(work, t), "rb").read()
        if "DSDT" in t:  # the header's compiler fields differ
            assert again[36:] == first[36:], "the DSDT changed on its way through iasl"
            assert "Interrupt (ResourceConsumer, Level, ActiveHigh, Shared" in text
            assert re.search(r"Name \(_PRT, Package \(0x7C\)", text), "routing of 31 slots"
            assert "_S5" in text and "COM1" in text and "COM3" not in text
        print("ok", t)
