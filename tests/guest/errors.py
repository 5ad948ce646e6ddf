#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is wrong on the command line gets one clear line on stderr that names it, and exit status 1; a host
disk that fails becomes an I/O error in the guest, never a dead process."""
import os
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import guest
import tap


def refused(args, *words):
    r = subprocess.run([*guest.emulator(), "-display", "none", "-serial", "none", "-monitor", "none",
                        *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    lines = r.stderr.strip().splitlines()
    assert r.returncode == 1, f"{args}: exit status {r.returncode}: {r.stderr}"
    assert len(lines) == 1, f"{args}: not one line: {r.stderr}"
    for w in words:
        assert w in lines[0], f"{args}: {w!r} is not named: {lines[0]}"


def the_wrong_thing_is_named():
    kernel = ["-kernel", guest.kernel()]
    with tempfile.TemporaryDirectory() as tmp:
        raw = os.path.join(tmp, "d.raw")
        with open(raw, "wb") as f:
            f.truncate(1 << 20)
        nic = "user,model=virtio-net-pci"
        refused(["-fnord"], "-fnord")
        refused(["-m", "12Q"] + kernel, "12Q")
        refused(["-smp", "65"] + kernel, "-smp")
        refused(["-M", "pdp11"] + kernel, "pdp11")
        refused(["-cpu", "z80"] + kernel, "z80")
        refused(["-cpu", "pentium3"] + kernel, "pentium3", "64-bit")
        refused(["-cpu", "max,+avx512f,enforce"] + kernel, "avx512f")
        refused(["-kernel", "/nowhere/vmlinuz"], "/nowhere/vmlinuz", "No such file")
        refused(["-kernel", raw], raw)
        refused(kernel + ["-initrd", "/nowhere/initrd"], "/nowhere/initrd", "No such file")
        refused(kernel + ["-drive", "file=/nowhere/d.raw,format=raw,if=virtio"], "/nowhere/d.raw",
                "No such file")
        refused(kernel + ["-drive", f"file={tmp},format=raw,if=virtio"], tmp, "directory")
        refused(kernel + ["-drive", f"file={raw},format=vdi,if=virtio"], "vdi")
        refused(kernel + ["-drive", f"file={raw},format=raw,if=virtio,color=red"], "color")
        top = os.path.join(tmp, "top.qcow2")  # a name inside an image leads nowhere else
        subprocess.run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", top, "1M"],
                       check=True)
        refused(kernel + ["-drive", f"file={top},if=virtio"], "/etc/passwd", "BULKHEAD_IMAGE_DIRS")
        refused(kernel + ["-nic", f"{nic},hostfwd=tcp:127.0.0.1:99999-:22"], "99999")
        refused(kernel + ["-nic", f"{nic},hostfwd=tcp:300.0.0.1:22-:22"], "300.0.0.1")
        refused(kernel + ["-nic", f"{nic},net=10.0.2.0/99"], "10.0.2.0/99")
        refused(kernel + ["-device", "flux-capacitor"], "flux-capacitor")
        refused(kernel + ["-serial", "pigeon:1"], "pigeon")
        refused(kernel + ["-qmp", "unix:/nowhere/sock,server=on,wait=off"], "/nowhere/sock")


def a_port_in_use_is_named():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        refused(["-kernel", guest.kernel(), "-nic",
                 f"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{port}-:22"], str(port))


def an_image_in_use_is_refused():
    with tempfile.TemporaryDirectory() as tmp:
        image = guest.disk(tmp)
        with guest.Emulator(guest.linux_args(guest.initramfs(tmp), disk_image=image)) as e:
            e.qmp.cmd("query-status")
            refused(["-kernel", guest.kernel(), "-drive", f"file={image},format=raw,if=virtio"], image)


def a_full_disk_is_an_io_error_in_the_guest():
    if os.getuid():
        raise tap.Skip("needs root to mount a small file system")
    with tempfile.TemporaryDirectory() as tmp:
        small = os.path.join(tmp, "small")
        os.mkdir(small)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", small], check=True)
        try:
            image = os.path.join(small, "sparse.raw")
            with open(image, "wb") as f:
                f.truncate(64 << 20)
            os.chmod(small, 0o755)
            args = guest.linux_args(guest.initramfs(tmp), extra=["-drive", f"file={image},format=raw,if=virtio,werror=report"])
            with guest.Emulator(args) as e:
                e.shell(120)
                status, text = e.run("dd if=/dev/zero of=/dev/vda bs=64k count=128 oflag=direct", 60)
                assert status != 0 and "I/O error" in text, (status, text)
                status, text = e.run("dd if=/dev/vda of=/dev/null bs=64k count=1 iflag=direct", 60)
                assert status == 0, text
                block = [p for p in e.qmp.cmd("query-processes") if p["role"] == "block"][0]
                assert block["restarts"] == 0 and block["state"] == "running", block
        finally:
            subprocess.run(["umount", "-l", small], check=False)


if __name__ == "__main__":
    tap.main(the_wrong_thing_is_named, a_port_in_use_is_named, an_image_in_use_is_refused,
             a_full_disk_is_an_io_error_in_the_guest)
