#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bulkhead-img measure, rebase, amend, dd, bench and the options of convert against Debian's qemu-img: the same text, the
same exit status, and images the other one reads byte for byte.
"""
import os
import random
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import tap

OURS = os.path.join(os.environ["BULKHEAD_BUILD"], "bulkhead-img")
THEIRS = "qemu-img"


def run(tool, *args, status=0):
    """Standard output, or both outputs when a failure is expected."""
    p = subprocess.run([tool, *args], capture_output=True, text=True, timeout=120)
    assert p.returncode == status, f"{tool} {args}: status {p.returncode}, {p.stdout}{p.stderr}"
    return p.stdout + (p.stderr if status else "")


def both(*args, status=0):
    """Both tools say the same, but for their names."""
    said = [run(t, *args, status=status).replace("bulkhead-img", "qemu-img") for t in (OURS, THEIRS)]
    assert said[0] == said[1], said
    return said[0]


def sample(path, seed, size=6 << 20):
    rng = random.Random(seed)
    with open(path, "wb") as f:
        for at in range(0, size, 1 << 16):
            f.seek(at)
            if rng.randrange(3) == 0:
                f.write(rng.randbytes(1 << 16))
        f.truncate(size)


def read(path):
    return open(path, "rb").read()


def in_temp(test):
    def wrapped():
        with tempfile.TemporaryDirectory() as tmp:
            os.chdir(tmp)
            try:
                sample("r.raw", 3)
                run(THEIRS, "convert", "-f", "raw", "-O", "qcow2", "r.raw", "r.qcow2")
                test()
            finally:
                os.chdir("/")
    wrapped.__name__ = test.__name__
    return wrapped


@in_temp
def measure():
    for o in ("", "cluster_size=4k", "cluster_size=2M,refcount_bits=64", "refcount_bits=1", "preallocation=full"):
        for size in ("1M", "1G", "123456789", "5T"):
            for form in ("human", "json"):
                both("measure", "-O", "qcow2", *(["-o", o] if o else []), "--output", form, "--size", size)
    for out in ("raw", "qcow2"):
        both("measure", "-O", out, "-f", "raw", "r.raw")
        both("measure", "--output=json", "-O", out, "r.qcow2")
    both("measure", "-O", "vdi", "--size", "1M", status=1)
    both("measure", status=1)
    both("measure", "--size", "1M", "r.raw", status=1)


@in_temp
def rebase_keeps_the_content():
    sample("old.raw", 7)
    sample("new.raw", 8, 5 << 20)
    for fmt in ("qcow2", "qed"):
        for base, base_fmt in ("new.raw", "raw"), ("", ""):
            run(THEIRS, "create", "-q", "-f", fmt, "-b", "old.raw", "-F", "raw", "top")
            run("qemu-io", "-f", fmt, "-c", "write -P 9 100k 300k", "-c", "write -z 2M 128k", "top")
            run(THEIRS, "convert", "-f", fmt, "-O", "raw", "top", "was")
            assert "100.00" in run(OURS, "rebase", "-p", "-f", fmt, "-b", base, *(["-F", base_fmt] if base else []), "top")
            run(THEIRS, "check", "-q", "-f", fmt, "top")
            for tool in OURS, THEIRS:
                run(tool, "convert", "-f", fmt, "-O", "raw", "top", "now")
                assert read("was") == read("now"), (fmt, base, tool)
            assert run(OURS, "info", "-f", fmt, "top") == run(THEIRS, "info", "-f", fmt, "top")
            assert ("backing file: new.raw" in run(THEIRS, "info", "-f", fmt, "top")) == bool(base)
    run(THEIRS, "create", "-q", "-f", "qcow2", "-b", "old.raw", "-F", "raw", "top")
    run(OURS, "rebase", "-u", "-b", "gone.qcow2", "-F", "qcow2", "top")
    assert "backing file: gone.qcow2" in run(THEIRS, "info", "top")
    both("rebase", "top", status=1)
    assert "backing format must be specified" in run(OURS, "rebase", "-u", "-b", "old.raw", "top", status=1)
    assert "not supported" in run(OURS, "rebase", "-f", "raw", "-b", "old.raw", "-F", "raw", "r.raw", status=1)


@in_temp
def amend():
    run(OURS, "amend", "-o", "lazy_refcounts=on", "r.qcow2")
    assert "lazy refcounts: true" in run(THEIRS, "info", "r.qcow2")
    run(OURS, "amend", "-o", "lazy_refcounts=off", "r.qcow2")
    run("qemu-io", "-f", "qcow2", "-c", "write -z 1M 1M", "r.qcow2")
    run(THEIRS, "convert", "-O", "raw", "r.qcow2", "was")
    for compat in ("0.10", "1.1"):
        run(OURS, "amend", "-o", "compat=" + compat, "r.qcow2")
        assert "compat: " + compat in run(THEIRS, "info", "r.qcow2")
        run(THEIRS, "check", "-q", "r.qcow2")
        run(THEIRS, "convert", "-O", "raw", "r.qcow2", "now")
        assert read("was") == read("now"), compat
    run(OURS, "amend", "-o", "size=8M,backing_file=r.raw,backing_fmt=raw", "r.qcow2")
    about = run(THEIRS, "info", "r.qcow2")
    assert "8 MiB" in about and "backing file: r.raw" in about and "backing file format: raw" in about, about
    both("amend", "-o", "cluster_size=4k", "r.qcow2", status=1)
    both("amend", "-f", "raw", "-o", "size=1M", "r.raw", status=1)
    both("amend", "r.qcow2", status=1)


@in_temp
def dd():
    for args in (["bs=1M", "count=2"], ["bs=64k", "skip=3"], ["bs=1000", "count=77"], ["bs=1M", "skip=100"], []):
        for out in ("raw", "qcow2"):
            for tool, name in (OURS, "o"), (THEIRS, "t"):
                run(tool, "dd", "-O", out, *args, "if=r.qcow2", "of=" + name)
            run(THEIRS, "compare", "-q", "-f", out, "-F", out, "o", "t")
            assert out != "raw" or read("o") == read("t"), args
    # As dd(1): qemu-img 7.2 takes skip off count.
    run(OURS, "dd", "bs=1000", "count=77", "skip=5", "if=r.qcow2", "of=o")
    assert read("o")[:77000] == read("r.raw")[5000:82000]
    both("dd", "if=r.qcow2", status=1)
    both("dd", "bs=0", "if=r.qcow2", "of=x", status=1)
    both("dd", "iff=1", status=1)


@in_temp
def bench():
    def timeless(text):
        return re.sub(r"[0-9.]+ seconds", "N seconds", text)
    for args in (["-c", "100", "-d", "4"], ["-c", "50", "-w", "--flush-interval=10", "-d", "3", "--pattern=3", "-s", "8k", "-S", "64k"],
                 ["-c", "60", "-w", "--flush-interval=9", "--no-drain", "-d", "8", "-o", "1M"]):
        said = [timeless(run(t, "bench", "-f", "qcow2", *args, "r.qcow2")) for t in (OURS, THEIRS)]
        assert said[0] == said[1], said
    run(THEIRS, "check", "-q", "r.qcow2")
    both("bench", "-f", "qcow2", "--flush-interval=10", "r.qcow2", status=1)


@in_temp
def convert_options():
    """Several sources, a snapshot, a backing file for the target, what is known to be empty."""
    sample("s.raw", 9, 3 << 20)
    run(OURS, "convert", "-O", "qcow2", "r.qcow2", "s.raw", "r.qcow2", "o.qcow2")
    run(THEIRS, "check", "-q", "o.qcow2")
    run(THEIRS, "convert", "-O", "raw", "o.qcow2", "o.raw")
    assert read("o.raw") == read("r.raw") + read("s.raw") + read("r.raw")
    run(THEIRS, "snapshot", "-c", "one", "r.qcow2")
    run("qemu-io", "-f", "qcow2", "-c", "write -P 9 0 3M", "r.qcow2")
    for which in ("one", "1", "snapshot.name=one", "snapshot.id=1"):
        run(OURS, "convert", "-l", which, "-O", "raw", "r.qcow2", "o.raw")
        assert read("o.raw") == read("r.raw"), which
    both("convert", "-l", "two", "-O", "raw", "r.qcow2", "o.raw", status=1)
    run(THEIRS, "create", "-q", "-f", "qcow2", "-b", "s.raw", "-F", "raw", "top", "4M")
    run("qemu-io", "-f", "qcow2", "-c", "write -P 9 100k 300k", "-c", "write -z 1M 128k", "top")
    for more in ([], ["-c"]):
        run(OURS, "convert", *more, "-O", "qcow2", "-B", "s.raw", "-F", "raw", "top", "o.qcow2")
        run(THEIRS, "compare", "-q", "top", "o.qcow2")
        run(THEIRS, "check", "-q", "o.qcow2")
        assert os.stat("o.qcow2").st_size < 1 << 20, "what the backing file has was copied"
        assert "backing file: s.raw" in run(THEIRS, "info", "o.qcow2")
    run(THEIRS, "create", "-q", "-f", "raw", "z.raw", "6M")
    run(OURS, "convert", "-n", "--target-is-zero", "-O", "raw", "r.raw", "z.raw")
    assert read("z.raw") == read("r.raw") and os.stat("z.raw").st_blocks * 512 < 5 << 20
    both("convert", "--target-is-zero", "-O", "raw", "r.raw", "z.raw", status=1)
    open("text.raw", "wb").write(b"all work and no play " * (3 * 65536 // 21 * 16) + bytes(16 * 3 * 21))
    os.truncate("text.raw", 3 << 20)
    run(OURS, "convert", "-f", "raw", "-c", "-O", "qcow2", "text.raw", "bad.qcow2")
    with open("bad.qcow2", "r+b") as f:  # damage: the compressed clusters begin behind header, refcounts and L1
        f.seek(4 * 65536 + 100)
        f.write(b"\xff" * 300)
    run(OURS, "convert", "-O", "raw", "bad.qcow2", "o.raw", status=1)
    assert "warning: error while reading" in subprocess.run(
        [OURS, "convert", "--salvage", "-O", "raw", "bad.qcow2", "o.raw"], capture_output=True, text=True, check=True).stderr
    assert len(read("o.raw")) == 3 << 20


if __name__ == "__main__":
    tap.main(measure, rebase_keeps_the_content, amend, dd, bench, convert_options)
