#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An idle guest costs next to nothing: CPU time of the whole process tree over ten seconds at the shell."""
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import guest
import tap

SECONDS = 10


def cpu_seconds(pids):
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def an_idle_guest_uses_under_three_percent_of_a_core():
    with tempfile.TemporaryDirectory() as tmp:
        args = guest.linux_args(guest.initramfs(tmp), disk_image=guest.disk(tmp),
                                net="user,model=virtio-net-pci")
        with guest.Emulator(args) as e:
            e.shell(120)
            time.sleep(3)
            pids = [p["pid"] for p in e.qmp.cmd("query-processes") if p["pid"]]
            before, begun = cpu_seconds(pids), time.monotonic()
            time.sleep(SECONDS)
            used = (cpu_seconds(pids) - before) / (time.monotonic() - begun)
            print(f"# {used * 100:.1f} % of a core over {SECONDS} s, {len(pids)} processes")
            assert used < 0.03, used


if __name__ == "__main__":
    tap.main(an_idle_guest_uses_under_three_percent_of_a_core)
