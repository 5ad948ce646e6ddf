#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SeaBIOS boots from a drive behind each storage controller: a boot sector reads another sector by INT 13h and writes it to
the serial port.
"""
import os
import struct
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import guest
import tap

# At 7C00h: INT 13h/42h reads the sector that the packet names to 8000h; its text goes to COM1.
CODE = bytes.fromhex(
    "fa31c08ed88ec08ed0bc007c"    # cli; xor ax,ax; mov ds,es,ss,ax; mov sp,7c00h
    "be407cb442cd13721e"          # mov si,7c40h; mov ah,42h; int 13h; jc end (+30)
    "be0080"                      # mov si,8000h
    "ac84c07416"                  # next: lodsb; test al,al; jz end (+22)
    "88c4bafd03eca82074fb"        # mov ah,al; mov dx,3fdh; wait: in al,dx; test al,20h; jz wait
    "88e0baf803ee"                # mov al,ah; mov dx,3f8h; out dx,al
    "ebe9"                        # jmp next
    "90909090"
    "f4ebfd")                     # end, fail: hlt; jmp


def boot_sector(lba, count, signature=True):
    code = CODE.ljust(0x40, b"\x90") + struct.pack("<BBHHHQ", 16, 0, count, 0x8000, 0, lba)
    return code.ljust(510, b"\0") + (b"\x55\xaa" if signature else b"\0\0")


def disk(path, tag):
    with open(path, "wb") as f:
        f.write(boot_sector(1000, 1))
        f.seek(1000 * 512)
        f.write(f"BOOTED {tag}\r\n".encode().ljust(512, b"\0"))
        f.truncate(4 << 20)


def disc(path, tag):
    """El Torito, no emulation: a boot record, a catalog, one boot sector; INT 13h counts in blocks of 2048 there."""
    entry = struct.pack("<BBHBBHI", 0x88, 0, 0, 0, 0, 4, 20)
    check = bytearray(struct.pack("<BBH24sHBB", 1, 0, 0, b"", 0, 0x55, 0xaa))
    check[28:30] = struct.pack("<H", -sum(struct.unpack("<16H", check)) & 0xffff)
    with open(path, "wb") as f:
        f.seek(16 * 2048)
        f.write(b"\x01CD001\x01".ljust(2048, b"\0"))
        f.write((b"\x00CD001\x01" + b"EL TORITO SPECIFICATION".ljust(64, b"\0") + struct.pack("<I", 19)).ljust(2048, b"\0"))
        f.write(b"\xffCD001\x01".ljust(2048, b"\0"))
        f.write((bytes(check) + entry).ljust(2048, b"\0"))
        f.write(boot_sector(100, 1).ljust(2048, b"\0"))
        f.seek(100 * 2048)
        f.write(f"BOOTED {tag}\r\n".encode().ljust(2048, b"\0"))
        f.truncate(1 << 20)


def boots(make, *args):
    tag = "%08x" % (os.getpid() * 40503 & 0xffffffff)
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "image")
        make(path, tag)
        with guest.Emulator(["-M", "pc", "-m", "64", "-nodefaults", "-display", "none", "-serial", "stdio",
                             *[a.replace("%s", path) for a in args]]) as e:
            e.expect(f"BOOTED {tag}", 60)


DRIVE = ["-drive", "file=%s,format=raw,if=none,id=d"]


def ide_disk():
    """-hda"""
    boots(disk, "-drive", "file=%s,format=raw")


def ide_disc():
    """-cdrom"""
    boots(disc, "-cdrom", "%s")


def ahci_disk():
    """a disk on an AHCI port"""
    boots(disk, *DRIVE, "-device", "ich9-ahci,id=s", "-device", "ide-hd,drive=d,bus=s.1")


def ahci_disc():
    """a disc on an AHCI port"""
    boots(disc, *DRIVE, "-device", "ich9-ahci,id=s", "-device", "ide-cd,drive=d,bus=s.0")


def nvme():
    """an NVMe namespace"""
    boots(disk, *DRIVE, "-device", "nvme,drive=d,serial=N")


def scsi_disk():
    """a disk on virtio-scsi"""
    boots(disk, *DRIVE, "-device", "virtio-scsi-pci", "-device", "scsi-hd,drive=d")


def q35_disk():
    """-hda of q35: the ICH9's own AHCI"""
    boots(disk, "-M", "q35", "-drive", "file=%s,format=raw")


def q35_disc():
    """-cdrom of q35"""
    boots(disc, "-M", "q35", "-cdrom", "%s")


def bootindex():
    """bootindex= decides between two controllers"""
    tag = "second"
    with tempfile.TemporaryDirectory() as tmp:
        first, path = os.path.join(tmp, "a"), os.path.join(tmp, "b")
        disk(first, "first")
        disk(path, tag)
        with guest.Emulator(["-M", "pc", "-m", "64", "-nodefaults", "-display", "none", "-serial", "stdio",
                             "-drive", f"file={first},format=raw", "-drive", f"file={path},format=raw,if=none,id=d",
                             "-device", "ich9-ahci,id=s", "-device", "ide-hd,drive=d,bus=s.1,bootindex=0"]) as e:
            e.expect(f"BOOTED {tag}", 60)
            assert b"BOOTED first" not in e.out


if __name__ == "__main__":
    tap.main(ide_disk, ide_disc, ahci_disk, ahci_disc, nvme, scsi_disk, q35_disk, q35_disc, bootindex)
