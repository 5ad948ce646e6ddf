#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every network back end with a real guest behind it: a tap made by name and configured by a script, passt over a
stream, and two guests joined by three cables (a TCP socket, datagrams, multicast).

Runs in a network namespace of its own, so that no interface of the host is touched; needs root for it.
"""
import hashlib
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import guest
import netns
import tap
from hostport import Web


def static(e, card, address, gateway=None):
    status, out = e.run(f"ip addr add {address}/24 dev {card} && ip link set {card} up")
    assert status == 0, out
    if gateway:
        e.run(f"ip route add default via {gateway}")


def ping(e, address, count=3):
    status, out = e.run(f"ping -c {count} -W 5 {address}", 40)
    assert status == 0 and f"{count} packets received" in out, out


def fetch(e, url, sha):
    status, out = e.run(f"wget -q -O - {url} | sha256sum", 60)
    assert status == 0 and out.split()[0] == sha, out


def tap_by_name():
    with tempfile.TemporaryDirectory() as tmp:
        data, web = os.urandom(3 << 20), Web(tmp, "0.0.0.0")
        sha = hashlib.sha256(data).hexdigest()
        web.put("blob", data)
        script = netns.tap_script(tmp, "10.7.0.1/24")
        args = guest.linux_args(guest.initramfs(tmp), "bhnet=manual",
                                net=f"tap,ifname=bh0,script={script},downscript=no,model=virtio-net-pci")
        with guest.Emulator(args) as e:
            e.shell(300)
            static(e, "eth0", "10.7.0.2")
            ping(e, "10.7.0.1")
            fetch(e, f"http://10.7.0.1:{web.port}/blob", sha)
            jail = next(p for p in e.qmp.cmd("query-processes") if p["role"] == "net")
            assert os.readlink(f"/proc/{jail['pid']}/ns/net") != os.readlink("/proc/self/ns/net"), \
                "a netdev with a tap does not need the host's network"
        web.close()


def passt_stream():
    with tempfile.TemporaryDirectory() as tmp:
        data, web = os.urandom(1 << 20), Web(tmp, "0.0.0.0")
        web.put("blob", data)
        netns.uplink()
        with netns.passt(tmp) as sock:
            args = guest.linux_args(guest.initramfs(tmp), net="none", extra=[
                "-netdev", f"stream,id=n0,server=off,addr.type=unix,addr.path={sock}",
                "-device", "virtio-net-pci,netdev=n0"])
            with guest.Emulator(args) as e:
                e.shell(300)
                status, out = e.run("ip route | grep default", 20)
                gateway = out.split()[2]
                fetch(e, f"http://{gateway}:{web.port}/blob", hashlib.sha256(data).hexdigest())
        web.close()


def three_cables(tmp, side, port):
    other = 3 - side
    first = "listen" if side == 1 else "connect"
    extra = ["-netdev", f"socket,id=a,{first}=127.0.0.1:{port}", "-device", "virtio-net-pci,netdev=a",
             "-netdev", f"dgram,id=b,local.type=inet,local.host=127.0.0.1,local.port={port + side},"
                        f"remote.type=inet,remote.host=127.0.0.1,remote.port={port + other}",
             "-device", f"virtio-net-pci,netdev=b,mac=52:54:00:00:01:0{side}",
             "-netdev", f"socket,id=c,mcast=239.1.2.3:{port},localaddr=127.0.0.1",
             "-device", f"virtio-net-pci,netdev=c,mac=52:54:00:00:02:0{side}"]
    extra[3] += f",mac=52:54:00:00:00:0{side}"
    return guest.linux_args(guest.initramfs(tmp, f"i{side}.gz"), "bhnet=manual", net="none", extra=extra)


def guests_joined():
    subprocess.run(["ip", "route", "add", "239.0.0.0/8", "dev", "lo"], check=True)
    with tempfile.TemporaryDirectory() as tmp:
        with guest.Emulator(three_cables(tmp, 1, 4000)) as one, guest.Emulator(three_cables(tmp, 2, 4000)) as two:
            for side, e in ((1, one), (2, two)):
                e.shell(300)
                for card in range(3):
                    static(e, f"eth{card}", f"10.{card}.0.{side}")
            for card in range(3):
                ping(one, f"10.{card}.0.2")
                ping(two, f"10.{card}.0.1")
            # a long transfer over each: nothing lost that TCP does not mend, nothing torn
            one.run("head -c 3000000 /dev/urandom >/tmp/blob; mkdir -p /www; cp /tmp/blob /www; httpd -p 80 -h /www")
            sha = one.run("sha256sum /tmp/blob")[1].split()[0]
            for card in range(3):
                fetch(two, f"http://10.{card}.0.1/blob", sha)


def refusals():
    cases = [
        ("tap,id=n,ifname=thisnameistoolongforlinux", "ifname"),
        ("tap,id=n,fd=77", "descriptor 77 is not a tap"),
        ("tap,id=n,ifname=bh9,script=/nonexistent", "cannot run the script '/nonexistent'"),
        ("tap,id=n,vhost=on", "vhost"),
        ("stream,id=n,addr.type=unix,addr.path=/nonexistent/socket", "cannot connect to /nonexistent/socket"),
        ("stream,id=n,addr.type=inet,addr.host=127.0.0.1,addr.port=9", "cannot connect to 127.0.0.1:9"),
        ("stream,id=n,addr.type=inet,addr.host=127.0.0.1", "addr.port"),
        ("dgram,id=n,local.type=inet,remote.type=inet", "remote.port"),
        ("dgram,id=n,remote.type=inet", "local.type and remote.type"),
        ("socket,id=n", "exactly one of"),
        ("socket,id=n,mcast=10.0.0.1:99", "not a multicast address"),
        ("bridge,id=n,helper=/nonexistent", "cannot run the bridge helper '/nonexistent'"),
        ("vde,id=n", "network back end 'vde' is not built (available: user, tap, bridge, socket, stream, dgram, null)"),
    ]
    for netdev, want in cases:
        with guest.Emulator(["-netdev", netdev, "-device", "virtio-net-pci,netdev=n", "-display", "none",
                             "-kernel", guest.kernel()]) as e:
            assert e.wait(20) == 1, netdev
            lines = e.err.decode().strip().splitlines()
            assert len(lines) == 1 and want in lines[0], (netdev, lines)


if __name__ == "__main__":
    netns.enter()
    dc.program("bulkhead-net")
    tap.main(refusals, tap_by_name, passt_stream, guests_joined)
