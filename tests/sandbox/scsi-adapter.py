#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile guests against the virtio-scsi adapter's process: chains that make no sense, random commands for random targets, a drive
that fails at random. It never ends, writes nothing beyond the memory it was told of, hands its drive no address outside.

BULKHEAD_REQUESTS: how many (default 1500; 60000 with BULKHEAD_TEST_LONG).
"""
import importlib.util
import os
import random
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import device_child as dc
import tap
import vu_driver as vu

spec = importlib.util.spec_from_file_location("controllers", os.path.join(HERE, "controllers.py"))
controllers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(controllers)

REQUESTS = int(os.environ.get("BULKHEAD_REQUESTS",
                              "60000" if os.environ.get("BULKHEAD_TEST_LONG") else "1500"))
FD_VHOST_USER, RAM, BEYOND = 1, controllers.RAM, controllers.BEYOND
SLOTS, SLOT_AT, SLOT = 40, 0x60000, 0x800
FEATURES = 1 << 32 | 1 << 28
COMMANDS = [0x00, 0x03, 0x08, 0x0a, 0x12, 0x1a, 0x1b, 0x25, 0x28, 0x28, 0x2a, 0x2a, 0x35, 0x42, 0x43, 0x46, 0x4a, 0x5a,
            0x88, 0x8a, 0x9e, 0xa0, 0xa8, 0xaa, 0xbe]


class Adapter(controllers.Rig):
    """The rig of the controllers, with a guest's queues in front."""

    def __init__(self):
        super().__init__("scsi")
        self.drv = vu.VuDriver(3, ram_mib=(RAM + BEYOND) >> 20, size=128)
        os.close(self.ram_fd)
        self.ram_fd, self.ram = self.drv.fd, self.drv.mem
        self.ram[RAM:] = b"\xa5" * BEYOND
        self.drv.ram = RAM  # all it is told of

    def start(self):
        self.child = dc.Child("bulkhead-scsi")
        sock = self.drv.socket_for_child()
        kinds = [(controllers.FD_RAM, self.ram_fd), (controllers.FD_DEVICE_PAGE, self.page_fd),
                 (controllers.FD_CODEPAGE, self.code_fd), (controllers.FD_STATE, self.state_fd),
                 (controllers.FD_KICK, self.bell), (controllers.FD_LINK, self.link_fd),
                 (controllers.FD_LINK_KICK, self.lkick), (controllers.FD_LINK_CALL, self.lcall), (FD_VHOST_USER, sock)]
        self.child.boot("scsi", "s0", (controllers.BOOT_DEVICE, dc.field(1, RAM) + dc.field(2, 0)), kinds)
        self.child.expect("READY")
        os.close(sock)
        self.connect()

    def connect(self):
        self.drv.connect()
        self.drv.start(FEATURES)

    def restart(self):
        """A broken queue stays broken: a fresh process, rings as after a device reset."""
        self.child.close()
        for ring in self.drv.rings:
            ring.avail_idx = ring.seen = ring.used_idx()
            ring.publish()
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and self.outstanding():
            self.serve()
        self.start()

    def outstanding(self):
        return struct.unpack_from("=H", self.link, controllers.AVAIL + 2)[0] != self.served

    def broken(self):
        return "is broken" in self.child.log_text()


def request(rig, rng, slot):
    """A chain with header, data and response where a driver would have them, or nearly."""
    ring, base = rig.drv.rings[2], SLOT_AT + SLOT * slot
    cdb = bytes([rng.choice(COMMANDS)]) + rng.randbytes(9)
    if rng.random() < .7:  # addresses and lengths that can be right
        cdb = bytes([cdb[0], 0]) + struct.pack(">I", rng.randrange(2100)) + b"\0" + struct.pack(">H", rng.choice([1, 2, 8])) + b"\0"
    lun = bytes([1, rng.choice([0] * 8 + [1, 2, 9]), 0x40, rng.choice([0] * 9 + [3])])
    rig.ram[base:base + 51] = lun.ljust(8, b"\0") + struct.pack("<Q", slot) + b"\0\0\0" + cdb.ljust(32, b"\0")
    size = rng.choice([512, 1024, 4096, 4096, 4096, 36, 255])
    at = controllers.address(rng) & (1 << 64) - 1 if rng.random() < .002 else 0x90000 + rng.randrange(0x60000)
    out = cdb[0] in (0x0a, 0x2a, 0x8a, 0xaa, 0x42) if rng.random() < .9 else rng.random() < .5
    head = 3 * slot
    ring.put_desc(head, base, 20 if rng.random() < .002 else 51, vu.DESC_NEXT, head + 1)
    if out:
        ring.put_desc(head + 1, at, size, vu.DESC_NEXT, head + 2)
        ring.put_desc(head + 2, base + 256, 108, vu.DESC_WRITE)
    else:
        ring.put_desc(head + 1, base + 256, 108, vu.DESC_NEXT | vu.DESC_WRITE, head + 2)
        ring.put_desc(head + 2, at, size, vu.DESC_WRITE)
    ring.offer(head)
    ring.kick_now()


def settle(rig, rng):
    """Everything offered comes back, or the queue is broken. False: broken."""
    ring = rig.drv.rings[2]
    end = time.monotonic() + 10
    while ring.used_idx() != ring.avail_idx:
        rig.serve(rng)
        assert rig.child.proc.poll() is None, f"ended: {rig.child.log_text()}"
        if rig.broken():
            return False
        assert time.monotonic() < end, f"requests lost: {rig.child.log_text()}"
        time.sleep(0.0005)
    return True


def random_requests():
    """Random commands, targets, addresses and lengths; a drive that fails at random"""
    rng = random.Random(7)
    rig = Adapter()
    rig.answers = lambda r: r.choice([0, 0, 0, 1, 255])
    breaks = 0
    try:
        rig.start()
        for _ in range(REQUESTS // 20):
            for slot in rng.sample(range(SLOTS), 20):
                request(rig, rng, slot)
            if not settle(rig, rng):
                breaks += 1
                rig.restart()
        rig.alive()
        print(f"# {REQUESTS} requests, {rig.requests} of the drive, {breaks} queues broken")
        assert rig.requests > REQUESTS // 20, "nothing reached the drive: the test has lost its way"
    finally:
        rig.close()


def control_and_event_rubbish():
    """Chains without sense on the control and event queues"""
    rng = random.Random(8)
    rig = Adapter()
    try:
        rig.start()
        for _ in range(60):
            ring = rig.drv.rings[rng.randrange(2)]
            for i in range(4):
                ring.put_desc(i, controllers.address(rng) & (1 << 64) - 1, rng.choice([0, 1, 5, 24, 5000]),
                              rng.randrange(8), rng.choice([0, 1, 2, 3, 900]))
            ring.offer(rng.choice([0, 1, 2, 3, 60000]))
            ring.kick_now()
            rig.alive()
            if rig.broken():
                rig.child.log.clear()
                rig.restart()
    finally:
        rig.close()


if __name__ == "__main__":
    tap.main(random_requests, control_and_event_rubbish)
