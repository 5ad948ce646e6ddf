#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bulkhead-img convert against qemu-img convert, in turns, on the same files: median seconds, elapsed and of CPU, and
their ratios (below 1: ours is faster). On a busy machine the CPU ratio is the one to trust. Run by hand: tests/perf/img-convert.py [BUILD] [ROUNDS]. Never a timed test.
"""
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = sys.argv[1] if len(sys.argv) > 1 else "build"
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 7
TOOLS = {"ours": os.path.abspath(os.path.join(BUILD, "bulkhead-img")), "theirs": "qemu-img"}
CASES = {"raw -> qcow2": ("r.raw", ["-f", "raw", "-O", "qcow2"]), "qcow2 -> raw": ("q.qcow2", ["-O", "raw"]),
         "raw -> compressed": ("c.raw", ["-c", "-f", "raw", "-O", "qcow2"])}


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compared(seconds):
    ours, theirs = (statistics.median(seconds[t]) for t in TOOLS)
    return f"ours {ours:.3f} s theirs {theirs:.3f} s ratio {ours / theirs:.2f}"


def main():
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as tmp:
        os.chdir(tmp)
        with open("r.raw", "wb") as f:
            for at in range(0, 256 << 20, 1 << 20):
                f.write(rng.randbytes(1 << 20))
            f.truncate(1 << 30)
        with open("c.raw", "wb") as f:
            for at in range(0, 24 << 20, 1 << 20):
                f.write(rng.randbytes(1 << 19) + b"some text that repeats " * 22795)
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "r.raw", "q.qcow2"], check=True)
        for name, (source, args) in CASES.items():
            took, cpu = ({t: [] for t in TOOLS} for _ in range(2))
            for _ in range(ROUNDS):
                for t, tool in TOOLS.items():
                    if os.path.exists("out"):
                        os.unlink("out")
                    os.sync()
                    start, before = time.monotonic(), cpu_seconds()
                    subprocess.run([tool, "convert", *args, source, "out"], check=True)
                    took[t].append(time.monotonic() - start)
                    cpu[t].append(cpu_seconds() - before)
            print(f"{name:20} {compared(took)}   cpu: {compared(cpu)}", flush=True)


main()
