#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of bulkhead-net: a successor with the same configuration serves the same guest at once."""
import hashlib
import os
import random
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import net_guest as ng
import tap
from hostport import Server, free_port
from net_guest import NetGuest, Tcp, net_config

BODY = random.Random(1).randbytes(1 << 20)


def web_serve(conn):
    conn.recv(100)
    conn.sendall(BODY)
    conn.shutdown(socket.SHUT_WR)
    conn.recv(1)


def fetch(guest, port):
    c = Tcp(guest, ng.HOST, port).open()
    c.send(b"GET / HTTP/1.0\r\n\r\n")
    return c


def forwards():
    tcp, udp = free_port(), free_port(socket.SOCK_DGRAM)
    return tcp, udp, net_config(hostfwd=[(False, "127.0.0.1", tcp, "", 22),
                                         (True, "127.0.0.1", udp, "", 7)])


def knock(guest, tcp, udp):
    """Both forwarded ports answer."""
    with socket.create_connection(("127.0.0.1", tcp), 5) as host:
        c = Tcp.accept(guest, 22)
        host.sendall(b"x")
        assert c.read(1) == b"x"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
        u.sendto(b"y", ("127.0.0.1", udp))
        assert guest.udp_recv(7)[2] == b"y"


def new_connections_within_a_second():
    """10 kills in the middle of a transfer: the next fetch is complete and starts within 1 s."""
    web = Server(web_serve)
    slowest = 0
    tcp, udp, conf = forwards()
    with NetGuest(conf).start() as g:
        g.dhcp(3, "10.0.2.15")
        for n in range(10):
            c = fetch(g, web.port)
            for _ in range(20 + 10 * n):
                c.step()
            before = time.monotonic()
            g.restart()
            fresh = fetch(g, web.port)
            fresh.read(1)
            slowest = max(slowest, time.monotonic() - before)
            knock(g, tcp, udp)
            got = BODY[:1] + fresh.read_all()
            assert hashlib.sha256(got).digest() == hashlib.sha256(BODY).digest()
            dc.until(5, "every transmit chain is used",
                     lambda: g.tx.used_idx() == g.tx.avail_idx)
        print(f"# slowest new connection after kill -9: {slowest * 1000:.0f} ms")
        assert slowest < 1, slowest
    web.close()


def old_connections_are_reset():
    web = Server(web_serve)
    with NetGuest().start() as g:
        c = fetch(g, web.port)
        c.step()
        g.restart()
        c.segment(0x18, b"still there?")
        try:
            for _ in range(200):  # frames of the old incarnation may still be in the ring
                c.step()
            raise AssertionError("the dead connection lives")
        except ConnectionResetError:
            pass
    web.close()


def the_lease_is_kept():
    with NetGuest().start() as g:
        assert g.dhcp(3, "10.0.2.17")[0] == "10.0.2.17"
        g.ip = "10.0.2.17"
        g.restart()
        ip, options = g.dhcp(3, "10.0.2.17")
        assert (ip, options[53]) == ("10.0.2.17", b"\5"), (ip, options)


def ports_come_back_with_connections_open():
    tcp, udp, conf = forwards()
    with NetGuest(conf).start() as g:
        g.dhcp(1)
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", tcp), 5) as host:
                c = Tcp.accept(g, 22)
                host.sendall(b"x")
                assert c.read(1) == b"x"
                g.restart()
                host.settimeout(5)
                try:
                    assert host.recv(1) == b"", "the old connection still carries data"
                except ConnectionResetError:
                    pass
            knock(g, tcp, udp)


def frames_offered_while_nobody_served():
    """Chains that were made available between two incarnations are sent by the second."""
    with NetGuest().start() as g:
        g.ping(ng.HOST)
        g.child.kill()
        echo = b"\x08\0" + b"\0\0" + b"\0\1\0\1late"
        echo = echo[:2] + ng.checksum(echo).to_bytes(2, "big") + echo[4:]
        g.ip_send(ng.HOST, 1, echo)
        g.restart()
        assert g.frame(lambda f: (p := g.ip_parse(f, 1, ng.HOST)) and p.endswith(b"late"))


if __name__ == "__main__":
    tap.main(new_connections_within_a_second, old_connections_are_reset, the_lease_is_kept,
             ports_come_back_with_connections_open, frames_offered_while_nobody_served)
