#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Direct boot of the bare guest: Multiboot with modules, PVH with an initrd, isa-debug-exit."""
import importlib.machinery
import importlib.util
import os
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "lib"))
import tap  # noqa: E402

loader = importlib.machinery.SourceFileLoader("compare", str(HERE / "compare"))
compare = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare", loader))
loader.exec_module(compare)


def in_directory(test):
    """Runs test with two files `one` (5 bytes) and `two,2` (7 bytes) in the working directory."""
    with tempfile.TemporaryDirectory() as d:
        old = os.getcwd()
        os.chdir(d)
        try:
            pathlib.Path("one").write_text("Aaaaa")
            pathlib.Path("two,2").write_text("Bbbbbbb")
            test()
        finally:
            os.chdir(old)


def multiboot_kernel_gets_its_modules_and_their_strings():
    def test():
        status, text = compare.boot(compare.BULKHEAD, "list", "one -x y,two,,2")
        assert status == 1, text
        assert "boot: multiboot flags 24f modules 2 lower 639" in text, text
        assert 'module 0: 5 bytes, first 41, "one -x y"' in text, text
        assert 'module 1: 7 bytes, first 42, "two,2"' in text, text
    in_directory(test)


def pvh_kernel_gets_its_start_info_and_initrd():
    def test():
        image = compare.GUEST.read_bytes()
        assert image.count(b"\x02\xb0\xad\x1b") >= 1
        pathlib.Path("pvh.elf").write_bytes(image.replace(b"\x02\xb0\xad\x1b", b"\0\0\0\0", 1))
        status, text = compare.boot(compare.BULKHEAD, "list", "one", "pvh.elf")
        assert status == 1, text
        assert "boot: pvh magic 336ec578 version 1 modules 1" in text, text
        assert "module 0: 5 bytes, first 41" in text, text
    in_directory(test)


def a_module_that_is_not_there_is_named():
    status, text = compare.boot(compare.BULKHEAD, "list", "/nonexistent/m args")
    assert status == 1 and "-initrd /nonexistent/m: cannot open" in text, text


def a_guest_chooses_the_exit_status():
    status, text = compare.boot(compare.BULKHEAD, "exit=5")
    assert status == 11, (status, text)


def a_triple_fault_resets():
    status, text = compare.boot(compare.BULKHEAD, "triple")  # with -no-reboot a reset ends the emulator
    assert status == 0, (status, text)


def on_processor(model, subject):
    """Console text of one subject on Bulkhead with this -cpu."""
    saved = compare.MACHINE[:]
    compare.MACHINE[compare.MACHINE.index("-cpu") + 1] = model
    try:
        status, text = compare.boot(compare.BULKHEAD, f"only={subject}")
    finally:
        compare.MACHINE[:] = saved
    wrong = [line for line in text.splitlines() if line.startswith("not ok")]
    assert status == 1 and not wrong, (model, subject, status, wrong)
    return text


def five_levels_of_page_tables():
    text = on_processor("max,+la57", "la57")
    assert "ok la57/second-half: " in text, text


def an_amd_processor_follows_its_manual():
    for subject in ("syscall", "model", "transfers", "segments", "exceptions", "tables", "paging", "control", "modes"):
        on_processor("EPYC,check=off", subject)


def ports_of_the_chipset_are_refused():
    emulator = [*compare.BULKHEAD, "-device", "isa-debug-exit,iobase=0x3f8"]
    saved = compare.MACHINE[:]
    at = compare.MACHINE.index("-device")
    del compare.MACHINE[at:at + 2]
    try:
        status, text = compare.boot(emulator, "list")
    finally:
        compare.MACHINE[:] = saved
    assert status == 1 and "belong to the chipset" in text, text


if __name__ == "__main__":
    tap.main(multiboot_kernel_gets_its_modules_and_their_strings, pvh_kernel_gets_its_start_info_and_initrd,
             a_module_that_is_not_there_is_named, a_guest_chooses_the_exit_status, a_triple_fault_resets,
             ports_of_the_chipset_are_refused, five_levels_of_page_tables, an_amd_processor_follows_its_manual)
