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


def linux_disk(tmp, append=""):
    return firmware.grub_disk(
        tmp, f"linux (hd0,msdos1)/vmlinuz console=ttyS0 quiet panic=-1 {append}\ninitrd (hd0,msdos1)/initrd\nboot\n",
        ["linux", "boot"], files=[(guest.kernel(), "vmlinuz"), (guest.initramfs(tmp), "initrd")], mib=64)


def a_suspended_guest_wakes_up():
    with tempfile.TemporaryDirectory() as tmp:
        with guest.Emulator(firmware.args(*virtio(linux_disk(tmp, "no_console_suspend")), memory=512)) as e:
            e.shell(120)
            e.run("kept=sailor; echo data > /tmp/file")
            assert "mem" in e.run("cat /sys/power/state")[1]
            for wake in (lambda: e.qmp.cmd("system_wakeup"), lambda: e.qmp.cmd("system_powerdown")):
                e.send("echo mem > /sys/power/state; echo awa''ke $kept\n")
                e.qmp.event("SUSPEND", 60)
                assert e.qmp.cmd("query-status")["status"] == "suspended"
                wake()
                e.qmp.event("WAKEUP", 30)
                e.expect("awake sailor", 60)
            # the alarm of the clock, which runs on
            status, out = e.run("cd /sys/class/rtc/rtc0 && cat since_epoch && echo +4 > wakealarm")
            assert status == 0, out
            before = int(out.split()[0])
            e.send("echo mem > /sys/power/state; echo awa''ke again $(cat since_epoch)\n")
            e.qmp.event("SUSPEND", 60)
            e.qmp.event("WAKEUP", 60)
            assert int(e.text(e.expect(r"awake again ([0-9]+)\r?\n", 60))) >= before + 4
            assert e.run("cat /tmp/file") == (0, "data\n")
            try:
                e.qmp.cmd("system_wakeup")
                raise AssertionError("woken while awake")
            except RuntimeError as err:
                assert "not in suspended state" in str(err)


def the_machine_says_what_it_is():
    with tempfile.TemporaryDirectory() as tmp:
        words = ["-smbios", "type=1,manufacturer=Yard,product=Ship,serial=42", "-smbios", "type=2,product=Keel",
                 "-smbios", "type=11,value=first,value=second", "-uuid", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"]
        with guest.Emulator(firmware.args(*virtio(linux_disk(tmp)), *words, memory=512)) as e:
            e.shell(120)
            through_firmware = e.run("cd /sys/class/dmi/id && cat sys_vendor product_name product_serial product_uuid "
                                     "board_name bios_vendor")[1].split()
        assert through_firmware == ["Yard", "Ship", "42", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "Keel",
                                    "SeaBIOS"], through_firmware
        with guest.Emulator(guest.linux_args(guest.initramfs(tmp), extra=words)) as e:
            e.shell(120)
            direct = e.run("cd /sys/class/dmi/id && cat sys_vendor product_name product_serial product_uuid "
                           "board_name")[1].split()
            oem = e.run("cat /sys/firmware/dmi/entries/11-0/raw | tr '\\0' ' '")[1]
        assert direct == through_firmware[:5], direct
        assert "first second" in oem, oem


def q35_boots_and_sleeps_like_pc():
    with tempfile.TemporaryDirectory() as tmp:
        log = os.path.join(tmp, "debug")
        args = firmware.args(*virtio(linux_disk(tmp, "no_console_suspend")), *firmware.debugcon(log), "-M", "q35",
                             memory=512)
        with guest.Emulator(args) as e:
            e.shell(120)
            with open(log, encoding="utf-8", errors="replace") as f:
                assert "Running on QEMU (q35)" in f.read()
            # configuration space in memory: all 4096 bytes of a function can be read, and they agree
            status, out = e.run("cat /sys/bus/pci/devices/0000:00:00.0/device; "
                                "wc -c < /sys/bus/pci/devices/0000:00:00.0/config; grep -c MMCONFIG /proc/iomem")
            assert out.split() == ["0x29c0", "4096", "1"], out
            e.send("echo mem > /sys/power/state; echo awa''ke\n")
            e.qmp.event("SUSPEND", 60)
            e.qmp.cmd("system_wakeup")
            e.expect("awake", 60)


if __name__ == "__main__":
    tap.main(seabios_sets_the_machine_up, grub_comes_from_a_virtio_disk, linux_comes_through_grub,
             bootindex_chooses_among_disks, what_the_user_adds_reaches_the_firmware, a_suspended_guest_wakes_up,
             the_machine_says_what_it_is, q35_boots_and_sleeps_like_pc)
