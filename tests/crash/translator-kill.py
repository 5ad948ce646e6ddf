#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the translator under a running guest: a successor comes each time, the guest notices nothing and its
work stays right.

BULKHEAD_KILLS: how many (default 20).
"""
import os
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import guest
import tap

KILLS = int(os.environ.get("BULKHEAD_KILLS", "20"))


def process(emu, role):
    return next((p for p in emu.qmp.cmd("query-processes") if p["role"] == role and p["state"] == "running"), None)


def successor(emu, old):
    """The translator that is not `old`, within five seconds."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        new = process(emu, "translator")
        if new and new["pid"] != old["pid"]:
            return new
        time.sleep(0.02)
    raise AssertionError(f"no successor of {old}")


def kills_under_a_running_guest():
    with tempfile.TemporaryDirectory() as tmp:
        args = guest.linux_args(guest.initramfs(tmp), "bhtest=count-loop bhcount=100000")
        with guest.Emulator(args) as e:
            e.expect("COUNT OK", 120)
            worker = process(e, "cpu-worker")
            for n in range(KILLS):
                old = process(e, "translator")
                os.kill(old["pid"], signal.SIGKILL)
                e.seen = len(e.out)
                e.expect("COUNT OK", 60)  # a round of the guest's work, with the right result
                new = successor(e, old)
                assert new["restarts"] == old["restarts"] + 1, (old, new)
            assert process(e, "cpu-worker")["pid"] == worker["pid"], "the vCPU went with it"
            assert b"COUNT FAIL" not in e.out, e.out[-2000:]
            e.qmp.cmd("quit")
            assert e.wait(30) == 0


if __name__ == "__main__":
    dc.program("bulkhead-translator")
    tap.main(kills_under_a_running_guest)
