# SPDX-License-Identifier: Apache-2.0
"""Plays the vmm towards the real spawner: plan, START, KILL, events, and the control channel of a child.

The layouts of ipc/abi/spawn.h, written down a second time so that the tests do not trust the code they
test. Every wait has a deadline; close() ends the spawner, and with it every child.
"""
import array
import os
import select
import signal
import socket
import struct
import subprocess

import device_child as dc

CPU_WORKER, BLOCK, NET, UI, TRANSLATOR, IDE, AHCI, NVME, SCSI = range(9)
REQUIRE, REDUCED, OFF = range(3)
STARTED, FAILED, EXITED = 1, 2, 3
START, KILL = 1, 2
LAYER = {n: 1 << i for i, n in enumerate(
    ["uid", "mount", "pid", "ipc", "uts", "net", "cgroup", "rlimit", "nocaps", "nnp", "seccomp"])}


def role(program, title, file=-1, host_net=0, pad=0):
    return struct.pack("=IiII32s", program, file, host_net, pad, title)


def plan(roles, sandbox=REQUIRE, files=0, name=b"test", version=1, count=None):
    body = b"".join(roles)
    return struct.pack("=IIII32s", version, sandbox, len(roles) if count is None else count, files,
                       name) + body.ljust(64 * 48, b"\0")


def send(sock, data, fds=()):
    anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([data], anc)


def recv(sock, timeout=10.0):
    """(data, fds); data is empty on hang-up."""
    if not select.select([sock], [], [], timeout)[0]:
        raise TimeoutError("no message from the spawner")
    try:
        data, anc, _, _ = sock.recvmsg(65536, socket.CMSG_SPACE(64))
    except ConnectionResetError:
        return b"", []
    fds = array.array("i")
    for level, kind, content in anc:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(content[:len(content) - len(content) % fds.itemsize])
    return data, list(fds)


class Event:
    def __init__(self, data, fds):
        (self.kind, self.role, self.generation, self.pid, self.uid, self.layers, self.status,
         _, text) = struct.unpack("=IIIiIIiI200s", data)
        self.text = text.split(b"\0")[0].decode(errors="replace")
        self.fds = fds


class Spawner:
    """A spawner with its plan accepted (or refused: .error and .text)."""

    def __init__(self, plan_bytes, files=(), directory=None):
        directory = directory or os.path.dirname(dc.program("bulkhead-spawner"))
        self.sock, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fd = other.fileno()
        self.proc = subprocess.Popen([os.path.join(directory, "bulkhead-spawner"), "--session"],
                                     preexec_fn=lambda: os.dup2(fd, 3), pass_fds=(3,),
                                     stdin=subprocess.DEVNULL)
        other.close()
        self.generation = {}
        self.error = self.text = None
        send(self.sock, plan_bytes, files)
        data, _ = recv(self.sock, 30)
        if data:
            _, self.error, self.uid, self.layers, text = struct.unpack("=IiII200s", data)
            self.text = text.split(b"\0")[0].decode(errors="replace")

    def request(self, op, role_index, generation, arg=0, fds=()):
        send(self.sock, struct.pack("=IIII", op, role_index, generation, arg), fds)

    def event(self, kind=None, timeout=10.0):
        """The next event; of this kind, or AssertionError. None when the spawner hung up."""
        data, fds = recv(self.sock, timeout)
        if not data:
            return None
        ev = Event(data, fds)
        if kind is not None and ev.kind != kind:
            raise AssertionError(f"event {ev.kind} ({ev.text}, status {ev.status}), expected {kind}")
        return ev

    def start(self, role_index):
        """A child, started, with its control channel."""
        self.generation[role_index] = self.generation.get(role_index, 0) + 1
        return Incarnation(self, role_index, self.generation[role_index])

    def close(self):
        self.sock.close()
        try:
            self.proc.wait(5)
        except subprocess.TimeoutExpired:
            self.proc.send_signal(signal.SIGKILL)
            self.proc.wait(5)
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Incarnation(dc.Child):
    """dc.Child, but the spawner is its parent."""

    def __init__(self, spawner, role_index, generation):
        self.spawner, self.role_index = spawner, role_index
        self.ctl, ctl_child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.log_sock, log_child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.log, self.generation = [], generation
        spawner.request(START, role_index, generation, 0, (ctl_child.fileno(), log_child.fileno()))
        ctl_child.close()
        log_child.close()
        self.started = spawner.event(STARTED)
        self.pid = self.started.pid

    def wait(self, timeout=5.0):
        """Wait status of the EXITED event."""
        return self.spawner.event(EXITED, timeout).status

    def kill(self):
        self.spawner.request(KILL, self.role_index, self.generation, signal.SIGKILL)
        return self.wait()

    def close(self):
        self.ctl.close()
        self.log_sock.close()
        for fd in self.started.fds:
            os.close(fd)
