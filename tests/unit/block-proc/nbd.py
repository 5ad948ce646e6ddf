#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bulkhead-nbd under QEMU's client: content, writes, zeros, trims, extents, names, several clients, the temporary overlay; and
under clients that break the protocol: each is dropped and the server serves the next.
"""
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import tap

BUILD = os.environ["BULKHEAD_BUILD"]
NBD, IMG = os.path.join(BUILD, "bulkhead-nbd"), os.path.join(BUILD, "bulkhead-img")
SIZE = 8 << 20


def run(*args, status=0):
    p = subprocess.run(args, capture_output=True, text=True, timeout=60)
    assert p.returncode == status, f"{args}: status {p.returncode}, {p.stdout}{p.stderr}"
    return p.stdout + p.stderr


def until(what, test):
    end = time.monotonic() + 20
    while not test():
        assert time.monotonic() < end, what
        time.sleep(0.01)


@contextlib.contextmanager
def server(*args):
    """In the background with --fork; its process id comes from the file."""
    run(NBD, "--fork", "--pid-file", "pid", "-k", "s", *args)
    pid = int(open("pid").read())
    try:
        yield f"nbd+unix:///?socket={os.getcwd()}/s", pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        until("the server ends", lambda: not os.path.exists(f"/proc/{pid}"))
        os.unlink("s")


def in_temp(test):
    def wrapped():
        with tempfile.TemporaryDirectory() as tmp:
            os.chdir(tmp)
            try:
                rng = random.Random(1)
                with open("r.raw", "wb") as f:
                    for at in range(0, SIZE, 1 << 18):
                        f.seek(at)
                        if rng.randrange(3):
                            f.write(rng.randbytes(1 << 18))
                    f.truncate(SIZE)
                run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "r.raw", "r.qcow2")
                test()
            finally:
                os.chdir("/")
    wrapped.__name__ = test.__name__
    return wrapped


@in_temp
def content_and_writes():
    data = bytearray(open("r.raw", "rb").read())
    with server("-t", "-f", "qcow2", "--discard=unmap", "r.qcow2") as (uri, _):
        run("qemu-img", "compare", "-q", "-f", "raw", "-F", "raw", uri, "r.raw")
        assert '"zero": true' in run("qemu-img", "map", "--output=json", uri), "no extents"
        run("qemu-io", "-f", "raw", "-c", "write -P 5 1000 70000", "-c", "write -z 2M 100k", "-c", "write -P 6 -f 3M 512",
            "-c", "discard 4M 1M", "-c", "flush", "-c", "read -P 5 1000 70000", "-c", "read -P 0 2M 100k", uri)
        data[1000:71000] = b"\5" * 70000
        data[2 << 20:(2 << 20) + 102400] = bytes(102400)
        data[3 << 20:(3 << 20) + 512] = b"\6" * 512
        data[4 << 20:5 << 20] = bytes(1 << 20)
        open("w.raw", "wb").write(data)
        run("qemu-img", "compare", "-q", "-f", "raw", "-F", "raw", uri, "w.raw")
    run("qemu-img", "check", "-q", "r.qcow2")
    run("qemu-img", "compare", "-q", "-f", "qcow2", "-F", "raw", "r.qcow2", "w.raw")


@in_temp
def read_only_snapshots_and_overlays():
    before = open("r.qcow2", "rb").read()
    with server("-t", "-r", "r.qcow2") as (uri, _):
        run("qemu-io", "-f", "raw", "-c", "write 0 512", uri, status=1)
    with server("-t", "-s", "r.qcow2") as (uri, _):
        run("qemu-io", "-f", "raw", "-c", "write -P 5 0 1M", uri)
        run("qemu-io", "-f", "raw", "-c", "read -P 5 0 1M", uri)
    assert open("r.qcow2", "rb").read() == before
    run(IMG, "snapshot", "-c", "old", "r.qcow2")
    run("qemu-io", "-f", "qcow2", "-c", "write -P 9 0 1M", "r.qcow2")
    with server("-t", "-l", "old", "r.qcow2") as (uri, _):
        run("qemu-img", "compare", "-q", "-f", "raw", "-F", "raw", uri, "r.raw")
    with server("-t", "-f", "raw", "-o", "1M", "r.raw") as (uri, _):
        run("qemu-img", "convert", "-f", "raw", uri, "part")
    assert open("part", "rb").read() == open("r.raw", "rb").read()[1 << 20:]


@in_temp
def names_and_clients():
    with server("-t", "-x", "disk", "-D", "my disk", "-e", "3", "r.qcow2") as (uri, _):
        assert "disk" in run("qemu-nbd", "--list", "-k", os.path.join(os.getcwd(), "s"))
        run("qemu-img", "info", uri, status=1)
        named = uri.replace("///", "///disk")
        clients = [subprocess.Popen(["qemu-img", "compare", "-q", "-f", "raw", "-F", "raw", named, "r.raw"]) for _ in range(6)]
        assert [c.wait(60) for c in clients] == [0] * 6
    run(NBD, "--fork", "--pid-file", "pid", "-k", "s", "r.qcow2")  # without -t it ends with its client
    pid = int(open("pid").read())
    run("qemu-img", "info", f"nbd+unix:///?socket={os.getcwd()}/s")
    until("the server ends with its last client", lambda: not os.path.exists(f"/proc/{pid}"))
    assert "Could not open" in run(NBD, "-k", "u", "missing", status=1)


def raw_client():
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect("s")
    return s


def dropped(s):
    with contextlib.suppress(ConnectionError):
        while s.recv(65536):
            pass
    s.close()


@in_temp
def hostile_clients_are_dropped():
    """Lengths that are too long, magics that are wrong, random bytes before and after the handshake."""
    rng = random.Random(2)
    opt = b"IHAVEOPT"
    go = opt + (7).to_bytes(4, "big") + (6).to_bytes(4, "big") + bytes(6)
    with server("-t", "-e", "0", "r.qcow2") as (uri, pid):
        for junk in [b"\xff" * 4, bytes(4), (1).to_bytes(4, "big") + opt + b"\0\0\0\7\xff\xff\xff\xff",
                     (1).to_bytes(4, "big") + b"NOTMAGIC" + bytes(8),
                     *[(1).to_bytes(4, "big") + opt + rng.randbytes(40) for _ in range(30)],
                     *[rng.randbytes(100) for _ in range(30)]]:
            s = raw_client()
            with contextlib.suppress(ConnectionError):
                s.sendall(junk)
                s.shutdown(socket.SHUT_WR)
            dropped(s)
        for body in [b"\x25\x60\x95\x13\0\0\0\0" + bytes(8) + bytes(8) + b"\xff\xff\xff\xff",
                     b"\x25\x60\x95\x13\0\0\0\0" + bytes(8) + b"\xff" * 8 + b"\0\0\x10\0",
                     b"\x25\x60\x95\x13\0\0\0\1" + bytes(8) + b"\x7f" + b"\xff" * 7 + b"\0\0\2\0" + bytes(512),
                     b"\x25\x60\x95\x13\xff\xff\0\6" + bytes(8) + b"\xff" * 8 + b"\xff\xff\xff\xff",
                     *[b"\x25\x60\x95\x13" + rng.randbytes(24) for _ in range(40)]]:
            s = raw_client()
            with contextlib.suppress(ConnectionError):
                s.sendall((1).to_bytes(4, "big") + go + body)
                s.shutdown(socket.SHUT_WR)
            dropped(s)
        assert os.path.exists(f"/proc/{pid}")
        run("qemu-img", "info", uri)


if __name__ == "__main__":
    tap.main(content_and_writes, read_only_snapshots_and_overlays, names_and_clients, hostile_clients_are_dropped)
