#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A person at the guest's screen: text typed into a VNC client, `sendkey` and QMP's send-key reaches a shell on
the text console; what the client shows is the screen, pixel for pixel; ui-proc is killed under it.

BULKHEAD_KILLS: how many kills (default 5; 100 with BULKHEAD_TEST_LONG).
"""
import os
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import guest
import rfb
import screen
import tap

KILLS = int(os.environ.get("BULKHEAD_KILLS", "100" if os.environ.get("BULKHEAD_TEST_LONG") else "5"))


def machine(tmp, *extra):
    initrd = guest.initramfs(tmp)
    args = guest.linux_args(initrd, "console=tty0 console=ttyS0 loglevel=1 vt.global_cursor_default=0",
                            extra=["-vga", "std", *extra])
    at = args.index("-display")
    del args[at:at + 2]
    return guest.Emulator(args)


def shell_on_screen(e):
    e.shell(120)
    assert e.run("setsid sh -c 'exec sh </dev/tty1 >/dev/tty1 2>&1' & sleep 1")[0] == 0


def made(e, name):
    dc.until(20, f"the guest has made {name}", lambda: e.run(f"test -e /tmp/{name}")[0] == 0, lambda: time.sleep(0.2))


def typed_by_every_way():
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "vnc")
        with machine(tmp, "-vnc", f"unix:{path}") as e:
            shell_on_screen(e)
            with rfb.Client(path) as c:
                c.encodings(rfb.ZRLE, rfb.DESKTOP_SIZE)
                c.type("echo Hello, World! >/tmp/by_vnc\n")
                made(e, "by_vnc")
                assert e.run("cat /tmp/by_vnc")[1].strip() == "Hello, World!"
                c.request()
                c.update()
                dump = os.path.join(e.dir, "a.ppm")

                def same():
                    e.qmp.cmd("screendump", filename=dump)
                    c.request()
                    c.update()
                    return c.picture() == screen.ppm(open(dump, "rb").read())
                dc.until(10, "client and screen dump show the same", same)
            for key in ("t", "o", "u", "c", "h", "spc", "slash", "t", "m", "p", "slash", "shift-k", "ret"):
                assert e.qmp.hmp(f"sendkey {key}") == "", key
            made(e, "K")
            for code in ("backspace", "q", "ctrl"):
                e.qmp.cmd("send-key", keys=[{"type": "qcode", "data": code}])
            e.qmp.cmd("send-key", keys=[{"type": "qcode", "data": "ctrl"}, {"type": "qcode", "data": "c"}])
            for ch in "id > /tmp/x":
                code = {" ": "spc", ">": "dot", "/": "slash"}.get(ch, ch)
                shift = [{"type": "qcode", "data": "shift"}] if ch == ">" else []
                e.qmp.cmd("send-key", keys=[*shift, {"type": "qcode", "data": code}])
            e.qmp.cmd("input-send-event", events=[
                {"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": "ret"}}} for down in (True, False)])
            made(e, "x")
            assert "unknown" in e.qmp.hmp("sendkey nosuchkey")
            e.qmp.cmd("system_reset")


def killed_while_watching():
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "vnc")
        with machine(tmp, "-vnc", f"unix:{path}") as e:
            shell_on_screen(e)
            for n in range(KILLS):
                ui = dc.until(20, "ui-proc runs", lambda: next(
                    (p for p in e.qmp.cmd("query-processes") if p["role"] == "ui" and p["state"] == "running"), None))
                with rfb.Client(path) as c:
                    c.request()
                    c.update()
                    c.key(0xffe1, True)  # Shift, held when the process dies
                    c.request()
                    c.update()
                    os.kill(ui["pid"], signal.SIGKILL)
                    try:
                        while True:
                            c.request()
                            c.update()
                    except (EOFError, ConnectionError):
                        pass
                with rfb.Client(path) as c:  # the listening socket was there all the time
                    c.type(f"touch /tmp/k{n}\n")
                    made(e, f"k{n}")  # and not /TMP/K
            assert e.qmp.cmd("query-status")["status"] == "running"


if __name__ == "__main__":
    tap.main(typed_by_every_way, killed_while_watching)
