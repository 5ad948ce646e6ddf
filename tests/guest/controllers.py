#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drives behind each storage controller as Debian's drivers see them: what is read is what is in the image, what is written
is in the image afterwards, and a CD-ROM drive's disc can be read.

Argument: names of tests; default all.
"""
import hashlib
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import guest
import storage
import tap

MIB = 16


def sha(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def read_and_write(name):
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "disk.raw")
        before = storage.image(path, MIB, name)
        with storage.emulator(tmp, name, path, "both") as e:
            assert e.text(e.expect(r"STORAGE found (\d+) sectors", 120)) == str(MIB * 2048)
            assert e.text(e.expect(r"STORAGE before ([0-9a-f]{64})", 60)) == before
            after = e.text(e.expect(r"STORAGE after ([0-9a-f]{64})", 120))
            storage.finished(e)
            assert e.wait(30) == 0
        assert after != before and sha(path) == after, (before, after, sha(path))


def disc(args, modules):
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "disc.iso")
        want = storage.image(path, 8, "disc")
        initrd = guest.initramfs(tmp, "cd.gz", "--modules", modules)
        extra = [a.replace("%s", path) for a in args]
        with guest.Emulator(guest.linux_args(initrd, "bhtest=storage bhdev=/dev/sr0 bhdo=sum", extra=extra)) as e:
            assert e.text(e.expect(r"STORAGE sum ([0-9a-f]{64})", 120)) == want
            storage.finished(e)


def ide_dma():
    """IDE, bus-master DMA: checksums before and after"""
    read_and_write("ide-dma")


def ide_pio():
    """IDE, PIO through the data window: checksums before and after"""
    read_and_write("ide-pio")


def ahci():
    """AHCI with NCQ: checksums before and after"""
    read_and_write("ahci")


def nvme():
    """NVMe with MSI-X: checksums before and after"""
    read_and_write("nvme")


def scsi():
    """virtio-scsi with a disk: checksums before and after"""
    read_and_write("scsi")


def scsi_disc():
    """A SCSI CD-ROM drive's disc is read by sr"""
    disc(["-drive", "file=%s,format=raw,if=none,id=c,readonly=on", "-device", "virtio-scsi-pci,id=s",
          "-device", "scsi-cd,drive=c"], "virtio_pci,virtio_scsi,sr_mod")


def ide_disc():
    """An IDE CD-ROM drive's disc is read by sr"""
    disc(["-cdrom", "%s"], "ata_piix,sr_mod")


def ahci_disc():
    """An AHCI CD-ROM drive's disc is read by sr"""
    disc(["-drive", "file=%s,format=raw,if=none,id=c,readonly=on", "-device", "ich9-ahci,id=sata",
          "-device", "ide-cd,drive=c,bus=sata.2"], "ahci,sr_mod")


if __name__ == "__main__":
    tap.main(ide_dma, ide_pio, ahci, nvme, scsi, ide_disc, ahci_disc, scsi_disc)
