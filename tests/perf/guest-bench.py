#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One benchmark program natively, in a guest under Debian's QEMU (TCG) and in a guest under Bulkhead, in turns: a table of ratios.

Usage: guest-bench.py [-r ROUNDS] [-t SECONDS] [-n] [-i] [NAME-PREFIX...]
  -r  rounds of the three (default 3; the median counts)    -t  seconds per measurement (default 0.1)
  -i  Bulkhead with -accel interp as well                   -b  only boot to power-off
  -s  vCPUs (default 1)

What counts is CPU time of the emulator's whole process tree between the markers the guest prints, so that other load on
the machine disturbs less; the first column is the program's own CPU time natively. Never a timed test.
"""
import argparse
import collections
import gzip
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts", "guest"))
import device_child as dc
import guest
from newc import Archive

HERE = os.path.dirname(os.path.abspath(__file__))
GROUPS = [("integer", ("int.",)), ("memory", ("mem.chase", "mem.load", "mem.store", "mem.unal")), ("FP", ("fp.",)),
          ("SIMD", ("vec.",)), ("string", ("mem.rep", "mem.mem")), ("system", ("sys.", "thr.")), ("translator", ("dbt.",)),
          ("I/O", ("io.",))]


def build(tmp):
    out = os.path.join(tmp, "bench")
    subprocess.run(["gcc", "-O2", "-w", "-static", "-pthread", os.path.join(HERE, "guest-bench.c"), "-lm", "-o", out], check=True)
    return out


def image(tmp, bench, arguments):
    """The test initramfs with the program and a script behind it."""
    more = Archive()
    more.copy("bench", bench, 0o755)
    more.file("tests/bench.sh", f"mount -t tmpfs t /tmp 2>/dev/null\n/bench -m -x {arguments}\n".encode())
    path = guest.initramfs(tmp, "bench.gz")
    with open(path, "ab") as f:
        f.write(gzip.compress(more.bytes(), 1))
    return path


def descendants(root):
    parents = collections.defaultdict(list)
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            parents[int(open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()[1])].append(int(p))
        except OSError:
            pass
    found, todo = [], [root]
    while todo:
        found.append(todo.pop())
        todo += parents[found[-1]]
    return found


class Cpu:
    """CPU seconds of a process tree; what has ended keeps its last value."""

    def __init__(self, root):
        self.root, self.last, self.known = root, {}, []

    def read(self, look=False):
        if look or not self.known:
            self.known = descendants(self.root)
        for p in self.known:
            try:
                self.last[p] = time.clock_gettime((~p << 3) | 2)
            except OSError:
                pass
        return sum(self.last.values())


def emulate(command, timeout=1200):
    """({name: value by host CPU time}, seconds of CPU, seconds of wall)"""
    begun, results, open_at = time.monotonic(), {}, {}
    p = subprocess.Popen([str(a) for a in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    cpu = Cpu(p.pid)
    text = []
    for raw in p.stdout:
        line = raw.decode(errors="replace").strip()
        text.append(line)
        words = line.split()
        if "@@B" in words:
            open_at[words[1]] = cpu.read(look=not cpu.known or len(cpu.known) < 4)
        elif "@@E" in words and words[1] in open_at:
            v = dict(w.split("=") for w in words[2:])
            used = cpu.read() - open_at[words[1]]
            n, per = float(v["n"]), float(v["per"])
            results[words[1]] = n * per / used if v["kind"] == "0" else used * 1e9 / n * per
        if time.monotonic() - begun > timeout:
            p.kill()
        if "reboot: Power down" in line:
            cpu.read()
    p.wait()
    return results, os.times(), time.monotonic() - begun, "\n".join(text[-15:])


def native(bench, arguments):
    out = subprocess.run([bench, *arguments.split()], capture_output=True, text=True, check=True).stdout
    found = {}
    for m in re.finditer(r"^RESULT (\S+) ([\d.e+-]+) (\S+) .*cpu=([\d.e+-]+)", out, re.M):
        found[m[1]] = (float(m[4]), m[3])
    return found


def children_cpu(before, after):
    return after.children_user + after.children_system - before.children_user - before.children_system


def slower(native_value, unit, value):
    return value / native_value if unit[:2] in ("ns", "us") else native_value / value


def geomean(values):
    values = [v for v in values if v > 0]
    return statistics.geometric_mean(values) if values else float("nan")


def table(names, base, runs, engines):
    med = {e: {n: statistics.median([r[n] for r in runs[e] if n in r]) for n in names if any(n in r for r in runs[e])}
           for e in engines}
    print("| benchmark | unit | native | " + " | ".join(f"{e} | x native" for e in engines) + " |")
    print("|---|---|---|" + "---|---|" * len(engines))
    ratio = {e: {} for e in engines}
    for n in names:
        if n not in base:
            continue
        value, unit = statistics.median(b[0] for b in base[n]), base[n][0][1]
        cells = []
        for e in engines:
            if n in med[e]:
                ratio[e][n] = slower(value, unit, med[e][n])
                cells.append(f"{med[e][n]:.4g} | {ratio[e][n]:.2f}")
            else:
                cells.append("- | -")
        print(f"| {n} | {unit} | {value:.4g} | " + " | ".join(cells) + " |")
    for title, prefixes in GROUPS:
        row = [f"- | {geomean([v for n, v in ratio[e].items() if n.startswith(prefixes)]):.2f}" for e in engines]
        print(f"| **{title}** | geometric mean | 1 | " + " | ".join(row) + " |")


def main():
    a = argparse.ArgumentParser()
    a.add_argument("-r", type=int, default=3)
    a.add_argument("-t", default="0.1")
    a.add_argument("-i", action="store_true")
    a.add_argument("-b", action="store_true")
    a.add_argument("-s", default="1")
    a.add_argument("names", nargs="*")
    o = a.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        bench = build(tmp)
        arguments = f"-t {o.t} -r 3 " + " ".join(o.names)
        initrd = image(tmp, bench, arguments)
        args = guest.linux_args(initrd, "bhtest=boot-poweroff" if o.b else "bhtest=bench", memory=1024)
        args[args.index("-smp") + 1] = o.s
        engines = {"QEMU": ["qemu-system-x86_64", *args], "Bulkhead": [dc.program("bulkhead"), *args]}
        if o.i:
            engines["interpreter"] = [dc.program("bulkhead"), *args]
            engines["interpreter"][2] = "interp"
        runs, base, boots = {e: [] for e in engines}, collections.defaultdict(list), {e: [] for e in engines}
        for n in range(o.r):
            if not o.b:
                for name, value in native(bench, arguments).items():
                    base[name].append(value)
            for e, command in engines.items():
                before = os.times()
                results, after, wall, tail = emulate(command)
                runs[e].append(results)
                boots[e].append((children_cpu(before, after), wall))
                print(f"# round {n + 1} {e}: {len(results)} results, {boots[e][-1][0]:.2f} s CPU, {wall:.2f} s wall", file=sys.stderr)
                if not o.b and not results:
                    print(tail, file=sys.stderr)
        if o.b:
            for e, values in boots.items():
                print(f"{e}: boot to power-off {statistics.median(v[0] for v in values):.2f} s CPU, "
                      f"{statistics.median(v[1] for v in values):.2f} s wall (medians of {o.r})")
            return
        table(list(base), base, runs, list(engines))


if __name__ == "__main__":
    main()
