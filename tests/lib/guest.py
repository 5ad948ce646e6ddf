# SPDX-License-Identifier: Apache-2.0
"""Starts an emulator with QEMU-style arguments and drives its guest: console, QMP, exit status.

The emulator is $BULKHEAD, default build/bulkhead; any program with the same command line will do.
Every wait has a deadline, and an Emulator is always killed and reaped when its `with` block ends.
"""
import collections
import json
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPTS = os.path.join(ROOT, "scripts", "guest")


class Timeout(AssertionError):
    pass


def emulator():
    build = os.environ.get("BULKHEAD_BUILD", os.path.join(ROOT, "build"))
    return shlex.split(os.environ.get("BULKHEAD", os.path.join(build, "bulkhead")))


def cache_dir():
    return os.environ.get("BULKHEAD_CACHE", os.path.join(ROOT, ".demo"))


def kernel():
    """Path of Debian's kernel; fetched into the cache if it is not there."""
    out = subprocess.run([os.path.join(SCRIPTS, "fetch-kernel")], check=True, stdout=subprocess.PIPE,
                         text=True, timeout=600).stdout
    return os.path.join(out.strip(), "vmlinuz")


def initramfs(directory, name="initramfs.gz", *options):
    """A fresh initramfs in `directory` with today's guest tests."""
    path = os.path.join(directory, name)
    modules = os.path.join(os.path.dirname(kernel()), "modules")
    subprocess.run([os.path.join(SCRIPTS, "mk-initramfs"), "-o", path, "--modules-dir", modules,
                    *options], check=True, stderr=subprocess.DEVNULL, timeout=120)
    return path


def disk(directory, mib=64, name="disk.raw"):
    path = os.path.join(directory, name)
    subprocess.run([os.path.join(SCRIPTS, "mk-disk"), "-s", str(mib), "-o", path], check=True,
                   stdout=subprocess.DEVNULL, timeout=60)
    return path


class Qmp:
    """One QMP connection after its greeting and qmp_capabilities."""

    def __init__(self, path, timeout=20.0):
        end = time.monotonic() + timeout
        self.sock = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.sock.connect(path)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > end:
                    raise Timeout(f"no QMP socket {path}") from None
                time.sleep(0.02)
        self.data = b""
        self.events = collections.deque()
        self.greeting = self._read(end)["QMP"]
        self.cmd("qmp_capabilities")

    def _read(self, end):
        while b"\n" not in self.data:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                raise Timeout("no QMP message in time")
            part = self.sock.recv(65536)
            if not part:
                raise ConnectionError("QMP connection closed")
            self.data += part
        line, self.data = self.data.split(b"\n", 1)
        return json.loads(line) if line.strip() else self._read(end)

    def raw(self, text, timeout=10.0):
        """Sends text as it is; the next message that is not an event."""
        self.sock.sendall(text.encode() + b"\n")
        end = time.monotonic() + timeout
        while True:
            msg = self._read(end)
            if "event" not in msg:
                return msg
            self.events.append(msg)

    def cmd(self, name, timeout=10.0, **arguments):
        request = {"execute": name}
        if arguments:
            request["arguments"] = {k.replace("_", "-"): v for k, v in arguments.items()}
        msg = self.raw(json.dumps(request), timeout)
        if "error" in msg:
            raise RuntimeError(f"{name}: {msg['error'].get('desc')}")
        return msg["return"]

    def hmp(self, line, timeout=10.0):
        return self.cmd("human-monitor-command", timeout, command_line=line)

    def event(self, name, timeout=20.0):
        """The next event of this name (older ones of it included); others stay for later."""
        end = time.monotonic() + timeout
        kept = [e for e in self.events]
        for e in kept:
            if e["event"] == name:
                self.events.remove(e)
                return e
        while True:
            msg = self._read(end)
            if msg.get("event") == name:
                return msg
            self.events.append(msg)

    def close(self):
        self.sock.close()


class Emulator:
    """A running emulator. Its standard input and output are ours (where -serial stdio leads)."""

    def __init__(self, args, qmp=True, wrapper=(), env=None):
        self.dir = tempfile.mkdtemp(prefix="bhtest.")
        self.qmp_path = os.path.join(self.dir, "qmp")
        self._qmp = None
        self.args = [*wrapper, *emulator(), *map(str, args)]
        if qmp:
            self.args += ["-qmp", f"unix:{self.qmp_path},server=on,wait=off"]
        self.out = b""    # everything the console said
        self.seen = 0     # how much of it expect() has passed
        self.err = b""
        self.started = time.monotonic()
        self.proc = subprocess.Popen(self.args, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, env=env)
        self.changed = threading.Condition()
        self.readers = [threading.Thread(target=self._reader, args=a, daemon=True)
                        for a in ((self.proc.stdout, "out"), (self.proc.stderr, "err"))]
        for r in self.readers:
            r.start()

    def _reader(self, pipe, name):
        while data := os.read(pipe.fileno(), 65536):
            with self.changed:
                setattr(self, name, getattr(self, name) + data)
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def tail(self, lines=15):
        text = self.out.decode(errors="replace").replace("\r", "")
        return ("\n--- console, last lines:\n" + "\n".join(text.splitlines()[-lines:]) +
                "\n--- stderr:\n" + self.err.decode(errors="replace")[-2000:])

    def expect(self, pattern, timeout=60.0):
        """Waits for a regular expression in console output not yet passed; the match object."""
        end = time.monotonic() + timeout
        rx = re.compile(pattern.encode() if isinstance(pattern, str) else pattern)
        with self.changed:
            while True:
                m = rx.search(self.out, self.seen)
                if m:
                    self.seen = m.end()
                    return m
                dead = not self.readers[0].is_alive()
                left = end - time.monotonic()
                if dead or left <= 0:
                    raise Timeout(f"{'exited' if dead else f'not within {timeout} s'}: no "
                                  f"{pattern!r}{self.tail()}")
                self.changed.wait(min(left, 0.5))

    def text(self, match, group=1):
        return match.group(group).decode(errors="replace").strip("\r")

    def send(self, text):
        self.proc.stdin.write(text.encode())
        self.proc.stdin.flush()

    def shell(self, timeout=60.0):
        """Waits for the interactive shell and makes it fit for run(): no echo, no prompt."""
        self.expect("# ", timeout)
        self.send("stty -echo; PS1=; PS2=; echo shell''ready\n")
        self.expect("shellready\r?\n", timeout)

    def run(self, command, timeout=30.0):
        """A command in the guest's shell, after shell(): (exit status, output)."""
        mark = f"bh{time.monotonic_ns():x}"
        self.send(f"{command}\necho {mark} $?\n")
        m = self.expect(f"(?s)(.*?){mark} ([0-9]+)\r?\n", timeout)
        return int(m.group(2)), m.group(1).decode(errors="replace").replace("\r", "")

    @property
    def qmp(self):
        if not self._qmp:
            self._qmp = Qmp(self.qmp_path)
        return self._qmp

    def wait(self, timeout=30.0):
        """Exit status of the emulator."""
        try:
            status = self.proc.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Timeout(f"still running after {timeout} s{self.tail()}") from None
        for r in self.readers:
            r.join(5)
        return status

    def close(self):
        if self._qmp:
            self._qmp.close()
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(5)
            except subprocess.TimeoutExpired:
                self.proc.kill()
        self.proc.wait(10)
        self.proc.stdin.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def linux_args(initrd, append="", memory=512, disk_image=None, net="none", extra=(), disk_format="raw"):
    """Arguments of a Linux guest with its console on standard output."""
    args = ["-accel", "tcg", "-cpu", "max", "-M", "pc", "-m", memory, "-smp", "1", "-nodefaults",
            "-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot",
            "-kernel", kernel(), "-initrd", initrd,
            "-append", f"console=ttyS0 quiet panic=-1 {append}".strip()]
    if disk_image:
        args += ["-drive", f"file={disk_image},format={disk_format},if=virtio"]
    args += ["-nic", net]
    return args + list(extra)


def guest_test(name, timeout=120.0, append="", **kw):
    """Boots with bhtest=name; (Emulator that has ended, exit status of the script)."""
    with Emulator(linux_args(append=f"bhtest={name} {append}", **kw)) as e:
        m = e.expect(rf"BHTEST {name} exit=([0-9]+)", timeout)
        e.status = e.wait(30)
        return e, int(m.group(1))
