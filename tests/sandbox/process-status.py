#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every process of a running VM but the spawner: a UID of its own, no capabilities, system-call filter,
no new privileges, an empty root, namespaces of its own; and nothing survives the VM.

Needs root (UIDs of their own); skipped otherwise.
"""
import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import guest
import tap


def status(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def alive(pid):
    try:
        return status(pid)["State"][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def started(tmp):
    initrd = guest.initramfs(tmp)
    return guest.Emulator(guest.linux_args(initrd, disk_image=guest.disk(tmp),
                                           net="user,model=virtio-net-pci"))


def running(e):
    procs = e.qmp.cmd("query-processes")
    roles = {p["role"] for p in procs if p["state"] == "running"}
    return procs if {"vmm", "cpu-worker", "block", "net", "ui"} <= roles else None


def every_process_is_confined():
    if os.getuid():
        raise tap.Skip("needs root")
    with tempfile.TemporaryDirectory() as tmp, started(tmp) as e:
        procs = dc.until(30, "all processes run", lambda: running(e))
        uids = {}
        for p in procs:
            if p["role"] == "spawner":
                continue
            s, pid = status(p["pid"]), p["pid"]
            uid = int(s["Uid"].split()[0])
            assert uid != 0 and uid == p["uid"], (p, uid)
            assert len(set(s["Uid"].split())) == 1 and len(set(s["Gid"].split())) == 1, s["Uid"]
            assert uid not in uids, f"{p['role']} shares UID {uid} with {uids[uid]}"
            uids[uid] = p["role"]
            for key in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
                assert int(s[key], 16) == 0, f"{p['role']}: {key} {s[key]}"
            assert s["Seccomp"] == "2" and s["NoNewPrivs"] == "1", f"{p['role']}: {s['Seccomp']}"
            if p["role"] == "vmm":
                continue
            assert os.listdir(f"/proc/{pid}/root") == [], f"{p['role']}: root is not empty"
            for ns in ("mnt", "pid", "ipc", "uts") + (() if p["role"] == "net" else ("net",)):
                assert os.readlink(f"/proc/{pid}/ns/{ns}") != os.readlink(f"/proc/self/ns/{ns}"), \
                    f"{p['role']}: {ns} namespace is the host's"
            for fd in (0, 1, 2):
                assert os.readlink(f"/proc/{pid}/fd/{fd}") in ("/dev/null", "/null"), \
                    f"{p['role']}: fd {fd} is {os.readlink(f'/proc/{pid}/fd/{fd}')}"
        print("# " + ", ".join(f"{r} {u}" for u, r in uids.items()))


def nothing_survives_the_vm():
    with tempfile.TemporaryDirectory() as tmp, started(tmp) as e:
        pids = [p["pid"] for p in dc.until(30, "all processes run", lambda: running(e))]
        vmm = next(p["pid"] for p in e.qmp.cmd("query-processes") if p["role"] == "vmm")
        os.kill(vmm, signal.SIGKILL)
        dc.until(10, "every process has ended", lambda: not any(alive(p) for p in pids if p != vmm))


if __name__ == "__main__":
    tap.main(every_process_is_confined, nothing_survives_the_vm)
