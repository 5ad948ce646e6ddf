# SPDX-License-Identifier: Apache-2.0
"""The storage controllers as a Debian guest meets them: driver modules, device node, command line.

Disk images here are plain files named by their text; a guest is booted with the kernel's own modules in an
initramfs made for the controller.
"""
import hashlib
import os
import re

import guest

# name: (role of its process, modules, device node, kernel command line, arguments with %s for the image)
CONTROLLERS = {
    "ide-dma": ("ide", "ata_piix,sd_mod", "/dev/sda", "", ["-hda", "%s"]),
    "ahci": ("ahci", "ahci,sd_mod", "/dev/sda", "",
             ["-drive", "file=%s,format=raw,if=none,id=d", "-device", "ich9-ahci,id=sata",
              "-device", "ide-hd,drive=d,bus=sata.0"]),
    "nvme": ("nvme", "nvme", "/dev/nvme0n1", "",
             ["-drive", "file=%s,format=raw,if=none,id=d", "-device", "nvme,drive=d,serial=N1"]),
    "scsi": ("scsi", "virtio_pci,virtio_scsi,sd_mod", "/dev/sda", "",
             ["-drive", "file=%s,format=raw,if=none,id=d", "-device", "virtio-scsi-pci,id=s0",
              "-device", "scsi-hd,drive=d,bus=s0.0,scsi-id=3"]),
    "ide-pio": ("ide", "ata_piix,sd_mod", "/dev/sda", "bhlibata=dma=0", ["-hda", "%s"]),
}


def image(path, mib, seed):
    """A file of pseudo-random bytes that the same seed always makes; its SHA-256."""
    digest = hashlib.sha256()
    with open(path, "wb") as f:
        for i in range(mib):
            block = hashlib.sha256(f"{seed}.{i}".encode()).digest() * 32768
            f.write(block)
            digest.update(block)
    return digest.hexdigest()


def emulator(tmp, name, path, do, append="", more=()):
    """A guest that does `do` (tests/guest/storage.sh) on the drive of this controller."""
    _, modules, node, kernel_args, args = CONTROLLERS[name]
    initrd = os.path.join(tmp, f"{name}.gz")
    if not os.path.exists(initrd):
        guest.initramfs(tmp, f"{name}.gz", "--modules", modules)
    extra = [a.replace("%s", path) for a in args] + list(more)
    return guest.Emulator(guest.linux_args(
        initrd, f"bhtest=storage bhdev={node} bhdo={do} {kernel_args} {append}", extra=extra))


def finished(e, timeout=120):
    m = e.expect(r"BHTEST storage exit=(\d+)", timeout)
    assert int(e.text(m, 1)) == 0, e.tail(40)
    noise = re.findall(r".*(?:I/O error|exception Emask|failed command|timed out|soft reset|hard resetting).*",
                       e.out.decode(errors="replace"))
    assert not noise, noise
