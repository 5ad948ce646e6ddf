#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bulkhead-net as the vhost-user back end of a stock QEMU: Linux's own driver is the judge.

Fetch with the same sha256, hostfwd in both protocols, and kill -9 during transfers.
"""
import hashlib
import os
import shutil
import socket
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import guest
import net_guest as ng
import tap
from hostport import Web, free_port

QEMU = shutil.which("qemu-system-x86_64")


class Vm:
    """QEMU with its network card served by a bulkhead-net that we start ourselves."""

    def __init__(self, tmp, append, conf=None):
        self.conf = conf or ng.net_config()
        self.path = os.path.join(tmp, "vhost-user")
        self.generation = 0
        os.environ["BULKHEAD"] = QEMU
        ram = "memory-backend-memfd,id=ram,size=256M,share=on"
        args = ["-accel", "tcg", "-cpu", "max", "-M", "pc,memory-backend=ram", "-m", "256",
                "-object", ram, "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
                "-chardev", f"socket,id=c,path={self.path},server=on,wait=on",
                "-netdev", "vhost-user,id=n,chardev=c",
                # vectors=0: QEMU 7.2 without KVM dies when vhost-user meets MSI-X (vector_irqfd).
                "-device", "virtio-net-pci,netdev=n,mac=52:54:00:12:34:56,vectors=0",
                "-kernel", guest.kernel(), "-initrd", guest.initramfs(tmp),
                "-append", f"console=ttyS0 quiet panic=-1 {append}"]
        self.emu = guest.Emulator(args, qmp=False)
        self.child = None
        self.serve()

    def serve(self):
        """Starts (another) back end."""
        if self.child:
            self.child.close()
        self.generation += 1
        sock = socket.socket(socket.AF_UNIX)

        def connected():
            try:
                sock.connect(self.path)
                return True
            except (FileNotFoundError, ConnectionRefusedError):
                return False
        dc.until(10, "QEMU listens", connected)
        self.child = dc.Child("bulkhead-net")
        self.child.boot("net", "net0", (11, self.conf), [(dc.FD_VHOST_USER, sock.fileno())],
                        generation=self.generation)
        sock.close()
        self.child.expect("READY")

    def __enter__(self):
        return self.emu

    def __exit__(self, *_):
        self.emu.close()
        self.child.close()


def blob(tmp, mib):
    data = os.urandom(mib << 20)
    with open(os.path.join(tmp, "blob"), "wb") as f:
        f.write(data)
    return hashlib.sha256(data).hexdigest()


def fetch_20_mb():
    with tempfile.TemporaryDirectory() as tmp:
        sha, web = blob(tmp, 20), Web(tmp)
        with Vm(tmp, f"bhtest=fetch bhport={web.port}") as e:
            m = e.expect(r"FETCH ([0-9a-f]+) ([0-9.]+)", 120)
            assert e.text(m) == sha, "another sha256"
            print(f"# 20 MB in {e.text(m, 2)} s")
            assert e.wait(30) == 0
        web.close()


def hostfwd_tcp():
    port = free_port()
    conf = ng.net_config(hostfwd=[(False, "127.0.0.1", port, "", 22)])
    with tempfile.TemporaryDirectory() as tmp, Vm(tmp, "bhtest=hostfwd", conf) as e:
        e.expect("HOSTFWD ready", 120)
        base = f"http://127.0.0.1:{port}/"
        data = urllib.request.urlopen(base + "blob", timeout=20).read()
        want = urllib.request.urlopen(base + "blob.sha256", timeout=20).read().decode().strip()
        assert hashlib.sha256(data).hexdigest() == want
        urllib.request.urlopen(base + "cgi-bin/done", timeout=20).read()
        assert e.wait(30) == 0


def hostfwd_udp():
    port = free_port(socket.SOCK_DGRAM)
    conf = ng.net_config(hostfwd=[(True, "127.0.0.1", port, "", 7)])
    with tempfile.TemporaryDirectory() as tmp, Vm(tmp, "bhtest=udp-echo", conf) as e:
        e.expect("UDP-ECHO ready", 120)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            u.settimeout(0.5)

            def echoed():
                u.sendto(b"echo", ("127.0.0.1", port))
                try:
                    return u.recv(100) == b"echo"
                except TimeoutError:
                    return False
            dc.until(10, "the datagram comes back", echoed)
        e.expect("BHTEST udp-echo exit=0", 30)


def kills_during_transfers():
    """Ten kills while the guest fetches in a loop: new connections soon, complete fetches follow."""
    with tempfile.TemporaryDirectory() as tmp:
        sha, web = blob(tmp, 4), Web(tmp)
        web.put("probe", b"yes")
        vm = Vm(tmp, f"bhtest=fetch-loop bhport={web.port} bhsha={sha} bhcount=100000")
        with vm as e:
            e.expect("LOOP OK", 120)
            slowest = 0
            for n in range(10):
                time.sleep(0.05 * n)  # another moment of the transfer each time
                begun = time.monotonic()
                vm.serve()
                e.seen = len(e.out)
                e.expect("PROBE OK", 10)
                slowest = max(slowest, time.monotonic() - begun)
                e.expect("LOOP OK", 30)
            # The probe asks twice a second, and a lost SYN is repeated after one.
            print(f"# slowest new connection after a kill: {slowest:.2f} s")
            assert slowest < 2
            web.put("stop", b"now")
            e.expect("BHTEST fetch-loop exit=0", 60)
            assert e.wait(30) == 0
        web.close()


if __name__ == "__main__":
    if not QEMU:
        print("1..0 # SKIP no qemu-system-x86_64")
        sys.exit(0)
    tap.main(fetch_20_mb, hostfwd_tcp, hostfwd_udp, kills_during_transfers)
