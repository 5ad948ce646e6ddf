#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bulkhead-block as the vhost-user back end of a stock QEMU: Linux's own driver is the judge.

A file written and read back after a reboot, and kill -9 while eight writers verify. QEMU keeps the inflight
memory; our program is started anew on a new connection.
"""
import os
import re
import shutil
import socket
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import guest
import tap

QEMU = shutil.which("qemu-system-x86_64")
KILLS = 8


class Vm:
    """QEMU with its disk served by a bulkhead-block that we start ourselves."""

    def __init__(self, tmp, disk, append):
        self.path, self.disk = os.path.join(tmp, "vhost-user"), disk
        self.generation, self.child = 0, None
        os.environ["BULKHEAD"] = QEMU
        args = ["-accel", "tcg", "-cpu", "max", "-M", "pc,memory-backend=ram", "-m", "256",
                "-object", "memory-backend-memfd,id=ram,size=256M,share=on",
                "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
                "-chardev", f"socket,id=c,path={self.path},server=on,wait=on",
                "-device", "vhost-user-blk-pci,chardev=c,num-queues=1",
                "-kernel", guest.kernel(), "-initrd", guest.initramfs(tmp),
                "-append", f"console=ttyS0 quiet panic=-1 {append}"]
        self.emu = guest.Emulator(args, qmp=False)
        self.serve()

    def serve(self):
        """Kills the back end, if there is one, and starts the next."""
        if self.child:
            self.child.kill()
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
        image = os.open(self.disk, os.O_RDWR | os.O_CLOEXEC)
        conf = dc.field(1, "disk") + dc.field(3, "a-serial")
        self.child = dc.Child("bulkhead-block")
        self.child.boot("block", "virtio0", (10, conf),
                        [(dc.FD_VHOST_USER, sock.fileno()), (dc.FD_IMAGE, image)],
                        generation=self.generation)
        sock.close()
        os.close(image)
        self.child.expect("READY", 40)

    def __enter__(self):
        return self.emu

    def __exit__(self, *_):
        self.emu.close()
        self.child.close()


def file_survives_reboot():
    with tempfile.TemporaryDirectory() as tmp:
        disk, sha = guest.disk(tmp), []
        for word in ("wrote", "verified"):
            with Vm(tmp, disk, "bhtest=disk-sha") as e:
                m = e.expect(rf"DISK-SHA {word} ([0-9a-f]{{64}})", 120)
                sha.append(e.text(m))
                assert e.wait(60) == 0
        assert sha[0] == sha[1]


def kills_under_load():
    with tempfile.TemporaryDirectory() as tmp:
        vm = Vm(tmp, guest.disk(tmp), "bhtest=blk-hammer bhseconds=15")
        with vm as e:
            e.expect("HAMMER start", 120)
            for n in range(KILLS):
                time.sleep(0.5 + 0.07 * n)  # another moment each time
                vm.serve()
            m = e.expect(r"HAMMER done ops=(\d+) errors=(\d+) bad=(\d+) worst_us=(\d+) ", 120)
            print(f"# {KILLS} kills, {e.text(m)} operations, longest {e.text(m, 4)} us")
            assert e.text(m, 2) == "0" and e.text(m, 3) == "0", "errors or bad blocks"
            e.expect("BHTEST blk-hammer exit=0", 60)
            assert not re.search(rb"I/O error|is not a head", e.out)


if __name__ == "__main__":
    if not QEMU:
        print("1..0 # SKIP no qemu-system-x86_64")
        sys.exit(0)
    tap.main(file_survives_reboot, kills_under_load)
