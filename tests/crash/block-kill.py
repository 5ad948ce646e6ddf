#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the block process while the guest writes and verifies with 8 requests in flight: no I/O
error, no lost or stale block; the stalls are measured in the guest.

BULKHEAD_KILLS: how many (default 15; 50 with BULKHEAD_TEST_LONG).
"""
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import guest
import tap

KILLS = int(os.environ.get("BULKHEAD_KILLS", "50" if os.environ.get("BULKHEAD_TEST_LONG") else "15"))


def block_process(e):
    return next((p for p in e.qmp.cmd("query-processes")
                 if p["role"] == "block" and p["state"] == "running"), None)


def overlay(tmp):
    """A qcow2 image over the raw one; what is written makes its tables grow."""
    base, top = guest.disk(tmp), os.path.join(tmp, "disk.qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "disk.raw", top], check=True,
                   timeout=60)
    return base, top


def kills_while_the_guest_writes():
    with tempfile.TemporaryDirectory() as tmp:
        kills(tmp, guest.disk(tmp), "raw")


def kills_with_a_qcow2_overlay():
    with tempfile.TemporaryDirectory() as tmp:
        base, top = overlay(tmp)
        before = open(base, "rb").read()
        kills(tmp, top, "qcow2")
        assert open(base, "rb").read() == before, "the backing file was written"
        # 2: damaged; 3: clusters lost by kills, which the dirty bit names and the next open gives back
        status = subprocess.run(["qemu-img", "check", "-q", top], timeout=60).returncode
        assert status in (0, 3), f"qemu-img check: {status}"


def kills(tmp, image, disk_format):
    args = guest.linux_args(guest.initramfs(tmp), f"bhtest=blk-hammer bhdisk=on bhseconds={KILLS + 6}",
                            disk_image=image, disk_format=disk_format)
    rng = random.Random(8)
    with guest.Emulator(args) as e:
        e.expect("HAMMER start", 120)
        time.sleep(1)
        for _ in range(KILLS):
            old = dc.until(10, "the block process runs", lambda: block_process(e))
            os.kill(old["pid"], signal.SIGKILL)
            new = dc.until(10, "its successor runs", lambda: (
                (p := block_process(e)) and p["pid"] != old["pid"] and p))
            assert new["generation"] > old["generation"], (old, new)
            time.sleep(rng.uniform(0.3, 0.9))
        m = e.expect(r"HAMMER done ops=(\d+) errors=(\d+) bad=(\d+) worst_us=(\d+) gaps_us=([0-9,]+)\r?\n",
                     KILLS + 90)
        ops, errors, bad = (int(e.text(m, n)) for n in (1, 2, 3))
        gaps = [int(g) / 1000 for g in e.text(m, 5).split(",")][:KILLS]
        e.expect("exit=0", 60)
        restarts = KILLS
        print(f"# {restarts} kills, {ops} requests, stall median {statistics.median(gaps):.1f} ms, "
              f"longest {gaps[0]:.1f} ms")
        assert (errors, bad) == (0, 0), (errors, bad)
        log = re.findall(r"I/O error|not a head", e.tail(400))
        assert not log, log


if __name__ == "__main__":
    tap.main(kills_while_the_guest_writes, kills_with_a_qcow2_overlay)
