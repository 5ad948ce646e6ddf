#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bulkhead-img against Debian's qemu-img: images made by one are read, checked and compared by the other,
and what both print about the same image is the same text.
"""
import os
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import tap

OURS = os.path.join(os.environ["BULKHEAD_BUILD"], "bulkhead-img")
THEIRS = "qemu-img"
OPTIONS = ["", "-o cluster_size=512", "-o cluster_size=4k", "-o cluster_size=2M", "-o compat=0.10",
           "-o refcount_bits=1", "-o refcount_bits=8", "-o refcount_bits=64", "-o lazy_refcounts=on",
           "-o preallocation=metadata", "-o preallocation=falloc", "-o preallocation=full", "-c",
           "-c -o compression_type=zstd", "-c -o cluster_size=4k", "-c -o cluster_size=2M,compression_type=zstd"]


def run(tool, *args, status=0):
    """Standard output, or both outputs when a failure is expected."""
    p = subprocess.run([tool, *args], capture_output=True, text=True, timeout=120)
    assert p.returncode == status, f"{tool} {args}: status {p.returncode}, {p.stdout}{p.stderr}"
    return p.stdout + (p.stderr if status else "")


def sample(path, size=24 << 20):
    """Data of several kinds: random, repeating, zeros written and zeros never written; an odd end."""
    rng = random.Random(3)
    with open(path, "wb") as f:
        for at in range(0, size, 1 << 18):
            kind = rng.randrange(4)
            f.seek(at)
            if kind == 0:
                f.write(rng.randbytes(1 << 18))
            elif kind == 1:
                f.write(b"all work and no play " * 9000)
            elif kind == 2:
                f.write(bytes(5000) + b"x" + bytes(70000))
        f.truncate(size + 512 * 7)


def in_temp(test):
    def wrapped():
        with tempfile.TemporaryDirectory() as tmp:
            os.chdir(tmp)
            try:
                sample("r.raw")
                test()
            finally:
                os.chdir("/")
    wrapped.__name__ = test.__name__
    return wrapped


@in_temp
def ours_is_read_by_theirs():
    for o in OPTIONS:
        run(OURS, "convert", "-f", "raw", "-O", "qcow2", *o.split(), "r.raw", "o.qcow2")
        run(THEIRS, "check", "-q", "o.qcow2")
        run(THEIRS, "compare", "-f", "raw", "-F", "qcow2", "r.raw", "o.qcow2")
        assert run(OURS, "check", "o.qcow2") == run(THEIRS, "check", "o.qcow2"), o
        for form in ("human", "json"):
            ours, theirs = (run(t, "info", "--output", form, "o.qcow2") for t in (OURS, THEIRS))
            assert ours == theirs, f"{o}: {ours} {theirs}"


@in_temp
def theirs_is_read_by_ours():
    for o in OPTIONS:
        run(THEIRS, "convert", "-f", "raw", "-O", "qcow2", *o.split(), "r.raw", "t.qcow2")
        run(OURS, "check", "-q", "t.qcow2")
        run(OURS, "convert", "-O", "raw", "t.qcow2", "t.raw")
        assert open("t.raw", "rb").read() == open("r.raw", "rb").read(), o
        run(OURS, "compare", "-F", "raw", "t.qcow2", "r.raw")


@in_temp
def create_says_and_makes_the_same():
    run(THEIRS, "create", "-q", "-f", "raw", "b.raw", "3M")
    for args in (["-f", "qcow2", "x", "10M"], ["x", "4G"], ["-f", "qcow2", "-b", "b.raw", "-F", "raw", "x"],
                 ["-f", "qcow2", "-o", "compat=0.10,cluster_size=4k,preallocation=metadata", "x", "1M"],
                 ["-f", "raw", "-o", "preallocation=falloc", "x", "1M"], ["-f", "qcow2", "x", "-o", "nocow=on", "1.5G"]):
        said = [run(t, "create", *args) for t in (OURS, THEIRS)]
        assert said[0] == said[1], said
        run(OURS, "create", *args)
        about = run(OURS, "info", "--output=json", "x"), run(THEIRS, "info", "--output=json", "x")
        assert about[0] == about[1], about
        if "qcow2" in args:
            run(THEIRS, "check", "-q", "x")


@in_temp
def chains_are_followed_by_rule():
    os.makedirs("in")
    os.makedirs("out")
    run(THEIRS, "convert", "-O", "qcow2", "r.raw", "out/base.qcow2")
    run(THEIRS, "create", "-q", "-f", "qcow2", "-b", "../out/base.qcow2", "-F", "qcow2", "in/top.qcow2")
    assert "BULKHEAD_IMAGE_DIRS" in run(OURS, "convert", "-O", "raw", "in/top.qcow2", "x", status=1)
    os.environ["BULKHEAD_IMAGE_DIRS"] = os.path.abspath("out")
    try:
        run(OURS, "convert", "-O", "raw", "in/top.qcow2", "x")
        same = [run(t, "info", "--backing-chain", "in/top.qcow2").replace("in/../", "") for t in (OURS, THEIRS)]
    finally:
        del os.environ["BULKHEAD_IMAGE_DIRS"]
    assert open("x", "rb").read() == open("r.raw", "rb").read()
    assert same[0].count("image:") == same[1].count("image:") == 2, same
    for name, other in ("la", "lb"), ("lb", "la"):
        run(THEIRS, "create", "-q", "-f", "qcow2", "-u", "-b", other, "-F", "qcow2", name, "1M")
    assert "loop" in run(OURS, "convert", "-O", "raw", "la", "x", status=1)


@in_temp
def damage_is_found_and_repaired():
    run(THEIRS, "convert", "-O", "qcow2", "r.raw", "d.qcow2")
    with open("d.qcow2", "r+b") as f:  # the refcount block is cluster 2: one count too high, one zero
        f.seek(2 * 65536 + 2 * 8)
        f.write(b"\0\2\0\0")
    for tool in (OURS, THEIRS):
        run(tool, "check", "-q", "d.qcow2", status=2)
    run(OURS, "check", "-q", "-r", "all", "d.qcow2")
    run(THEIRS, "check", "-q", "d.qcow2")
    run(OURS, "compare", "-q", "d.qcow2", "r.raw")
    assert "does not support checks" in run(OURS, "check", "-f", "raw", "r.raw", status=63)


@in_temp
def resize_and_compare():
    run(OURS, "convert", "-O", "qcow2", "r.raw", "s.qcow2")
    assert run(OURS, "resize", "s.qcow2", "+10M") == "Image resized.\n"
    run(THEIRS, "check", "-q", "s.qcow2")
    assert "size mismatch" in run(OURS, "compare", "s.qcow2", "r.raw")
    run(OURS, "compare", "-s", "-q", "s.qcow2", "r.raw", status=1)
    assert "--shrink" in run(OURS, "resize", "s.qcow2", "4M", status=1)
    run(OURS, "resize", "--shrink", "s.qcow2", "4M")
    run(OURS, "resize", "s.qcow2", "24M")
    run(THEIRS, "check", "-q", "s.qcow2")
    with open("r.raw", "r+b") as f:
        data = bytearray(f.read()[:4 << 20])
    open("e.raw", "wb").write(data + bytes(20 << 20))
    run(THEIRS, "compare", "-q", "s.qcow2", "e.raw")
    data[123456] ^= 1
    open("e.raw", "wb").write(data + bytes(20 << 20))
    assert "Content mismatch at offset 123392" in run(OURS, "compare", "s.qcow2", "e.raw", status=1)
    run(OURS, "compare", "s.qcow2", "nothing", status=2)


@in_temp
def existing_target_and_map():
    run(THEIRS, "convert", "-O", "qcow2", "r.raw", "m.qcow2")
    assert run(OURS, "map", "m.qcow2") == run(THEIRS, "map", "m.qcow2")
    size = os.path.getsize("r.raw")
    open("full.raw", "wb").write(b"\xff" * size)
    run(OURS, "convert", "-n", "-O", "raw", "m.qcow2", "full.raw")
    assert open("full.raw", "rb").read() == open("r.raw", "rb").read()


@in_temp
def commit_into_the_base():
    for base in ("raw", "qcow2"):
        run(THEIRS, "convert", "-O", base, "r.raw", "base")
        run(THEIRS, "create", "-q", "-f", "qcow2", "-b", "base", "-F", base, "top.qcow2", "32M")
        run("qemu-io", "-f", "qcow2", "top.qcow2", "-c", "write -P 7 1000448 300032", "-c", "write -z 8M 2M",
            "-c", "write -P 9 30M 1M")
        run(THEIRS, "convert", "-O", "raw", "top.qcow2", "now")
        assert run(OURS, "commit", "top.qcow2") == "Image committed.\n"
        run(THEIRS, "check", "-q", "top.qcow2")
        if base == "qcow2":
            run(THEIRS, "check", "-q", "base")
        for image in ("base", "top.qcow2"):
            run(THEIRS, "convert", "-O", "raw", image, "then")
            assert open("now", "rb").read() == open("then", "rb").read(), (base, image)
        top = run(THEIRS, "map", "--output=json", "top.qcow2")
        assert '"depth": 0, "present": true' not in top, top
    assert "no backing file" in run(OURS, "commit", "base", status=1)


@in_temp
def snapshots_both_ways():
    """Each tool makes, goes back to and deletes what the other made; the disk is what it was then."""
    rng = random.Random(9)
    for o in ("cluster_size=64k", "cluster_size=512", "compat=0.10", "refcount_bits=8,cluster_size=4k"):
        run(THEIRS, "create", "-q", "-f", "qcow2", "-o", o, "s.qcow2", "8M")
        states = {}
        for i in range(6):
            tool, other = (OURS, THEIRS) if i % 2 else (THEIRS, OURS)
            run("qemu-io", "-f", "qcow2", "s.qcow2", *[a for _ in range(12) for a in (
                "-c", f"write -P {rng.randrange(1, 255)} {rng.randrange(0, 15000) * 512} {rng.randrange(1, 300) * 512}")])
            run(tool, "convert", "-O", "raw", "s.qcow2", "now")
            states[f"n{i}"] = open("now", "rb").read()
            run(tool, "snapshot", "-c", f"n{i}", "s.qcow2")
            run(THEIRS, "check", "-q", "s.qcow2")
            if i % 3 == 2:
                back = rng.choice(sorted(states))
                run(other, "snapshot", "-a", back, "s.qcow2")
                run(THEIRS, "check", "-q", "s.qcow2")
                run(tool, "convert", "-O", "raw", "s.qcow2", "now")
                assert open("now", "rb").read() == states[back], (o, i, back)
                gone = rng.choice(sorted(states))
                run(tool, "snapshot", "-d", gone, "s.qcow2")
                del states[gone]
                run(THEIRS, "check", "-q", "s.qcow2")
        for form in ("human", "json"):
            assert run(OURS, "info", "--output", form, "s.qcow2") == run(THEIRS, "info", "--output", form, "s.qcow2")
        assert run(OURS, "snapshot", "-l", "s.qcow2") == run(THEIRS, "snapshot", "-l", "s.qcow2")
        for name, data in states.items():
            run(OURS, "snapshot", "-a", name, "s.qcow2")
            run(THEIRS, "convert", "-O", "raw", "s.qcow2", "now")
            assert open("now", "rb").read() == data, (o, name)
            run(OURS, "snapshot", "-d", name, "s.qcow2")
            run(THEIRS, "check", "-q", "s.qcow2")
    run(OURS, "snapshot", "-d", "nothing", "s.qcow2", status=1)


def what_is_not_built_is_refused():
    for command in ("bitmap",):
        assert "not built" in run(OURS, command, status=1)
    assert "not built" in run(OURS, "create", "-f", "qcow2", "-o", "extended_l2=on", "/nonexistent/x", "1M", status=1)
    assert "Invalid parameter" in run(OURS, "create", "-f", "qcow2", "-o", "foo=1", "/nonexistent/x", "1M", status=1)
    assert "Command not found" in run(OURS, "frobnicate", status=1)


if __name__ == "__main__":
    tap.main(ours_is_read_by_theirs, theirs_is_read_by_ours, create_says_and_makes_the_same,
             chains_are_followed_by_rule, damage_is_found_and_repaired, resize_and_compare, existing_target_and_map,
             commit_into_the_base, snapshots_both_ways, what_is_not_built_is_refused)
