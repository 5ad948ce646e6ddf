#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the network process of a running VM, in the middle of transfers: the device comes back by
itself, new connections work within a second, later fetches are complete, hostfwd answers again.

BULKHEAD_KILLS: how many (default 10).
"""
import hashlib
import os
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import guest
import tap
from hostport import Web

KILLS = int(os.environ.get("BULKHEAD_KILLS", "10"))


def net_process(emu):
    return next((p for p in emu.qmp.cmd("query-processes")
                 if p["role"] == "net" and p["state"] == "running"), None)


def kills_during_transfers():
    with tempfile.TemporaryDirectory() as tmp:
        data, web = os.urandom(4 << 20), Web(tmp)
        sha = hashlib.sha256(data).hexdigest()
        web.put("blob", data)
        web.put("probe", b"yes")
        append = f"bhtest=fetch-loop bhport={web.port} bhsha={sha} bhcount=100000"
        args = guest.linux_args(guest.initramfs(tmp), append, net="user,model=virtio-net-pci")
        with guest.Emulator(args) as e:
            e.expect("LOOP OK", 120)
            slowest = 0
            for n in range(KILLS):
                time.sleep(0.05 * (n % 10))  # another moment of the transfer each time
                old = net_process(e)
                begun = time.monotonic()
                os.kill(old["pid"], signal.SIGKILL)
                e.seen = len(e.out)
                e.expect("PROBE OK", 20)
                slowest = max(slowest, time.monotonic() - begun)
                e.expect("LOOP OK", 30)
                new = net_process(e)
                assert new["pid"] != old["pid"] and new["restarts"] == old["restarts"] + 1, (old, new)
            # The guest asks twice a second: the answer to a question asked after the kill.
            print(f"# {KILLS} kills, slowest new connection after one: {slowest:.2f} s")
            assert slowest < 2, slowest
            web.put("stop", b"now")
            e.expect("BHTEST fetch-loop exit=0", 60)
            assert e.wait(30) == 0
        web.close()


if __name__ == "__main__":
    dc.program("bulkhead-net")
    tap.main(kills_during_transfers)
