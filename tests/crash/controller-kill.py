#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a storage controller's process, and of the block process behind it, while the guest writes
and verifies with 8 writers: no error in the guest, no lost or stale block.

Argument: a name of tests/lib/storage.py. BULKHEAD_KILLS: how many of each (default 4; 50 with
BULKHEAD_TEST_LONG).
"""
import os
import random
import re
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import storage
import tap

KILLS = int(os.environ.get("BULKHEAD_KILLS", "50" if os.environ.get("BULKHEAD_TEST_LONG") else "4"))


def process(e, role):
    return next((p for p in e.qmp.cmd("query-processes")
                 if p["role"] == role and p["state"] == "running"), None)


def kill_one(e, role):
    old = dc.until(10, f"the {role} process runs", lambda: process(e, role))
    os.kill(old["pid"], signal.SIGKILL)
    dc.until(10, f"the {role} process's successor runs", lambda: (
        (p := process(e, role)) and p["pid"] != old["pid"]))


def kills_under_load(name):
    role = storage.CONTROLLERS[name][0]
    rng = random.Random(5)
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "disk.raw")
        storage.image(path, 32, name)
        seconds = 2 * KILLS + 4
        with storage.emulator(tmp, name, path, "hammer", f"bhseconds={seconds}") as e:
            e.expect("HAMMER start", 120)
            for i in range(2 * KILLS):
                kill_one(e, role if i % 2 == 0 else "block")
                time.sleep(rng.uniform(0.02, 0.3))
            m = e.expect(r"HAMMER done ops=(\d+) errors=(\d+) bad=(\d+) worst_us=(\d+) gaps", seconds + 90)
            ops, errors, bad, worst = (int(e.text(m, n)) for n in (1, 2, 3, 4))
            storage.finished(e)
            print(f"# {KILLS} kills of {role}, {KILLS} of block, {ops} requests, longest {worst / 1000:.0f} ms")
            assert (errors, bad) == (0, 0), (errors, bad)
            assert ops > 20 * KILLS, ops
            assert not re.search(r"given up", e.err.decode(errors="replace")), e.tail()


NAME = sys.argv.pop(1)


def kills():
    """kill -9 of the controller and of its block process: no error, no lost write"""
    kills_under_load(NAME)


if __name__ == "__main__":
    tap.main(kills)
