#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our vhost-user front end with qemu-storage-daemon's vhost-user-blk export as back end.

The rig (tests/proto/block-driver.c) is the guest: verified writes at depth eight, stop and start between
them, then the image is compared with what was written.
"""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import tap

QSD = shutil.which("qemu-storage-daemon")
BYTES = 1024 * 4096  # the rig's image


def verified_writes():
    with tempfile.TemporaryDirectory() as tmp:
        path, image = os.path.join(tmp, "sock"), os.path.join(tmp, "disk.raw")
        with open(image, "wb") as f:
            f.truncate(BYTES)
        qsd = subprocess.Popen([QSD, "--blockdev", f"driver=file,node-name=f,filename={image}",
                                "--export", "type=vhost-user-blk,id=e,node-name=f,writable=on,"
                                f"addr.type=unix,addr.path={path}"])
        try:
            dc.until(20, "qemu-storage-daemon listens", lambda: os.path.exists(path))
            rig = dc.program(os.path.join("tests", "unit", "block-proc", "block-driver"))
            out = subprocess.run([rig, path, image, "foreign"], timeout=60, check=True,
                                 stdout=subprocess.PIPE, text=True).stdout
            print("# " + out.replace("\n", " "))
        finally:
            qsd.kill()
            qsd.wait(10)


if __name__ == "__main__":
    if not QSD:
        print("1..0 # SKIP no qemu-storage-daemon")
        sys.exit(0)
    tap.main(verified_writes)
