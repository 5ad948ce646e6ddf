#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel on several vCPUs: all come up with the topology asked for, go off and on line, work in
parallel, survive stop and cont under load, and power off; the kernel complains of nothing.
BULKHEAD_TEST_LONG=1: more stops, and ten boots in a row."""
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import guest
import tap

LONG = os.environ.get("BULKHEAD_TEST_LONG") == "1"
COMPLAINT = re.compile(r"BUG|WARNING:|stall|soft lockup|hung task|[Uu]nstable|inconsistent|TSC warp|not responding")


def args(initrd, smp, append=""):
    a = guest.linux_args(initrd, append=append)
    a[a.index("-smp") + 1] = smp
    return a


def the_topology_is_the_one_asked_for():
    with tempfile.TemporaryDirectory() as tmp:
        initrd = guest.initramfs(tmp)
        with guest.Emulator(args(initrd, "4,sockets=1,cores=2,threads=2", "loglevel=7")) as e:
            e.shell(120)
            assert e.run("cat /sys/devices/system/cpu/online")[1].strip() == "0-3"
            cores = e.run("cat /sys/devices/system/cpu/cpu*/topology/core_id")[1].split()
            assert cores == ["0", "0", "1", "1"], cores
            assert len(e.qmp.hmp("info cpus").strip().splitlines()) == 4
            props = [c["props"] for c in e.qmp.cmd("query-cpus-fast")]
            assert [(p["core-id"], p["thread-id"]) for p in props] == [(0, 0), (0, 1), (1, 0), (1, 1)]
            offline_and_online(e)
            stop_and_cont(e, 100 if LONG else 20)
            log = e.run("dmesg")[1]
            bad = [line for line in log.splitlines() if COMPLAINT.search(line)]
            assert not bad, bad
            e.send("poweroff -f\n")
            assert e.wait(60) == 0


def offline_and_online(e):
    for cpu in (3, 1):
        assert e.run(f"echo 0 > /sys/devices/system/cpu/cpu{cpu}/online")[0] == 0
    assert e.run("cat /sys/devices/system/cpu/online")[1].strip() == "0,2"
    for cpu in (3, 1):
        assert e.run(f"echo 1 > /sys/devices/system/cpu/cpu{cpu}/online")[0] == 0
    assert e.run("cat /sys/devices/system/cpu/online")[1].strip() == "0-3"


def stop_and_cont(e, times):
    """A load on every vCPU that ends only if each of them goes on after every stop."""
    e.run("for i in 1 2 3 4; do (while [ ! -e /stop ]; do n=$((n+1)); : | cat; done; echo done >> /ends) & done")
    for _ in range(times):
        e.qmp.cmd("stop")
        assert e.qmp.cmd("query-status")["status"] == "paused"
        e.qmp.cmd("cont")
    e.run("touch /stop; while [ \"$(wc -l < /ends)\" != 4 ]; do sleep 0.1; done", 60)


def a_restart_brings_all_of_them_back():
    with tempfile.TemporaryDirectory() as tmp:
        a = args(guest.initramfs(tmp), "4")
        a.remove("-no-reboot")
        with guest.Emulator(a) as e:
            e.shell(120)
            e.qmp.cmd("system_reset")
            e.seen = len(e.out)
            e.shell(120)
            assert e.run("cat /sys/devices/system/cpu/online")[1].strip() == "0-3"


def ten_boots_in_a_row():
    with tempfile.TemporaryDirectory() as tmp:
        initrd = guest.initramfs(tmp)
        for n in range(10):
            with guest.Emulator(args(initrd, "4", "bhtest=boot-poweroff")) as e:
                e.expect("BHTEST boot-poweroff exit=0", 120)
                assert e.wait(30) == 0, n


if __name__ == "__main__":
    tests = [the_topology_is_the_one_asked_for, a_restart_brings_all_of_them_back]
    tap.main(*tests, *([ten_boots_in_a_row] if LONG else []))
