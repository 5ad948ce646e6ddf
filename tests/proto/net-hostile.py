#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bulkhead-net under a guest that breaks every rule: queues may break, the process may not."""
import os
import random
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import net_guest as ng
import tap
import vu_driver as vu
from hostport import Server
from net_guest import NetGuest, Tcp

SEED = int(os.environ.get("BULKHEAD_TEST_SEED", "20"))


def alive(guest):
    guest.child.send("PING", dc.field(1, 5))
    while (got := guest.child.recv(10))[0] != "PONG":
        pass
    assert got[1][1] == [5] and guest.child.proc.poll() is None


def requeue(guest, ring):
    """What a driver does after NEEDS_RESET, for one ring: stop, empty, start."""
    guest.drv.ring_stop(ring)
    ring.seen = ring.avail_idx = ring.used_idx()
    ring.publish()
    guest.drv.ring_start(ring)


def bad_transmit_chains():
    ram = 32 << 20

    def raw(ring, descs, head=0):
        for i, d in enumerate(descs):
            ring.put_desc(i, *d)
        ring.offer(head)
    cases = {
        "outside": lambda t: raw(t, [(ram, 64)]),
        "wraps": lambda t: raw(t, [(2**64 - 8, 64)]),
        "crosses the end": lambda t: raw(t, [(ram - 10, 64)]),
        "loop": lambda t: raw(t, [(ng.TX_SLOT, 64, vu.DESC_NEXT, 1), (ng.TX_SLOT, 64, vu.DESC_NEXT, 0)]),
        "next out of range": lambda t: raw(t, [(ng.TX_SLOT, 64, vu.DESC_NEXT, 999)]),
        "head out of range": lambda t: t.offer(60000),
        "writable only": lambda t: raw(t, [(ng.TX_SLOT, 64, vu.DESC_WRITE)]),
        "shorter than the header": lambda t: raw(t, [(ng.TX_SLOT, 11)]),
        "zero length": lambda t: raw(t, [(ng.TX_SLOT, 0)]),
        "indirect, not negotiated": lambda t: raw(t, [(ng.TX_SLOT, 64, vu.DESC_INDIRECT)]),
        "index jump": lambda t: (setattr(t, "avail_idx", (t.avail_idx + 5000) & 0xFFFF),
                                 t.publish()),
    }
    with NetGuest().start() as g:
        g.ping(ng.HOST)
        for name, attack in cases.items():
            attack(g.tx)
            g.tx.kick_now()
            alive(g)
            assert "queue 1 is broken" in g.child.log_text(), name
            g.child.log.clear()
            g.child.close()  # a broken queue stays broken: next case in a fresh process
            requeue_memory(g)
            g.start()
            assert g.ping(ng.HOST), name


def requeue_memory(guest):
    """The rings as a driver leaves them after a device reset."""
    for ring in guest.drv.rings:
        used = ring.used_idx()
        ring.avail_idx = ring.seen = used
        ring.publish()
    for i in range(guest.rx.size):
        guest.rx_offer(i, publish=False)
    guest.rx.publish()
    guest.partial = None


def broken_queue_serves_again_after_restart_of_the_ring():
    with NetGuest().start() as g:
        g.ping(ng.HOST)
        g.tx.put_desc(0, 32 << 20, 64)
        g.tx.offer(0)
        g.tx.kick_now()
        alive(g)
        requeue(g, g.tx)
        assert g.ping(ng.HOST)


def bad_frames_are_dropped_not_fatal():
    """Wrong header fields: the frame goes, the queue stays."""
    with NetGuest().start() as g:
        g.ping(ng.HOST)
        eth = b"\xff" * 6 + ng.MAC + b"\x08\x00"
        for kw in ({"flags": 1, "start": 65535, "offset": 65535}, {"flags": 1, "start": 60},
                   {"gso": 3}, {"gso": 4}, {"gso": 5}, {"gso": 0x7f}, {"gso": 1, "gso_size": 0}):
            g.send(eth + bytes(40), **kw)
        g.send(b"")
        g.send(b"\0" * 13)
        g.send(eth + bytes(65537))
        g.send(eth + bytes(65535))
        assert g.ping(ng.HOST)
        assert "broken" not in g.child.log_text()


def random_frames():
    """Headers of every protocol the stack parses, with noise in them."""
    rnd = random.Random(SEED)
    with NetGuest().start() as g:
        gw = g.arp(ng.HOST)
        for n in range(3000):
            body = bytearray(rnd.randbytes(rnd.choice((0, 8, 20, 28, 60, 300, 1500))))
            kind = n % 4
            if kind == 0:
                packet = ng.ipv4("10.0.2.15", rnd.choice((ng.HOST, ng.DNS, "10.0.2.255")),
                                 rnd.choice((1, 2, 6, 17, rnd.randrange(256))), bytes(body))
                frame = gw + ng.MAC + b"\x08\0" + packet
            elif kind == 1:
                head = struct.pack("!IHBB", 0x60000000, rnd.choice((len(body), rnd.randrange(65536))),
                                   rnd.choice((0, 6, 17, 43, 44, 58, 60)), 255)
                frame = gw + ng.MAC + b"\x86\xdd" + head + bytes.fromhex("fe80" + "00" * 13 + "99") \
                    + bytes.fromhex("ff02" + "00" * 13 + "02") + bytes(body)
            elif kind == 2:
                frame = gw + ng.MAC + b"\x08\x06" + bytes(body)
            else:
                body[:4] = b"\x45\0" + struct.pack("!H", rnd.randrange(65536)) \
                    if len(body) > 4 else b""
                frame = gw + ng.MAC + rnd.choice((b"\x08\0", b"\x89\x03", rnd.randbytes(2))) \
                    + bytes(body)
            g.send(frame)
            g.collect()
            g.frames.clear()
        alive(g)
        assert g.ping(ng.HOST)


def tiny_receive_buffers():
    """Mergeable buffers of 40 bytes: small frames are spread, those above 48 chains are dropped."""
    saved = ng.RX_SIZE
    ng.RX_SIZE = 40
    try:
        with NetGuest().start() as g:
            assert g.ping(ng.HOST)
            assert 2 in g.flags_seen, "checksums are vouched for: the chains of a frame appear at once"
            alive(g)
    finally:
        ng.RX_SIZE = saved


def receive_buffer_below_the_header():
    with NetGuest().start() as g:
        g.drv.ring_stop(g.rx)
        for i in range(g.rx.size):
            g.rx.put_desc(i, ng.RX_BUF, 4, vu.DESC_WRITE)
        g.drv.ring_start(g.rx)
        g.rx.kick_now()
        g.send(b"\xff" * 6 + ng.MAC + b"\x08\x06" + struct.pack(
            "!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 1, ng.MAC, socket.inet_aton("10.0.2.15"), bytes(6),
            socket.inet_aton(ng.HOST)))
        dc.until(5, "queue 0 breaks", lambda: "queue 0 is broken" in g.child.log_text())
        alive(g)


def few_receive_buffers_lose_little():
    """A driver that offers buffers late: the backlog and the hold on the sockets carry it through."""
    body = os.urandom(1 << 20)
    web = Server(lambda c: (c.recv(100), c.sendall(body), c.shutdown(socket.SHUT_WR), c.recv(1)))
    with NetGuest() as g:
        offer, count = g.rx_offer, [0]

        def few(i, publish=True):
            if i < 4:
                offer(i, publish)
            count[0] += 1
        g.rx_offer = few
        g.start()
        c = Tcp(g, ng.HOST, web.port).open()
        c.send(b"GET\r\n\r\n")
        assert c.read_all() == body
    web.close()


def garbage_on_the_vhost_user_socket():
    rnd = random.Random(SEED)
    for n in range(30):
        with NetGuest() as g:
            g.boot()
            g.child.expect("READY")
            if n % 2:
                g.drv.connect()
            junk = struct.pack("<III", rnd.randrange(60), rnd.choice((1, 9, rnd.getrandbits(32))),
                               rnd.choice((0, 8, 40, 5000, 2**31))) + rnd.randbytes(rnd.randrange(600))
            try:
                g.drv.sock.sendall(junk)
                g.drv.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            assert g.child.wait(10) in (0, 65), "died of garbage"


if __name__ == "__main__":
    tap.main(bad_transmit_chains, broken_queue_serves_again_after_restart_of_the_ring,
             bad_frames_are_dropped_not_fatal, random_frames, tiny_receive_buffers,
             receive_buffer_below_the_header, few_receive_buffers_lose_little,
             garbage_on_the_vhost_user_socket)
