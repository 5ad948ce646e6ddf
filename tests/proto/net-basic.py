#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bulkhead-net as a guest sees it: DHCP, ARP, ping, DNS, TCP out, hostfwd in, restrict, IPv6, link."""
import hashlib
import os
import re
import select
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import net_guest as ng
import tap
from hostport import Server, free_port
from net_guest import NetGuest, Tcp, net_config


def config_and_features():
    with NetGuest(net_config(mtu=1400)).start() as g:
        assert g.drv.config(0, 6) == ng.MAC
        assert g.drv.config(6, 2) == b"\1\0", "link is not up"
        assert g.drv.config(10, 2) == struct.pack("<H", 1400)
        for bit in (ng.F_MAC, ng.F_STATUS, ng.F_MRG, ng.F_CSUM, ng.F_MTU, ng.F_VERSION_1,
                    ng.F_IN_ORDER):
            assert g.drv.offered >> bit & 1, f"feature {bit} is not offered"
        assert not g.drv.offered >> 17 & 1, "control queue offered"
        assert dc.decode(b"") == {} and g.ready[1][0] & 16, "stage 5 not reported"


def dhcp_gives_the_lease():
    with NetGuest(net_config(hostname="cabin", dnssearch=["a.example", "b.example"],
                             domainname="example", bootfile="boot.img")).start() as g:
        ip, options = g.dhcp(1)
        assert ip == "10.0.2.15" and options[53] == b"\2", (ip, options)
        ip, options = g.dhcp(3, "10.0.2.15")
        assert ip == "10.0.2.15" and options[53] == b"\5", (ip, options)
        assert options[3] == socket.inet_aton("10.0.2.2")
        assert options[6] == socket.inet_aton("10.0.2.3")
        assert options[1] == socket.inet_aton("255.255.255.0")
        assert options[12] == b"cabin" and options[15] == b"example", options


def other_network():
    with NetGuest(net_config(net="192.168.76.0/24", host="192.168.76.9",
                             dhcpstart="192.168.76.40", dns="192.168.76.5")).start() as g:
        g.ip = "192.168.76.40"
        ip, options = g.dhcp(1)
        assert ip == g.ip and options[3] == socket.inet_aton("192.168.76.9"), (ip, options)
        assert options[6] == socket.inet_aton("192.168.76.5")


def arp_and_ping():
    with NetGuest().start() as g:
        assert g.arp("10.0.2.2") and g.arp("10.0.2.3")
        assert g.ping("10.0.2.2")


def dns_goes_to_the_host_server():
    """The configured server is asked, still after more than a second: libslirp looks again then."""
    server53 = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        server53.bind(("127.0.0.77", 53))  # libslirp asks on port 53 only
    except PermissionError:
        raise tap.Skip("binding port 53 needs privilege") from None
    with server53, NetGuest(net_config(host_dns=["127.0.0.77"])).start() as g:
        server53.settimeout(5)
        for n in range(3):
            if n:
                select.select([], [], [], 1.2)  # the age of libslirp's own cache
            g.udp_send(ng.DNS, 5353 + n, 53, b"query%d" % n)
            g.collect()
            g.frames = [f for f in g.frames if not g.arp_answer(f)]
            data, peer = server53.recvfrom(512)
            assert data == b"query%d" % n
            server53.sendto(b"answer%d" % n, peer)
            assert g.udp_recv(5353 + n) == (ng.DNS, 53, b"answer%d" % n)


def tcp_from_a_host_server():
    body = os.urandom(3 << 20)
    web = Server(lambda c: (c.recv(100), c.sendall(body), c.shutdown(socket.SHUT_WR),
                            c.recv(1)))
    with NetGuest().start() as g:
        c = Tcp(g, ng.HOST, web.port).open()
        c.send(b"GET / HTTP/1.0\r\n\r\n")
        got = c.read_all()
        assert hashlib.sha256(got).digest() == hashlib.sha256(body).digest(), len(got)
        assert 2 in g.flags_seen, "no frame with a vouched checksum"
        c.close()
    web.close()


def tcp_offload():
    """Partial checksums and 40 KB segments arrive whole; the stack refuses nothing silently."""
    got = bytearray()
    done = threading.Event()

    def serve(conn):
        while part := conn.recv(65536):
            got.extend(part)
        done.set()
    web = Server(serve)
    body = os.urandom(200000)
    with NetGuest().start() as g:
        c = Tcp(g, ng.HOST, web.port).open()
        c.send(body[:1000], offload=True)
        for at in range(1000, len(body), 40000):
            c.send(body[at:at + 40000], offload=True, gso_size=1448)
            want = c.seq
            while True:
                _, _, ack, _ = c.take()
                if ack >= want:
                    break
        c.close()
        assert done.wait(5)
        assert bytes(got) == body
    web.close()


def refused_port_is_refused():
    with NetGuest().start() as g:
        try:
            Tcp(g, ng.HOST, free_port()).open()
        except ConnectionRefusedError:
            return
        raise AssertionError("connected to nobody")


def hostfwd_tcp_and_udp():
    port, uport = free_port(), free_port(socket.SOCK_DGRAM)
    conf = net_config(hostfwd=[(False, "127.0.0.1", port, "", 22),
                               (True, "127.0.0.1", uport, "10.0.2.15", 7)])
    with NetGuest(conf).start() as g:
        g.dhcp(1)
        host = socket.create_connection(("127.0.0.1", port), 5)
        host.settimeout(5)
        c = Tcp.accept(g, 22)
        host.sendall(b"hello guest")
        assert c.read(11) == b"hello guest"
        c.send(b"hello host")
        assert host.recv(100) == b"hello host"
        host.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            u.settimeout(5)
            u.sendto(b"knock", ("127.0.0.1", uport))
            src, sport, data = g.udp_recv(7)
            assert data == b"knock", data
            g.udp_send(src, 7, sport, b"who is there")
            g.collect()
            assert u.recv(100) == b"who is there"


def hostfwd_ipv6_reaches_for_the_guest():
    """A connection to ::1 makes the stack look for the guest's IPv6 address."""
    port = free_port()
    guest6 = bytes.fromhex("fec0000000000000505400fffe123456")
    conf = net_config(hostfwd=[(False, "::1", port, socket.inet_ntop(socket.AF_INET6, guest6), 22)])
    with NetGuest(conf).start() as g, socket.create_connection(("::1", port), 5):
        assert g.frame(lambda f: f[12:14] == b"\x86\xdd" and f[20] == 58 and f[54] == 135 and
                       f[62:78] == guest6)


def hostfwd_taken_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
        g = NetGuest(net_config(hostfwd=[(False, "127.0.0.1", port, "", 22)]))
        with g:
            g.boot()
            event = g.child.expect("DEVICE_EVENT")
            assert event[1] == [b"NET_HOSTFWD_FAILED"], event
            assert g.child.wait() == 66
            text = g.child.log_text()
            assert f"tcp 127.0.0.1:{port}" in text and "in use" in text, text


def bad_configuration_is_named():
    cases = [({"net": "10.0.2.0/99"}, "net=10.0.2.0/99"), ({"host": "1.2.3.4"}, "host=1.2.3.4"),
             ({"dns": "x"}, "dns=x"), ({"dhcpstart": "10.0.2.2"}, "dhcpstart="),
             ({"tftp": "/srv"}, "tftp=/srv"), ({"backend": "vde"}, "'vde'"), ({"backend": "tap"}, "without the network descriptor"),
             ({"ipv6_net": "zz"}, "ipv6-net=zz"), ({"ipv4": False, "ipv6": False}, "ipv4=off"),
             ({"mtu": 20}, "host_mtu=20"), ({"mac": b"\1\0\0\0\0\0"}, "mac="),
             ({"hostfwd": [(False, "name", 80, "", 80)]}, "hostfwd=tcp:name:80"),
             ({"hostfwd": [(False, "::1", 80, "", 80)]}, "both be IPv4 or IPv6"),
             ({"hostfwd": [(True, "", 99999, "", 80)]}, "hostfwd=udp::99999")]
    for values, word in cases:
        with NetGuest(net_config(**values)) as g:
            g.boot()
            assert g.child.wait() == 66, values
            assert word in g.child.log_text(), (values, g.child.log_text())


def restrict_blocks_the_outside():
    web = Server(lambda c: None)
    port = free_port()
    conf = net_config(restricted=True, hostfwd=[(False, "127.0.0.1", port, "", 22)])
    with NetGuest(conf).start() as g:
        g.dhcp(1)
        try:
            Tcp(g, ng.HOST, web.port, timeout=1).open()
            raise AssertionError("restricted guest reached the host")
        except (TimeoutError, ConnectionRefusedError):
            pass
        with socket.create_connection(("127.0.0.1", port), 5) as host:
            c = Tcp.accept(g, 22)  # explicit forwards still work
            host.sendall(b"x")
            assert c.read(1) == b"x"
    web.close()


def ipv6_router_advertisement():
    with NetGuest().start() as g:
        ll = bytes.fromhex("fe80000000000000505400fffe123456")
        allr = bytes.fromhex("ff020000000000000000000000000002")
        body = struct.pack("!BBHI", 133, 0, 0, 0)
        pseudo = ll + allr + struct.pack("!II", len(body), 58)
        body = body[:2] + struct.pack("!H", ng.checksum(pseudo + body)) + body[4:]
        g.send(bytes.fromhex("333300000002") + ng.MAC + b"\x86\xdd" +
               struct.pack("!IHBB", 0x60000000, len(body), 58, 255) + ll + allr + body)
        ra = g.frame(lambda f: f[12:14] == b"\x86\xdd" and f[20] == 58 and f[54] == 134 and f)
        assert bytes.fromhex("fec0" + "00" * 14) in ra, "prefix fec0::/64 is not announced"


def link_down_and_up():
    with NetGuest().start() as g:
        assert g.ping(ng.HOST)
        g.child.send("NET_LINK", dc.field(1, False))
        assert g.drv.back_message() == 2, "no CONFIG_CHANGE_MSG"
        assert g.drv.config(6, 2) == b"\0\0"
        try:
            g.ping(ng.HOST, 0.5)
            raise AssertionError("a frame went through a pulled cable")
        except TimeoutError:
            pass
        g.child.send("NET_LINK", dc.field(1, True))
        assert g.drv.back_message() == 2
        assert g.drv.config(6, 2) == b"\1\0"
        assert g.ping(ng.HOST)


def information():
    port = free_port()
    with NetGuest(net_config(hostfwd=[(False, "127.0.0.1", port, "", 22)])).start() as g:
        assert g.ping(ng.HOST)
        g.child.send("INFO_REQUEST", dc.field(1, 7) + dc.field(2, "usernet"))
        reply = g.child.expect("INFO_REPLY")
        text = reply[2][0].decode()
        assert reply[1] == [7] and "HOST_FORWARD" in text and str(port) in text, text
        g.child.send("INFO_REQUEST", dc.field(1, 8) + dc.field(2, "stats"))
        text = g.child.expect("INFO_REPLY")[2][0].decode()
        assert re.search(r"rx-frames=[1-9].*tx-frames=[1-9]", text), text


def legacy_header():
    """A driver of before virtio 1.0 without merged buffers: 10-byte header, one buffer per frame."""
    with NetGuest(features=1 << ng.F_MAC | 1 << ng.F_STATUS).start() as g:
        assert g.dhcp(1)[0] == "10.0.2.15"
        assert g.ping(ng.HOST)


def orderly_end():
    with NetGuest().start() as g:
        g.child.send("SHUTDOWN")
        assert g.child.wait() == 0


if __name__ == "__main__":
    tap.main(config_and_features, dhcp_gives_the_lease, other_network, arp_and_ping,
             dns_goes_to_the_host_server, tcp_from_a_host_server, tcp_offload,
             refused_port_is_refused, hostfwd_tcp_and_udp,
             hostfwd_ipv6_reaches_for_the_guest, hostfwd_taken_port_is_named,
             bad_configuration_is_named, restrict_blocks_the_outside, ipv6_router_advertisement,
             link_down_and_up, information, legacy_header, orderly_end)
