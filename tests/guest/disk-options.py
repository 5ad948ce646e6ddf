#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A host's disk that fills up stops the machine (werror=enospc, the default) and `cont` goes on when there is room; the
guest sees a disk that grows; with -snapshot the image keeps what it had. Needs root for a small file system.
"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import guest
import tap

MIB = 1 << 20


def full_disk_stops_and_goes_on():
    if os.geteuid():
        raise tap.Skip("needs root to mount a small tmpfs")
    with tempfile.TemporaryDirectory() as tmp:
        small = os.path.join(tmp, "small")
        os.mkdir(small)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", small], check=True)
        try:
            image = os.path.join(small, "d.raw")
            open(image, "wb").close()
            os.truncate(image, 32 * MIB)
            with guest.Emulator(guest.linux_args(guest.initramfs(tmp), "bhtest=disk-full bhdisk=on", disk_image=image)) as e:
                ev = e.qmp.event("BLOCK_IO_ERROR", 120)["data"]
                assert (ev["action"], ev["operation"], ev["nospace"]) == ("stop", "write", True), ev
                e.qmp.event("STOP")
                assert e.qmp.cmd("query-status")["status"] == "io-error"
                subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
                e.qmp.cmd("cont")
                e.qmp.event("RESUME")
                e.expect("FULL written", 60)
                e.qmp.cmd("block_resize", device="virtio0", size=64 * MIB)
                e.expect("FULL grown 131072", 60)
                e.expect("FULL same", 60)
                e.expect("exit=0", 60)
                e.wait(30)
            assert os.stat(image).st_size == 64 * MIB
            with open(image, "rb") as f:
                assert f.read(8 * MIB) == b"x" * (8 * MIB)
        finally:
            subprocess.run(["umount", "-l", small], check=True)


def snapshot_keeps_the_image():
    with tempfile.TemporaryDirectory() as tmp:
        image = os.path.join(tmp, "d.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "32M"], check=True)
        before = open(image, "rb").read()
        args = guest.linux_args(guest.initramfs(tmp), "bhtest=disk-full bhdisk=on", disk_image=image, disk_format="qcow2",
                                extra=["-snapshot"])
        with guest.Emulator(args) as e:
            e.expect("FULL written", 120)
            e.qmp.cmd("block_resize", device="virtio0", size=64 * MIB)
            e.expect("FULL same", 60)
            e.expect("exit=0", 60)
            e.wait(30)
        assert open(image, "rb").read() == before, "the image was written"


if __name__ == "__main__":
    tap.main(full_disk_stops_and_goes_on, snapshot_keeps_the_image)
