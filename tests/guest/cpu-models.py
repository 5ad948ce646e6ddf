#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel under several -cpu models: it boots, sees the vendor, name and flags of the model, and finds
no MSR missing that it reads without a guard. More models with BULKHEAD_TEST_LONG=1."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import guest  # noqa: E402

QUICK = [("qemu64", "AuthenticAMD", "pni cx16 lm nx", "avx sse4_2"),
         ("EPYC", "AuthenticAMD", "sse4_2 topoext rdrand", "avx512f"),
         ("Icelake-Server", "GenuineIntel", "sse4_2 pcid x2apic fsgsbase", "avx512f")]
LONG = [("max", "GenuineIntel", "sse4_2 fsgsbase", "avx512f"), ("host", None, "sse4_2", "avx512f"),
        ("Nehalem", "GenuineIntel", "sse4_2 popcnt", "aes avx"), ("kvm64", "GenuineIntel", "cx16", "ssse3"),
        ("core2duo", "GenuineIntel", "ssse3", "sse4_1"), ("Opteron_G1", "AuthenticAMD", "lm pni", "cx16"),
        ("SapphireRapids", "GenuineIntel", "sse4_2", "avx512f amx_tile"), ("EPYC-Genoa", "AuthenticAMD", "sse4_2", "avx512f"),
        ("max,-sse4.2,-popcnt,+pcid", "GenuineIntel", "pcid sse4_1", "sse4_2 popcnt")]


def fields(text):
    out = {}
    for line in text.splitlines():
        key, sep, value = line.partition(":")
        if sep:
            out[key.strip()] = value.strip()
    return out


def check(initrd, model, vendor, has, lacks):
    e, status = guest.guest_test("cpu-info", initrd=initrd, extra=["-cpu", model], memory=256)
    text = e.out.decode(errors="replace").replace("\r", "")
    got = fields(text)
    flags = got.get("flags", "").split()
    wrong = [f for f in has.split() if f not in flags] + ["no " + f for f in lacks.split() if f in flags]
    if vendor and got.get("vendor_id") != vendor:
        wrong.append(f"vendor {got.get('vendor_id')}")
    wrong += [line for line in text.splitlines() if line.startswith("COMPLAINT")]
    if status or e.status:
        wrong.append(f"status {status}, {e.status}")
    return wrong


def main():
    models = QUICK + (LONG if os.environ.get("BULKHEAD_TEST_LONG") else [])
    failed = 0
    print(f"1..{len(models)}", flush=True)
    with tempfile.TemporaryDirectory() as d:
        initrd = guest.initramfs(d)
        for n, row in enumerate(models, 1):
            wrong = check(initrd, *row)
            failed += bool(wrong)
            print(f"{'not ' if wrong else ''}ok {n} - {row[0]}", flush=True)
            for w in wrong:
                print(f"# {w}", flush=True)
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
