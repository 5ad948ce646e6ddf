# SPDX-License-Identifier: Apache-2.0
"""A vhost-user front end and a guest's virtqueue driver in one, for tests of back ends.

Guest memory is a memfd of our own; the rings are laid out by hand (virtio 1.2, 2.7). Must never
share code with the project's own front end.
"""
import array
import mmap
import os
import select
import socket
import struct

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = 8, 9, 10, 11
SET_VRING_KICK, SET_VRING_CALL, GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES = 12, 13, 15, 16
SET_VRING_ENABLE, SET_BACKEND_REQ_FD, GET_CONFIG = 18, 21, 24
F_PROTOCOL = 30
P_MQ, P_REPLY_ACK, P_BACKEND_REQ, P_CONFIG = 0, 3, 5, 9
DESC_NEXT, DESC_WRITE, DESC_INDIRECT = 1, 2, 4
UVA = 0x7000_0000_0000  # where the "vmm" claims to have the memory


class Ring:
    """One split virtqueue. Descriptors are used as slots: chain i starts at descriptor i * per."""

    def __init__(self, guest, index, base, size):
        self.guest, self.index, self.size = guest, index, size
        self.desc, self.avail, self.used = base, base + 16 * size, base + 16 * size + 8192
        self.avail_idx = self.seen = 0
        self.kick, self.call = os.eventfd(0, os.EFD_NONBLOCK), os.eventfd(0, os.EFD_NONBLOCK)

    def put_desc(self, i, addr, length, flags=0, nxt=0):
        struct.pack_into("<QIHH", self.guest.mem, self.desc + 16 * i, addr, length, flags, nxt)

    def offer(self, head, publish=True):
        struct.pack_into("<H", self.guest.mem,
                         self.avail + 4 + 2 * (self.avail_idx % self.size), head)
        self.avail_idx = (self.avail_idx + 1) & 0xFFFF
        if publish:
            self.publish()

    def publish(self):
        # One store: struct.pack_into would write byte by byte, and the device could see half.
        self.guest.words[self.avail // 2 + 1] = self.avail_idx

    def used_idx(self):
        return self.guest.words[self.used // 2 + 1]

    def used_take(self):
        """(head, written) of the next used element, or None."""
        if self.seen == self.used_idx():
            return None
        at = self.used + 4 + 8 * (self.seen % self.size)
        self.seen = (self.seen + 1) & 0xFFFF
        return struct.unpack_from("<II", self.guest.mem, at)

    def notify(self):
        flags = struct.unpack_from("<H", self.guest.mem, self.used)[0]
        if not flags & 1:
            self.kick_now()

    def kick_now(self):
        os.eventfd_write(self.kick, 1)

    def clear_call(self):
        try:
            return os.eventfd_read(self.call)
        except BlockingIOError:
            return 0


class VuDriver:
    def __init__(self, queues, ram_mib=32, size=256):
        self.fd = os.memfd_create("guest-ram")
        self.ram = ram_mib << 20
        os.ftruncate(self.fd, self.ram)
        self.mem = mmap.mmap(self.fd, self.ram)
        self.words = memoryview(self.mem).cast("H")
        self.rings = [Ring(self, i, 0x10000 + i * 0x10000, size) for i in range(queues)]
        self.sock = self.back = None
        self.features = 0

    def socket_for_child(self):
        """A new connection: returns the back end's descriptor, the caller closes it."""
        if self.sock:
            self.sock.close()
        self.sock, child = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(5)
        return child.detach()

    def msg(self, request, payload=b"", fds=(), reply=False):
        need_ack = self.acks and not reply
        flags = 1 | (8 if need_ack else 0)
        anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([struct.pack("<III", request, flags, len(payload)) + payload], anc)
        if not reply and not need_ack:
            return None
        header = self.exactly(12)
        got, flags, size = struct.unpack("<III", header)
        assert got == request and flags & 4, f"reply to {request}: {got} {flags:#x}"
        body = self.exactly(size)
        if not reply:
            status = struct.unpack("<Q", body)[0]
            assert status == 0, f"request {request} refused"
        return body

    def exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.sock.recv(size - len(data))
            if not part:
                raise ConnectionError("the back end closed the connection")
            data += part
        return data

    def connect(self):
        self.acks = False
        self.offered = struct.unpack("<Q", self.msg(GET_FEATURES, reply=True))[0]
        assert self.offered >> F_PROTOCOL & 1
        proto = struct.unpack("<Q", self.msg(GET_PROTOCOL_FEATURES, reply=True))[0]
        self.proto = proto & (1 << P_REPLY_ACK | 1 << P_CONFIG | 1 << P_BACKEND_REQ | 1 << P_MQ)
        self.msg(SET_PROTOCOL_FEATURES, struct.pack("<Q", self.proto))
        self.acks = bool(self.proto >> P_REPLY_ACK & 1)
        self.msg(SET_OWNER)
        if self.proto >> P_BACKEND_REQ & 1:
            self.back, child = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            self.msg(SET_BACKEND_REQ_FD, fds=[child.fileno()])
            child.close()

    def start(self, features):
        """features: what the driver wants of what is offered."""
        self.features = features & self.offered
        self.msg(SET_FEATURES, struct.pack("<Q", self.features | 1 << F_PROTOCOL))
        self.msg(SET_MEM_TABLE, struct.pack("<IIQQQQ", 1, 0, 0, self.ram, UVA, 0), [self.fd])
        for ring in self.rings:
            self.ring_start(ring)

    def ring_start(self, ring):
        i = ring.index
        self.msg(SET_VRING_NUM, struct.pack("<II", i, ring.size))
        # In-order device: the used index is where it stopped.
        self.msg(SET_VRING_BASE, struct.pack("<II", i, ring.used_idx()))
        self.msg(SET_VRING_ADDR, struct.pack("<IIQQQQ", i, 0, UVA + ring.desc, UVA + ring.used,
                                             UVA + ring.avail, 0))
        self.msg(SET_VRING_CALL, struct.pack("<Q", i), [ring.call])
        self.msg(SET_VRING_KICK, struct.pack("<Q", i), [ring.kick])
        self.msg(SET_VRING_ENABLE, struct.pack("<II", i, 1))

    def ring_stop(self, ring):
        return struct.unpack("<II", self.msg(GET_VRING_BASE, struct.pack("<II", ring.index, 0),
                                             reply=True))[1]

    def config(self, off, size):
        """Device configuration bytes. The specification's payload: offset, size, flags, data."""
        body = self.msg(GET_CONFIG, struct.pack("<III", off, size, 0) + bytes(size), reply=True)
        assert len(body) == 12 + size, "configuration read refused"
        return body[12:]

    def back_message(self, timeout=5.0):
        """Number of the next message of the BACKEND_REQ channel."""
        if not select.select([self.back], [], [], timeout)[0]:
            raise TimeoutError("nothing on the back end's request channel")
        header = self.back.recv(12)
        request, flags, size = struct.unpack("<III", header)
        if size:
            self.back.recv(size)
        if flags & 8:
            self.back.sendall(struct.pack("<IIIQ", request, 5, 8, 0))
        return request
