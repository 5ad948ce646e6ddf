#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's SeaBIOS starts a machine without -kernel: its own words on the debug port, GRUB from a virtio disk on the
serial line, Linux through GRUB and back off, and the boot options."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import firmware
import guest
import tap


def virtio(path, more=""):
    return ["-drive", f"file={path},format=raw,if=virtio{more}"]


def seabios_sets_the_machine_up():
    with tempfile.TemporaryDirectory() as tmp:
        log = os.path.join(tmp, "debug")
        with guest.Emulator(firmware.args(*firmware.debugcon(log), "-boot", "reboot-timeout=100,strict=off")) as e:
            text = firmware.wait_file(e, log, "No bootable device.")
            for line in ("SeaBIOS (version ", "Running on QEMU (i440fx)", "QEMU fw_cfg DMA interface supported",
                         "qemu/e820: addr 0x0000000000000000 len 0x0000000008000000 [RAM]",
                         "Moving pm_base to 0x600", "Found 1 cpu(s) max supported 1 cpu(s)",
                         "ACPI: parse DSDT", "PS2 keyboard initialized"):
                assert line in text, f"{line!r} is not in\n{text}"
            # what comes after the time-out of a boot that fails is a reset, and the firmware once more
            firmware.wait_file(e, log, "Rebooting.")
            assert e.qmp.event("RESET")["data"]["guest"]


def grub_comes_from_a_virtio_disk():
    with tempfile.TemporaryDirectory() as tmp:
        disk = firmware.grub_disk(tmp)
        with guest.Emulator(firmware.args(*virtio(disk))) as e:
            e.expect("GNU GRUB", 60)
            e.expect("grub> ", 20)
            e.send("ls\r")
            e.expect(r"\(hd0\)", 20)
            e.qmp.cmd("system_reset")
            e.expect("GNU GRUB", 60)


def linux_comes_through_grub():
    with tempfile.TemporaryDirectory() as tmp:
        disk = firmware.grub_disk(
            tmp, "linux (hd0,msdos1)/vmlinuz console=ttyS0 quiet panic=-1 bhtest=boot-poweroff\n"
                 "initrd (hd0,msdos1)/initrd\nboot\n", ["linux", "boot"],
            files=[(guest.kernel(), "vmlinuz"), (guest.initramfs(tmp), "initrd")], mib=64)
        with guest.Emulator(firmware.args(*virtio(disk), "-no-reboot", memory=512)) as e:
            m = e.expect(r"BHTEST boot-poweroff exit=([0-9]+)", 120)
            assert e.text(m) == "0"
            assert e.wait(30) == 0


def bootindex_chooses_among_disks():
    with tempfile.TemporaryDirectory() as tmp:
        a = firmware.grub_disk(tmp, "echo disk-A\n", name="a.img")
        b = firmware.grub_disk(tmp, "echo disk-B\n", name="b.img")
        drives = []
        for n, path in (("a", a), ("b", b)):
            drives += ["-drive", f"file={path},format=raw,if=none,id={n}"]
        for first, other, word in (("a", "b", "disk-A"), ("b", "a", "disk-B")):
            with guest.Emulator(firmware.args(*drives, "-device", f"virtio-blk-pci,drive={first},bootindex=1,addr=7",
                                              "-device", f"virtio-blk-pci,drive={other},bootindex=2,addr=4")) as e:
                e.expect(word, 60)


def what_the_user_adds_reaches_the_firmware():
    with tempfile.TemporaryDirectory() as tmp:
        log, rom = os.path.join(tmp, "debug"), os.path.join(tmp, "my.rom")
        # an option ROM: signature, one block, entry at 3: mov dx,402h; mov al,'!'; out dx,al; retf
        code = b"\x55\xaa\x01\xba\x02\x04\xb0!\xee\xb0\n\xee\xcb"
        code += b"\0" * (511 - len(code))
        with open(rom, "wb") as f:
            f.write(code + bytes([-sum(code) & 0xff]))
        with guest.Emulator(firmware.args(*firmware.debugcon(log), "-option-rom", rom, "-boot",
                                          "menu=on,splash-time=77", "-fw_cfg",
                                          "name=opt/org.seabios/x,string=y")) as e:
            text = firmware.wait_file(e, log, "enter handle_19")
            assert "\n!\n" in text, text
            assert "Running option rom at" in text


if __name__ == "__main__":
    tap.main(seabios_sets_the_machine_up, grub_comes_from_a_virtio_disk, linux_comes_through_grub,
             bootindex_chooses_among_disks, what_the_user_adds_reaches_the_firmware)
