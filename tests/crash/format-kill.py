#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Images of every format after kill -9 of their writer: our reader finds every acknowledged block (format-kill.c), and
Debian's qemu-img finds the same bytes and nothing to complain about but unused space. Argument: the format-kill program.
"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import tap

ROUNDS = "100" if os.environ.get("BULKHEAD_TEST_LONG") == "1" else "4"
PROGRAM = os.path.abspath(sys.argv.pop(1))
OURS = os.path.join(os.environ["BULKHEAD_BUILD"], "bulkhead-img")


def all_formats():
    with tempfile.TemporaryDirectory() as tmp:
        p = subprocess.run([PROGRAM, ROUNDS], cwd=tmp, capture_output=True, text=True, timeout=500)
        assert p.returncode == 0, p.stdout + p.stderr
        made = sorted(f[:-4] for f in os.listdir(tmp) if f.endswith(".img"))
        assert "qcow2" in made and "vhdx" in made and len(made) >= 9, made
        for fmt in made:
            img, raw = os.path.join(tmp, fmt + ".img"), os.path.join(tmp, fmt + ".raw")
            subprocess.run([OURS, "check", "-q", "-f", fmt, "-r", "all", img], stderr=subprocess.DEVNULL, timeout=60)
            c = subprocess.run(["qemu-img", "compare", "-f", fmt, "-F", "raw", img, raw], capture_output=True, text=True, timeout=60)
            assert c.returncode == 0, (fmt, c.stdout, c.stderr)
            c = subprocess.run(["qemu-img", "check", "-f", fmt, img], capture_output=True, text=True, timeout=60)
            assert c.returncode in (0, 3, 63), (fmt, c.returncode, c.stdout, c.stderr)


tap.main(all_formats)
