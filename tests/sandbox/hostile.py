#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every attempt of tests/sandbox/hostile.c: it succeeds without a sandbox and fails in every role."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import spawner as sp
import tap

ROLES = ["cpu-worker", "block", "net", "ui", "translator", "ide", "ahci", "nvme", "scsi"]
# What a role is meant to be able to do.
GRANTED = {("net", "socket_tcp")}
# Refused with an error instead of death, because libc tries them by itself.
SOFT = {"open_passwd", "open_proc_mem", "create"}


def hostile():
    for sub in ("hostile", "tests/sandbox/hostile"):
        path = os.path.join(os.path.dirname(dc.program("bulkhead-spawner")), sub)
        if os.access(path, os.X_OK):
            return path
    raise tap.Skip("hostile is not built")


def attempts():
    return subprocess.run([hostile(), "--list"], capture_output=True, text=True,
                          check=True).stdout.split()


def root_only():
    if os.geteuid() != 0:
        raise tap.Skip("needs root for the negative control and for one UID per process")


def each_attempt_succeeds_without_a_sandbox():
    root_only()
    weak = []
    for name in attempts():
        run = subprocess.run([hostile(), "--control", name], capture_output=True, text=True,
                             timeout=10)
        if run.returncode != 0:
            weak.append(f"{name}: {run.stdout.strip()}")
    # `exec` replaces the process: success is an empty output and status 0.
    assert not weak, "; ".join(weak)


def jail(directory):
    for name in ROLES:
        shutil.copy(hostile(), os.path.join(directory, "bulkhead-" + name))
    shutil.copy(dc.program("bulkhead-spawner"), directory)
    os.chmod(directory, 0o755)


def judge(role, name, child, status, reply):
    """None, or what is wrong."""
    if (role, name) in GRANTED:
        return None if reply == "SUCCEEDED" else f"{name}: granted, but {reply or status}"
    if reply == "SUCCEEDED":
        return f"{name}: succeeded"
    if name in SOFT:
        return None if reply == os.strerror(2) else f"{name}: {reply or status}"
    if reply is not None or not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGSYS:
        return f"{name}: {reply}, status {status}, instead of SIGSYS"
    if name != "int80" and "forbidden system call" not in child.log_text():
        return f"{name}: not named on the log channel"
    return None


def try_all(role):
    root_only()
    bad = []
    with tempfile.TemporaryDirectory() as directory:
        jail(directory)
        plan = sp.plan([sp.role(ROLES.index(role), role.encode())])
        with sp.Spawner(plan, directory=directory) as s:
            assert s.error == 0, s.text
            for name in attempts():
                with s.start(0) as c:
                    c.boot(role, "x0", (1, None), [], generation=c.generation)
                    assert c.expect("READY")[1] == [31]
                    c.send("INFO_REQUEST", dc.field(1, 1) + dc.field(2, name))
                    got = c.recv()
                    reply = got[1][2][0].decode() if got else None
                    status = c.kill() if got else c.wait()
                    bad.append(judge(role, name, c, status, reply))
    bad = [b for b in bad if b]
    assert not bad, "; ".join(bad)


def each_attempt_fails_in_the_cpu_worker():
    try_all("cpu-worker")


def each_attempt_fails_in_block():
    try_all("block")


def each_attempt_fails_in_net():
    try_all("net")


def each_attempt_fails_in_ui():
    try_all("ui")


def each_attempt_fails_in_the_controllers():
    for role in ("ide", "ahci", "nvme", "scsi"):
        try_all(role)


def each_attempt_fails_in_the_translator():
    try_all("translator")


if __name__ == "__main__":
    tap.main(each_attempt_succeeds_without_a_sandbox, each_attempt_fails_in_the_cpu_worker,
             each_attempt_fails_in_block, each_attempt_fails_in_net, each_attempt_fails_in_ui,
             each_attempt_fails_in_the_translator,
             each_attempt_fails_in_the_controllers)
