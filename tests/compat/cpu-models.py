#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Processor models beside Debian's QEMU: for every model that both know, query-cpu-model-expansion names the same
features, and `-cpu help` the same models. Every difference is in ALLOWED with its reason."""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import guest  # noqa: E402

QEMU = shutil.which("qemu-system-x86_64")
# Features that QEMU's model has in our words, and why ours differs.
ALLOWED = [
    # QEMU's TCG switches VME off in every model; processors since the Pentium have it.
    (r".*", {"vme"}),
    # Our qemu64 boots by default, and without a warning: SVM is not carried.
    (r"qemu64(-v1)?", {"svm"}),
]
OURS_ONLY = {"SapphireRapids", "SapphireRapids-v1", "EPYC-Genoa", "EPYC-Genoa-v1"}


def expansion(qmp, name):
    return qmp.cmd("query-cpu-model-expansion", type="static", model={"name": name})["model"]["props"]


def names(command):
    out = subprocess.run([*command, "-cpu", "help"], stdout=subprocess.PIPE, text=True, timeout=30, check=True).stdout
    return set(re.findall(r"^(?:x86 )(\S+)", out, re.M))


def compare(theirs, ours, name):
    wrong = []
    allowed = {f for pattern, fs in ALLOWED if re.fullmatch(pattern, name) for f in fs}
    for key, value in ours.items():
        if key not in theirs or key in allowed or key in ("level", "xlevel"):
            continue
        if theirs[key] != value:
            wrong.append(f"{key}: QEMU {theirs[key]}, here {value}")
    return wrong


def checks(q, b):
    """(what, list of what is wrong) for every model."""
    theirs, ours = names([QEMU]), names(guest.emulator())
    yield "-cpu help", sorted((theirs ^ ours) - OURS_ONLY)
    defs = {d["name"]: d for d in b.cmd("query-cpu-definitions")}
    yield "query-cpu-definitions", sorted(ours ^ set(defs))
    for name in sorted(theirs & ours - {"max", "host"}):
        yield name, compare(expansion(q, name), expansion(b, name), name)


def main():
    if not QEMU:
        print("1..0 # SKIP no qemu-system-x86_64")
        return 0
    ours = ["-kernel", guest.kernel(), "-S", "-display", "none", "-nodefaults", "-m", "128"]
    failed = n = 0
    with guest.Emulator(ours) as e:
        os.environ["BULKHEAD"], kept = QEMU, os.environ.get("BULKHEAD")
        try:
            q = guest.Emulator(["-M", "pc", "-accel", "tcg", "-display", "none", "-nodefaults", "-S"])
        finally:
            os.environ.pop("BULKHEAD")
            if kept:
                os.environ["BULKHEAD"] = kept
        with q:
            for what, wrong in checks(q.qmp, e.qmp):
                n += 1
                failed += bool(wrong)
                print(f"{'not ' if wrong else ''}ok {n} - {what}{': ' if wrong else ''}{'; '.join(wrong)}")
    print(f"1..{n}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
