#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The network of a running guest moved like a cable: user -> tap -> stream (passt) -> user, again and again under ping
and downloads; netdev_del and netdev_add of one id; a successor that cannot; set_link; forwards at run time.

BULKHEAD_SWAPS: how many moves (default 12; scripts/test --long 100). Needs root for a network namespace of its own.
"""
import array
import fcntl
import hashlib
import json
import os
import re
import socket
import struct
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import guest
import netns
import tap
from hostport import Web, free_port

SWAPS = int(os.environ.get("BULKHEAD_SWAPS", "100" if os.environ.get("BULKHEAD_TEST_LONG") else "12"))
GATEWAY, MAC = "10.0.2.2", "52:55:0a:00:02:02"  # libslirp's own: the guest's neighbour keeps its address


def machine(tmp, *extra):
    script = netns.tap_script(tmp, f"{GATEWAY}/24", MAC)
    return guest.linux_args(guest.initramfs(tmp), "", net="none", extra=[
        "-netdev", "user,id=u", "-device", "virtio-net-pci,netdev=u,id=card",
        "-netdev", f"tap,id=t,ifname=bh0,script={script}", *extra])


def counted(e):
    """Fetches so far, and carrier changes the guest's kernel has seen."""
    _, out = e.run("cat /tmp/fetched; cat /sys/class/net/eth0/carrier_changes; dmesg | grep -c -i 'link is\\|watchdog'")
    return [int(x) for x in out.split()]


def swaps():
    with tempfile.TemporaryDirectory() as tmp:
        data, web = os.urandom(300000), Web(tmp, "0.0.0.0")
        web.put("blob", data)
        sha = hashlib.sha256(data).hexdigest()
        netns.uplink()
        with netns.passt(tmp, "-a", "10.0.2.15", "-n", "255.255.255.0", "-g", GATEWAY, "-M", MAC) as sock:
            args = machine(tmp, "-netdev", f"stream,id=p,addr.type=unix,addr.path={sock}")
            with guest.Emulator(args) as e:
                e.shell(300)
                e.run("echo 0 >/tmp/fetched; (while :; do [ \"$(timeout 3 wget -q -O - "
                      f"http://{GATEWAY}:{web.port}/blob | sha256sum | cut -d' ' -f1)\" = {sha} ] && "
                      "echo $(($(cat /tmp/fetched) + 1)) >/tmp/f && mv /tmp/f /tmp/fetched; done) 2>/dev/null &")
                e.run(f"ping -i 0.05 {GATEWAY} >/tmp/ping 2>&1 &")
                before, slowest = counted(e), 0.0
                for n in range(SWAPS):
                    begun = time.monotonic()
                    e.qmp.cmd("netdev_replace", 20, card="card", netdev="tpu"[n % 3])
                    slowest = max(slowest, time.monotonic() - begun)
                    done = counted(e)[0]
                    end = time.monotonic() + 60
                    while counted(e)[0] < done + 2:  # one may have been under way
                        assert time.monotonic() < end, f"no download after move {n} to {'tpu'[n % 3]}" + e.tail()
                        time.sleep(0.2)
                after = counted(e)
                e.run("killall -INT ping; sleep 1")
                m = re.search(r"(\d+) packets transmitted, (\d+) packets received", e.run("cat /tmp/ping")[1])
                lost = int(m[1]) - int(m[2])
                print(f"# {SWAPS} moves, the slowest {slowest * 1000:.0f} ms; {m[1]} pings, {lost} lost; "
                      f"{after[0]} downloads complete")
                assert after[1:] == before[1:], (before, after)
                assert lost <= 2 * SWAPS, lost
                names = [l for l in e.qmp.hmp("info network").splitlines() if "\\" in l]
                assert len(names) == 1 and f" {'tpu'[(SWAPS - 1) % 3]}:" in names[0], names
        web.close()


def refused_before_anything_stops():
    with tempfile.TemporaryDirectory() as tmp:
        port = free_port()
        taken = socket.create_server(("127.0.0.1", port))
        args = machine(tmp, "-netdev", f"user,id=bad,hostfwd=tcp:127.0.0.1:{port}-:22",
                       "-netdev", "user,id=b2", "-device", "virtio-net-pci,netdev=b2")
        with guest.Emulator(args) as e:
            e.shell(300)
            old = net_of(e, "u")
            for card, netdev, why in (("card", "bad", "cannot listen"), ("card", "nothing", "no netdev"),
                                      ("nothing", "t", "no network card"), ("card", "u", "this card"),
                                      ("card", "b2", "another card")):
                try:
                    e.qmp.cmd("netdev_replace", 20, card=card, netdev=netdev)
                    raise AssertionError(f"{netdev} was accepted")
                except RuntimeError as x:
                    assert why in str(x), x
            assert net_of(e, "u")["pid"] == old["pid"]
            assert e.run(f"ping -c 2 -W 5 {GATEWAY}")[0] == 0
        taken.close()


def net_of(e, name):
    return next(p for p in e.qmp.cmd("query-processes") if p["role"] == "net" and p["id"] == name)


def gone_and_back():
    with tempfile.TemporaryDirectory() as tmp, guest.Emulator(machine(tmp)) as e:
        e.shell(300)
        assert e.run(f"ping -c 1 -W 5 {GATEWAY}")[0] == 0
        e.qmp.cmd("netdev_del", id="u")
        carrier(e, 0)
        e.qmp.cmd("netdev_add", 20, type="user", id="u", net="10.0.2.0/24")
        carrier(e, 1)
        assert e.run(f"ping -c 2 -W 5 {GATEWAY}")[0] == 0
        link(e, False)
        carrier(e, 0)
        link(e, True)
        carrier(e, 1)
        e.qmp.cmd("netdev_add", 20, type="user", id="other", hostname="x")
        e.qmp.cmd("netdev_replace", 20, card="card", netdev="other")
        assert e.run(f"ping -c 2 -W 5 {GATEWAY}")[0] == 0
        e.qmp.cmd("netdev_del", id="u")


def link(e, up):
    assert e.qmp.raw(json.dumps({"execute": "set_link", "arguments": {"name": "card", "up": up}})) == {"return": {}}


def carrier(e, want):
    assert e.run(f"n=0; while [ $n -lt 100 ] && [ \"$(cat /sys/class/net/eth0/carrier)\" != {want} ]; do "
                 "n=$((n + 1)); sleep 0.1; done; [ $n -lt 100 ]", 30)[0] == 0, f"carrier is not {want}"


def tap_handed_over():
    """As a management tool does: it opens the tap, the machine gets the descriptor."""
    with tempfile.TemporaryDirectory() as tmp, guest.Emulator(machine(tmp)) as e:
        e.shell(300)
        fd = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", b"bh7", 0x0002 | 0x1000 | 0x4000))
        netns.address("bh7", "10.9.0.1/24")
        q = e.qmp
        q.sock.sendmsg([b'{"execute":"getfd","arguments":{"fdname":"mytap"}}\n'],
                       [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
        os.close(fd)
        assert q._read(time.monotonic() + 10) == {"return": {}}
        try:
            q.cmd("netdev_add", type="tap", id="late", ifname="bh8")
            raise AssertionError("a tap by name at run time")
        except RuntimeError as x:
            assert "opens nothing by name" in str(x), x
        q.cmd("netdev_add", type="tap", id="late", fd="mytap")
        q.cmd("netdev_replace", 20, card="card", netdev="late")
        e.run("ip addr add 10.9.0.2/24 dev eth0")
        assert e.run("ping -c 2 -W 5 10.9.0.1")[0] == 0


def forwards():
    port = free_port()
    with tempfile.TemporaryDirectory() as tmp, guest.Emulator(machine(tmp)) as e:
        e.shell(300)
        e.run("mkdir -p /www; echo hello >/www/x; httpd -p 80 -h /www")
        assert e.qmp.hmp(f"hostfwd_add tcp:127.0.0.1:{port}-:80") == ""
        assert b"hello" in ask(port)
        assert str(port) in e.qmp.hmp("info usernet")
        assert "rror" in e.qmp.hmp(f"hostfwd_add u tcp:127.0.0.1:{port}-:80")  # taken
        e.qmp.cmd("x-device-restart", id="u")
        assert b"hello" in ask(port), "a forward made at run time survives its process"
        assert "removed" in e.qmp.hmp(f"hostfwd_remove u tcp:127.0.0.1:{port}")
        try:
            socket.create_connection(("127.0.0.1", port), 2).close()
            raise AssertionError("still forwarded")
        except ConnectionRefusedError:
            pass
        assert "no such forward" in e.qmp.hmp(f"hostfwd_remove tcp:127.0.0.1:{port}")


def ask(port):
    end = time.monotonic() + 20
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as s:
                s.settimeout(5)
                s.sendall(b"GET /x HTTP/1.0\r\n\r\n")
                data = b""
                while part := s.recv(4096):
                    data += part
                return data
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    netns.enter()
    dc.program("bulkhead-net")
    tap.main(swaps, refused_before_anything_stops, gone_and_back, tap_handed_over, forwards)
