#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel end to end: boots and powers off, keeps a file on the disk, fetches 20 MB, is reached
through hostfwd, takes a power button. BULKHEAD=qemu-system-x86_64 runs the same against QEMU.

BULKHEAD_BOOTS: how many boots in a row (default 3; 20 with BULKHEAD_TEST_LONG).
"""
import hashlib
import os
import socket
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import guest
import tap
from hostport import Web, free_port

BOOTS = int(os.environ.get("BULKHEAD_BOOTS", "20" if os.environ.get("BULKHEAD_TEST_LONG") else "3"))
USER = "user,model=virtio-net-pci"


def prepared():
    """(directory, initramfs), made once."""
    if not hasattr(prepared, "value"):
        directory = tempfile.TemporaryDirectory()
        prepared.keep = directory
        prepared.value = directory.name, guest.initramfs(directory.name)
    return prepared.value


def boots_and_powers_off():
    _, initrd = prepared()
    slowest = 0
    for n in range(BOOTS):
        begun = time.monotonic()
        e, status = guest.guest_test("boot-poweroff", initrd=initrd)
        slowest = max(slowest, time.monotonic() - begun)
        assert (status, e.status) == (0, 0), f"boot {n}: {status}, {e.status}{e.tail()}"
    print(f"# {BOOTS} boots, slowest {slowest:.1f} s")


def file_survives_a_reboot():
    tmp, initrd = prepared()
    image = guest.disk(tmp)
    seen = []
    for word in ("wrote", "verified"):
        e, status = guest.guest_test("disk-sha", initrd=initrd, disk_image=image)
        assert status == 0 and e.status == 0, e.tail()
        e.seen = 0
        seen.append(e.text(e.expect(f"DISK-SHA {word} ([0-9a-f]+)", 1)))
    assert seen[0] == seen[1], seen


def fetches_20_mb():
    tmp, initrd = prepared()
    data, web = os.urandom(20 << 20), Web(tmp)
    web.put("blob", data)
    e, status = guest.guest_test("fetch", initrd=initrd, net=USER, append=f"bhport={web.port}")
    web.close()
    assert status == 0 and e.status == 0, e.tail()
    e.seen = 0
    m = e.expect(r"FETCH ([0-9a-f]+) ([0-9.]+)", 1)
    print(f"# 20 MB in {e.text(m, 2)} s")
    assert e.text(m) == hashlib.sha256(data).hexdigest()


def is_reached_through_hostfwd():
    _, initrd = prepared()
    port, udp = free_port(), free_port(socket.SOCK_DGRAM)
    net = f"{USER},hostfwd=tcp:127.0.0.1:{port}-:22,hostfwd=udp:127.0.0.1:{udp}-:7"
    with guest.Emulator(guest.linux_args(initrd, "bhtest=hostfwd", net=net)) as e:
        e.expect("HOSTFWD ready", 120)
        base = f"http://127.0.0.1:{port}/"
        data = urllib.request.urlopen(base + "blob", timeout=30).read()
        want = urllib.request.urlopen(base + "blob.sha256", timeout=30).read().decode().strip()
        assert hashlib.sha256(data).hexdigest() == want
        urllib.request.urlopen(base + "cgi-bin/done", timeout=30).read()
        e.expect("exit=0", 30)
        assert e.wait() == 0
    with guest.Emulator(guest.linux_args(initrd, "bhtest=udp-echo", net=net)) as e:
        e.expect("UDP-ECHO ready", 120)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            u.settimeout(0.5)

            def echoed():
                u.sendto(b"echo", ("127.0.0.1", udp))
                try:
                    return u.recv(100) == b"echo"
                except TimeoutError:
                    return False
            dc.until(15, "the datagram comes back", echoed)
        e.expect("exit=0", 30)


def shell_and_power_button():
    _, initrd = prepared()
    with guest.Emulator(guest.linux_args(initrd, net=USER)) as e:
        e.shell(120)
        status, text = e.run("uname -s; cat /etc/resolv.conf; ip addr show eth0; false")
        assert status == 1 and text.startswith("Linux\n"), text
        assert "nameserver 10.0.2.3" in text and "10.0.2.15/24" in text, text
        assert e.qmp.cmd("query-status")["status"] == "running"
        e.qmp.cmd("system_powerdown")
        assert e.wait() == 0


if __name__ == "__main__":
    tap.main(boots_and_powers_off, file_survives_a_reboot, fetches_20_mb,
             is_reached_through_hostfwd, shell_and_power_button)
