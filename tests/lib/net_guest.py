# SPDX-License-Identifier: Apache-2.0
"""A guest with a network card, small enough to read: virtio-net driver, ARP, DHCP, ICMP, UDP, TCP.

Drives bulkhead-net through vu_driver. TCP is a client for a link that loses nothing. Must never use
the host's own network stack for the guest's side.
"""
import os
import select
import socket
import struct
import time

import device_child as dc
import vu_driver as vu

F_CSUM, F_GUEST_CSUM, F_MTU, F_MAC, F_HOST_TSO4, F_MRG, F_STATUS = 0, 1, 3, 5, 11, 15, 16
F_INDIRECT, F_EVENT_IDX, F_VERSION_1, F_IN_ORDER = 28, 29, 32, 35
DEFAULT = sum(1 << b for b in (F_CSUM, F_GUEST_CSUM, F_MAC, F_HOST_TSO4, F_MRG, F_STATUS,
                               F_VERSION_1, F_IN_ORDER))
MAC = bytes.fromhex("525400123456")
HOST, DNS = "10.0.2.2", "10.0.2.3"
RX_BUF, TX_SLOT = 0x100000, 0x400000
RX_SIZE, TX_SIZE = 2048, 0x11000


def net_config(**kw):
    """NetConfig bytes. hostfwd: list of (udp, host address, port, guest address, port)."""
    number = {"backend": 1, "mac": 2, "net": 3, "host": 4, "dhcpstart": 5, "dns": 6, "hostname": 7,
              "domainname": 8, "dnssearch": 9, "restricted": 10, "ipv4": 11, "ipv6": 12,
              "ipv6_net": 13, "ipv6_host": 14, "ipv6_dns": 15, "tftp": 17, "bootfile": 18,
              "link_down": 19, "mtu": 20, "host_dns": 21}
    values = {"backend": "user", "mac": MAC}
    values.update(kw)
    out = b""
    for fwd in values.pop("hostfwd", []):
        out += dc.field(16, b"".join(dc.field(i + 1, v) for i, v in enumerate(fwd)))
    return b"".join(dc.field(number[k], v) for k, v in values.items()) + out


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(src, dst, proto, payload):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, proto, 0,
                         socket.inet_aton(src), socket.inet_aton(dst))
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def l4sum(src, dst, proto, payload):
    pseudo = socket.inet_aton(src) + socket.inet_aton(dst) + struct.pack("!BBH", 0, proto,
                                                                         len(payload))
    return checksum(pseudo + payload)


class NetGuest:
    def __init__(self, config=None, features=DEFAULT, sandbox=dc.SBX_REQUIRE, wrapper=()):
        self.conf = config or net_config()
        self.sandbox, self.wrapper = sandbox, wrapper
        self.want = features
        self.drv = vu.VuDriver(2)
        self.rx, self.tx = self.drv.rings
        self.child = None
        self.frames = []
        self.generation = 0
        self.ip, self.gw_mac = "10.0.2.15", None
        self.port = 40000
        self.hdr = 12
        self.partial = None  # a merged frame not complete yet: [left, bytes]
        self.flags_seen = set()

    # -- life ------------------------------------------------------------------------------------
    def boot(self):
        self.generation += 1
        self.child = dc.Child("bulkhead-net", self.wrapper)
        fd = self.drv.socket_for_child()
        self.child.boot("net", "net0", (11, self.conf), [(dc.FD_VHOST_USER, fd)], self.sandbox,
                        self.generation)
        os.close(fd)

    def start(self):
        self.boot()
        self.ready = self.child.expect("READY")
        self.drv.connect()
        wide = self.want & (1 << F_VERSION_1 | 1 << F_MRG)
        self.hdr = 12 if wide else 10
        self.drv.start(self.want)
        if self.generation == 1:
            for i in range(self.rx.size):
                self.rx_offer(i, publish=False)
            self.rx.publish()
        self.rx.kick_now()
        self.tx.kick_now()
        return self

    def restart(self):
        """kill -9, then a successor as the vmm would start it."""
        self.child.close()
        return self.start()

    def close(self):
        if self.child:
            self.child.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- card ------------------------------------------------------------------------------------
    def rx_offer(self, i, publish=True):
        self.rx.put_desc(i, RX_BUF + i * RX_SIZE, RX_SIZE, vu.DESC_WRITE)
        self.rx.offer(i, publish)

    def send(self, frame, flags=0, gso=0, start=0, offset=0, gso_size=0):
        hdr = struct.pack("<BBHHHHH", flags, gso, 54 if gso else 0, gso_size, start, offset, 0)
        data = hdr[:self.hdr] + frame
        slot = self.tx.avail_idx % 64
        dc.until(5, "a free transmit slot",
                 lambda: ((self.tx.avail_idx - self.tx.used_idx()) & 0xFFFF) < 64)
        at = TX_SLOT + slot * TX_SIZE
        self.drv.mem[at:at + len(data)] = data
        self.tx.put_desc(slot, at, len(data))
        self.tx.offer(slot)
        self.tx.notify()

    def collect(self):
        """Moves used receive buffers into self.frames and offers them again."""
        taken = False
        while (used := self.rx.used_take()) is not None:
            head, length = used
            at = RX_BUF + head * RX_SIZE
            data = bytes(self.drv.mem[at:at + length])
            self.rx_offer(head, publish=False)
            taken = True
            if self.partial:
                self.partial[0] -= 1
                self.partial[1] += data
            else:
                self.flags_seen.add(data[0])
                count = struct.unpack_from("<H", data, 10)[0] if self.hdr == 12 else 1
                self.partial = [count - 1, data[self.hdr:]]
            if self.partial[0] == 0:
                self.frames.append(self.partial[1])
                self.partial = None
        if taken:
            self.rx.publish()
            self.rx.notify()

    def frame(self, match, timeout=5.0):
        """The next frame for which match(frame) is true-ish; others are answered or dropped."""
        end = time.monotonic() + timeout
        while True:
            self.collect()
            while self.frames:
                f = self.frames.pop(0)
                if self.arp_answer(f):
                    continue
                found = match(f)
                if found:
                    return found
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("no such frame; log: " + self.child.log_text())
            select.select([self.rx.call], [], [], min(left, 0.5))
            self.rx.clear_call()

    # -- ARP, IPv4 -------------------------------------------------------------------------------
    def arp_answer(self, f):
        if f[12:14] != b"\x08\x06" or f[20:22] != b"\0\1" or f[38:42] != socket.inet_aton(self.ip):
            return False
        self.send(f[6:12] + MAC + f[12:20] + b"\0\2" + MAC + f[38:42] + f[22:32])
        return True

    def arp(self, ip, timeout=5.0):
        body = struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 1, MAC, socket.inet_aton(self.ip),
                           bytes(6), socket.inet_aton(ip))
        self.send(b"\xff" * 6 + MAC + b"\x08\x06" + body)
        return self.frame(lambda f: f[12:14] == b"\x08\x06" and f[20:22] == b"\0\2" and
                          f[28:32] == socket.inet_aton(ip) and f[22:28], timeout)

    def ip_send(self, dst, proto, payload, mac=None, src=None, **kw):
        if mac is None:
            if not self.gw_mac:
                self.gw_mac = self.arp(HOST)
            mac = self.gw_mac
        self.send(mac + MAC + b"\x08\x00" + ipv4(src or self.ip, dst, proto, payload), **kw)

    @staticmethod
    def ip_parse(f, proto, src=None):
        """Payload of an IPv4 packet of this protocol (and source), or None."""
        if f[12:14] != b"\x08\x00" or f[23] != proto:
            return None
        if src and f[26:30] != socket.inet_aton(src):
            return None
        assert checksum(f[14:34]) == 0, "IPv4 header checksum"
        return f[34:14 + struct.unpack_from("!H", f, 16)[0]]

    def ping(self, dst, timeout=5.0):
        echo = struct.pack("!BBHHH", 8, 0, 0, 77, 1) + b"bulkhead ping"
        echo = echo[:2] + struct.pack("!H", checksum(echo)) + echo[4:]
        self.ip_send(dst, 1, echo)
        def match(f):
            p = self.ip_parse(f, 1, dst)
            return p and p[0] == 0 and p[4:8] == echo[4:8] and p[8:] == echo[8:]
        return self.frame(match, timeout)

    # -- UDP, DHCP -------------------------------------------------------------------------------
    def udp_send(self, dst, sport, dport, data, **kw):
        src = kw.get("src") or self.ip
        packet = struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data
        packet = packet[:6] + struct.pack("!H", l4sum(src, dst, 17, packet) or 0xFFFF) + packet[8:]
        self.ip_send(dst, 17, packet, **kw)

    def udp_recv(self, dport, timeout=5.0):
        """(source address, source port, data) of the next datagram to our port."""
        def match(f):
            p = self.ip_parse(f, 17)
            if not p or struct.unpack_from("!H", p, 2)[0] != dport:
                return None
            return socket.inet_ntoa(f[26:30]), struct.unpack_from("!H", p)[0], p[8:]
        return self.frame(match, timeout)

    def dhcp(self, kind, requested=None, timeout=5.0):
        """Sends DISCOVER (1) or REQUEST (3); (address, {option: value}) of the answer."""
        options = b"\x63\x82\x53\x63" + bytes([53, 1, kind])
        if requested:
            options += bytes([50, 4]) + socket.inet_aton(requested)
        body = struct.pack("!BBBBIHH", 1, 1, 6, 0, 0x1234, 0, 0) + bytes(16) + MAC + bytes(202)
        self.udp_send("255.255.255.255", 68, 67, body + options + b"\xff" + bytes(60),
                      mac=b"\xff" * 6, src="0.0.0.0")
        _, _, data = self.udp_recv(68, timeout)
        out, at = {}, 240
        while data[at] != 255:
            if data[at] == 0:
                at += 1
                continue
            out[data[at]] = data[at + 2:at + 2 + data[at + 1]]
            at += 2 + data[at + 1]
        return socket.inet_ntoa(data[16:20]), out


class Tcp:
    """One connection of the guest, active or passive."""

    def __init__(self, guest, dst, dport, sport=None, timeout=5.0):
        guest.port += 1
        self.g, self.dst, self.dport = guest, dst, dport
        self.sport = sport or guest.port
        self.seq, self.ack, self.fin = 1000, 0, False
        self.timeout = timeout
        self.data = b""

    def segment(self, flags, data=b"", offload=False, gso_size=0):
        head = struct.pack("!HHIIBBHHH", self.sport, self.dport, self.seq & 0xFFFFFFFF,
                           self.ack & 0xFFFFFFFF, 0x50, flags, 0xFFFF, 0, 0)
        kw = {}
        if offload:  # the pseudo header's sum only, as a driver leaves it
            pseudo = (socket.inet_aton(self.g.ip) + socket.inet_aton(self.dst) +
                      struct.pack("!BBH", 0, 6, 20 + len(data)))
            csum = ~checksum(pseudo) & 0xFFFF
            kw = {"flags": 1, "start": 34, "offset": 16, "gso": 1 if gso_size else 0,
                  "gso_size": gso_size}
        else:
            csum = l4sum(self.g.ip, self.dst, 6, head + data)
        self.g.ip_send(self.dst, 6, head[:16] + struct.pack("!H", csum) + head[18:] + data, **kw)
        self.seq += len(data) + (1 if flags & 3 else 0)

    def take(self, timeout=None):
        """Next segment of this connection: (flags, sequence, acknowledgement, data)."""
        def match(f):
            p = self.g.ip_parse(f, 6)
            if not p or struct.unpack_from("!HH", p) != (self.dport, self.sport):
                return None
            assert l4sum(socket.inet_ntoa(f[26:30]), self.g.ip, 6, p) == 0, "TCP checksum"
            seq, ack, off, flags = struct.unpack_from("!IIBB", p, 4)
            return flags, seq, ack, p[(off >> 4) * 4:]
        return self.g.frame(match, timeout or self.timeout)

    def open(self):
        self.segment(2)
        flags, seq, _, _ = self.take()
        if flags & 4:
            raise ConnectionRefusedError(self.dst)
        assert flags & 0x12 == 0x12, f"flags {flags:#x}"
        self.ack = seq + 1
        self.segment(0x10)
        return self

    @classmethod
    def accept(cls, guest, port, timeout=5.0):
        """Answers the next SYN to our port."""
        def match(f):
            p = guest.ip_parse(f, 6)
            if p and struct.unpack_from("!H", p, 2)[0] == port and p[13] & 0x12 == 2:
                return (socket.inet_ntoa(f[26:30]), *struct.unpack_from("!H2xI", p))
            return None
        src, sport, seq = guest.frame(match, timeout)
        c = cls(guest, src, sport, port)
        c.ack = seq + 1
        c.segment(0x12)
        return c

    def step(self):
        flags, seq, _, data = self.take()
        if flags & 4:
            raise ConnectionResetError(self.dst)
        if seq == self.ack & 0xFFFFFFFF:
            self.data += data
            self.ack += len(data) + (flags & 1)
            self.fin = self.fin or bool(flags & 1)
        if data or flags & 1:
            self.segment(0x10)

    def read_all(self):
        while not self.fin:
            self.step()
        return self.data

    def read(self, size):
        while len(self.data) < size and not self.fin:
            self.step()
        out, self.data = self.data[:size], self.data[size:]
        return out

    def send(self, data, **kw):
        self.segment(0x18, data, **kw)

    def close(self):
        self.segment(0x11)
