# SPDX-License-Identifier: Apache-2.0
"""Starts one device program and plays its vmm: bootstrap channels, control messages, log.

Owns the wire format of the control channel as a test sees it (a hand-written protobuf coder, so that
the tests do not trust the code they test). Must never outlive its child: every Child is killed and
reaped by close(), and every wait has a deadline.
"""
import array
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MSG = {"HELLO": 1, "BOOT": 2, "READY": 3, "PING": 4, "PONG": 5, "SHUTDOWN": 6, "DEVICE_EVENT": 12,
       "NET_LINK": 13, "INFO_REQUEST": 14, "INFO_REPLY": 15,
       "SCREENDUMP": 20, "SCREENDUMP_DONE": 21, "VNC_PASSWORD": 22}
NAME = {v: k for k, v in MSG.items()}
FD_VHOST_USER, FD_IMAGE, FD_CODEPAGE = 1, 2, 3
SBX_REQUIRE, SBX_REDUCED, SBX_OFF = 0, 1, 2
# Numbers 3 and 4 stay taken here, so that nothing the child inherits is in the bootstrap's way.
while os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC) < 4:
    pass


def program(name):
    """Path of a built program: $BULKHEAD_BUILD or build/."""
    build = os.environ.get("BULKHEAD_BUILD", os.path.join(ROOT, "build"))
    path = os.path.join(build, name)
    if not os.access(path, os.X_OK):
        sys.exit(f"{path} is not built")
    return path


def varint(value):
    out = b""
    while True:
        out += bytes([(value & 0x7F) | (0x80 if value > 0x7F else 0)])
        value >>= 7
        if not value:
            return out


def field(number, value):
    """One protobuf field: int and bool as varint, str and bytes length-delimited, lists repeated."""
    if value is None:
        return b""
    if isinstance(value, (list, tuple)):
        return b"".join(field(number, v) for v in value)
    if isinstance(value, (bool, int)):
        return varint(number << 3) + varint(int(value))
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def decode(data):
    """{field number: [values]} of a message without groups."""
    out, at = {}, 0

    def take():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value
    while at < len(data):
        key = take()
        if key & 7 == 0:
            value = take()
        else:
            size = take()
            value = data[at:at + size]
            at += size
        out.setdefault(key >> 3, []).append(value)
    return out


class Child:
    """A device program after exec, before BOOT."""

    def __init__(self, name, wrapper=()):
        self.ctl, ctl_child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.log_sock, log_child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.log = []
        self.generation = 1
        high = ctl_child.fileno(), log_child.fileno()

        def bootstrap():
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)
        self.proc = subprocess.Popen([*wrapper, program(name)], preexec_fn=bootstrap,
                                     close_fds=True, pass_fds=(3, 4),
                                     stdin=subprocess.DEVNULL)
        ctl_child.close()
        log_child.close()

    def send(self, name, payload=b"", fds=()):
        packet = struct.pack("=HHI", MSG[name], 1, self.generation) + payload
        anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.ctl.sendmsg([packet], anc)

    def recv(self, timeout=5.0):
        """(name, fields), or None when the child hung up."""
        ready, _, _ = select.select([self.ctl], [], [], timeout)
        if not ready:
            raise TimeoutError("no control message; log: " + self.log_text())
        data = self.ctl.recv(65536)
        if not data:
            return None
        kind, _, _ = struct.unpack_from("=HHI", data)
        return NAME.get(kind, kind), decode(data[8:])

    def expect(self, name, timeout=5.0):
        got = self.recv(timeout)
        if got is None or got[0] != name:
            raise AssertionError(f"expected {name}, got {got}; log: {self.log_text()}")
        return got[1]

    def boot(self, role, ident, config, fds, sandbox=SBX_REQUIRE, generation=1):
        """fds: list of (kind, descriptor). config: (field number, bytes) of Boot."""
        self.expect("HELLO")
        self.generation = generation
        payload = (field(1, "test") + field(2, role) + field(3, ident) + field(4, generation) +
                   field(5, sandbox) + b"".join(field(6, field(1, kind)) for kind, _ in fds) +
                   field(*config))
        self.send("BOOT", payload, [fd for _, fd in fds])

    def log_text(self):
        while select.select([self.log_sock], [], [], 0)[0]:
            data = self.log_sock.recv(4096)
            if not data:
                break
            size = struct.unpack_from("=II", data)[1]
            self.log.append(data[8:8 + size].decode(errors="replace"))
        return " | ".join(self.log)

    def wait(self, timeout=5.0):
        return self.proc.wait(timeout)

    def kill(self):
        self.proc.send_signal(signal.SIGKILL)
        return self.proc.wait(5)

    def close(self):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait(5)
        self.ctl.close()
        self.log_sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def until(deadline_s, what, condition, step=lambda: time.sleep(0.005)):
    """Polls condition until it is true; AssertionError naming `what` after deadline_s."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        step()
