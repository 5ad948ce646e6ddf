#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scripts/demo on a terminal: ends in a guest shell with disk and network; a killed block process comes
back under it; Ctrl-a c reaches the monitor and Ctrl-a x leaves."""
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import guest
import tap


class Terminal:
    def __init__(self, *args):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(args[0], args)
        self.out = ""

    def expect(self, pattern, timeout):
        end = time.monotonic() + timeout
        while not (m := re.search(pattern, self.out)):
            left = end - time.monotonic()
            assert left > 0, f"not within {timeout} s: {pattern!r}; seen: {self.out[-1500:]}"
            if select.select([self.fd], [], [], left)[0]:
                try:
                    self.out += os.read(self.fd, 4096).decode(errors="replace")
                except OSError:  # the other end is closed
                    time.sleep(0.05)
        self.out = self.out[m.end():]
        return m

    def type(self, text):
        os.write(self.fd, text.encode())

    def run(self, command, pattern, timeout=30):
        self.type(command + "\n")
        return self.expect(pattern, timeout)

    def end(self, timeout):
        stop = time.monotonic() + timeout
        while time.monotonic() < stop:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    os.read(self.fd, 4096)
                except OSError:
                    pass
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError("did not end")


def children_of(pid):
    out = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True).stdout
    rows = [line.split(None, 2) for line in out.splitlines()]
    found, todo = {}, [pid]
    while todo:
        parent = todo.pop()
        for child, of, args in (r for r in rows if len(r) == 3):
            if int(of) == parent:
                found[int(child)] = args
                todo.append(int(child))
    return found


def the_demonstration_ends_in_a_shell():
    t = Terminal(os.path.join(guest.ROOT, "scripts", "demo"))
    try:
        t.expect(r"Ctrl-a x", 300)
        t.expect(r"~ # ", 120)
        t.run("ls /mnt; echo end$((1+1))", r"README[\s\S]*end2")
        t.run("ping -c 1 10.0.2.2 | grep -c 'seq=0'", r"\n1\r*\n")
        block = [p for p, args in children_of(t.pid).items() if "/block/" in args]
        assert len(block) == 1, block
        t.type("for i in 1 2 3 4 5 6 7 8 9; do dd if=/dev/zero of=/mnt/f$i bs=64k count=16 conv=fsync "
               "2>/dev/null || echo FAI''LED; done; echo wri''tten\n")
        os.kill(block[0], signal.SIGKILL)
        m = t.expect(r"written", 60)
        assert "FAILED" not in m.string, m.string
        t.type("\x01c")
        t.expect(r"\(qemu\) ", 10)
        m = t.run("info processes", r"block +virtio0 +(\d+) +\d+ running +(\d+)", 10)
        assert int(m.group(1)) != block[0] and int(m.group(2)) == 1, m.group(0)
        t.type("\x01x")
        assert t.end(20) == 0
    finally:
        try:
            os.kill(t.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


if __name__ == "__main__":
    tap.main(the_demonstration_ends_in_a_shell)
