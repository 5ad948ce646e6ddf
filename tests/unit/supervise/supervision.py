#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The process tree of a VM that never runs a guest (-S): children killed, stopped and brought back, the
cpu-worker and the spawner lost, orderly ends, and start-ups that must fail with one line.
"""
import os
import signal
import socket
import statistics
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import device_child as dc
import guest
import tap

KILLS = 20


def machine(tmp, *extra, wait=True):
    image = os.path.join(tmp, "disk.raw")
    with open(image, "wb") as f:
        f.truncate(1 << 20)
    e = guest.Emulator(["-M", "pc", "-m", "128", "-nodefaults", "-display", "none", "-serial", "none",
                        "-monitor", "none", "-S", "-kernel", guest.kernel(),
                        "-drive", f"file={image},format=raw,if=virtio", *extra])
    if wait:
        dc.until(30, "every process runs", lambda: all(
            p["state"] == "running" for p in e.qmp.cmd("query-processes")))
    return e


def process(e, role):
    return next(p for p in e.qmp.cmd("query-processes") if p["role"] == role)


def gone(pids):
    def alive(pid):
        try:
            with open(f"/proc/{pid}/stat") as f:
                return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return False
    dc.until(10, "every process has ended", lambda: not any(alive(p) for p in pids))


def children_killed_come_back():
    with tempfile.TemporaryDirectory() as tmp, machine(tmp, "-nic", "user,model=virtio-net-pci") as e:
        for role in ("block", "net", "ui"):
            times = []
            for n in range(1, KILLS + 1):
                old = process(e, role)
                begun = time.monotonic()
                os.kill(old["pid"], signal.SIGKILL)
                data = e.qmp.event("BULKHEAD_PROCESS_RESTARTED")["data"]
                times.append((time.monotonic() - begun) * 1000)
                assert (data["role"], data["restarts"]) == (role, n), data
                assert data["pid"] != old["pid"] and data["generation"] == n + 1, data
            print(f"# {role}: {KILLS} kills, back after {statistics.median(times):.1f} ms (median), "
                  f"{max(times):.1f} ms (worst)")
            assert process(e, role)["state"] == "running"


def a_child_that_hangs_is_replaced():
    with tempfile.TemporaryDirectory() as tmp, machine(tmp) as e:
        old = process(e, "block")
        os.kill(old["pid"], signal.SIGSTOP)
        crash = e.qmp.event("BULKHEAD_PROCESS_CRASHED")["data"]
        assert "answer" in crash["reason"], crash
        assert e.qmp.event("BULKHEAD_PROCESS_RESTARTED")["data"]["role"] == "block"


def a_lost_worker_stops_the_machine_until_reset():
    with tempfile.TemporaryDirectory() as tmp, machine(tmp) as e:
        os.kill(process(e, "cpu-worker")["pid"], signal.SIGKILL)
        e.qmp.event("BULKHEAD_PROCESS_CRASHED")
        dc.until(5, "internal-error",
                 lambda: e.qmp.cmd("query-status")["status"] == "internal-error")
        try:
            e.qmp.cmd("cont")
            raise AssertionError("cont was accepted without a cpu-worker")
        except RuntimeError as refused:
            assert "eset" in str(refused), refused
        assert process(e, "cpu-worker")["state"] == "failed"
        e.qmp.cmd("system_reset")
        assert e.qmp.event("BULKHEAD_PROCESS_RESTARTED")["data"]["role"] == "cpu-worker"
        e.qmp.event("RESET")


def nothing_survives_the_spawner():
    with tempfile.TemporaryDirectory() as tmp, machine(tmp) as e:
        procs = e.qmp.cmd("query-processes")
        os.kill(next(p["pid"] for p in procs if p["role"] == "spawner"), signal.SIGKILL)
        assert e.wait(10) == 1
        gone([p["pid"] for p in procs])
        assert b"the spawner died" in e.err, e.err


def a_polite_signal_is_an_orderly_end():
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with tempfile.TemporaryDirectory() as tmp, machine(tmp) as e:
            pids = [p["pid"] for p in e.qmp.cmd("query-processes")]
            e.proc.send_signal(sig)
            assert e.qmp.event("SHUTDOWN")["data"]["reason"] == "host-signal"
            assert e.wait(10) == 0
            gone(pids)


def a_port_in_use_is_one_line():
    with tempfile.TemporaryDirectory() as tmp, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with machine(tmp, "-nic", f"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{port}-:22",
                     wait=False) as e:
            assert e.wait(20) == 1
            lines = e.err.decode().splitlines()
            assert len(lines) == 1 and str(port) in lines[0], lines


def an_image_in_use_is_one_line():
    with tempfile.TemporaryDirectory() as tmp, machine(tmp):
        with machine(tmp, wait=False) as second:
            assert second.wait(20) == 1
            lines = second.err.decode().splitlines()
            assert len(lines) == 1 and "disk.raw is in use by another process" in lines[0], lines


def daemonize_returns_when_the_machine_is_there():
    with tempfile.TemporaryDirectory() as tmp:
        pidfile = os.path.join(tmp, "pid")
        with machine(tmp, "-daemonize", "-pidfile", pidfile, wait=False) as e:
            assert e.wait(20) == 0, e.tail()
            assert process(e, "vmm")["pid"] == int(open(pidfile).read())
            pids = [p["pid"] for p in e.qmp.cmd("query-processes")]
            e.qmp.cmd("quit")
            gone(pids)
            assert not os.path.exists(pidfile) or open(pidfile).read() == ""


if __name__ == "__main__":
    tap.main(children_killed_come_back, a_child_that_hangs_is_replaced,
             a_lost_worker_stops_the_machine_until_reset, nothing_survives_the_spawner,
             a_polite_signal_is_an_orderly_end, a_port_in_use_is_one_line,
             an_image_in_use_is_one_line, daemonize_returns_when_the_machine_is_there)
