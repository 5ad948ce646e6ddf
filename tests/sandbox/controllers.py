#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile guests, a lying block process and a corrupt saved state against each controller's process: it answers every
register access, never ends, writes nothing beyond the memory it was told of, and hands its drive no address outside.

BULKHEAD_ACCESSES: register accesses per controller (default 4000; 200000 with BULKHEAD_TEST_LONG).
"""
import mmap
import os
import random
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import tap

ACCESSES = int(os.environ.get("BULKHEAD_ACCESSES",
                              "200000" if os.environ.get("BULKHEAD_TEST_LONG") else "4000"))
FD_CODEPAGE, FD_RAM, FD_KICK, FD_CALL, FD_STATE = 3, 5, 6, 7, 10
FD_DEVICE_PAGE, FD_LINK, FD_LINK_KICK, FD_LINK_CALL = 40, 41, 42, 43
BOOT_DEVICE = 15
RAM, BEYOND = 1 << 20, 1 << 20      # told of, and there all the same
PAGE_SIZE, LINK_SIZE, STATE_SIZE = 139264, 540672, 65536
UNIT, MBOX, WINDOW = 64, 192, 4288  # offsets in struct abi_devpage
AVAIL, USED, TAG, TABLE = 1024, 4096, 8192, 12288  # in struct abi_disk_link
LINK_GPA, TAGS, SEGS = 1 << 46, 64, 258
READ, WRITE, WINDOW_DONE = 1, 2, 3

# role: regions that answer and their sizes; registers that matter are hit more often
REGIONS = {
    "ide": {8: 8, 9: 1, 10: 8, 11: 1, 4: 16},
    "ahci": {5: 4096},
    "nvme": {0: 16384},
}


def memfd(name, size):
    fd = os.memfd_create(name)
    os.ftruncate(fd, size)
    return fd, mmap.mmap(fd, size)


class Rig:
    """What the vmm, the worker and a block process are to a controller."""

    def __init__(self, role):
        self.role = role
        self.ram_fd, self.ram = memfd("ram", RAM + BEYOND)
        self.page_fd, self.page = memfd("page", PAGE_SIZE)
        self.state_fd, self.state = memfd("state", STATE_SIZE)
        self.link_fd, self.link = memfd("link", LINK_SIZE)
        self.code_fd, self.code = memfd("code", 8192)
        self.bell, self.call, self.lkick, self.lcall = (os.eventfd(0, os.EFD_NONBLOCK) for _ in range(4))
        self.ram[RAM:] = b"\xa5" * BEYOND
        self.page[:16] = struct.pack("=IIII", 0x31564442, 1, PAGE_SIZE, 1)
        struct.pack_into("=II", self.page, 32, 7, 1)  # command: all on; units_seq
        for u in range(2):
            struct.pack_into("=IIQ", self.page, UNIT + 16 * u, 3 | (8 if u else 0), 1, 2048)
        self.served, self.child, self.requests = 0, None, 0
        self.answers = lambda rng: 0

    def start(self):
        self.child = dc.Child("bulkhead-" + self.role)
        fds = [(FD_RAM, 0, self.ram_fd), (FD_DEVICE_PAGE, 0, self.page_fd), (FD_CODEPAGE, 0, self.code_fd),
               (FD_STATE, 0, self.state_fd), (FD_KICK, 0, self.bell), (FD_CALL, 0, self.call),
               (FD_LINK, 0, self.link_fd), (FD_LINK_KICK, 0, self.lkick), (FD_LINK_CALL, 0, self.lcall)]
        self.child.expect("HELLO")
        config = dc.field(1, RAM) + dc.field(2, 0)
        self.child.send("BOOT", dc.field(1, "test") + dc.field(2, self.role) + dc.field(3, "c0") +
                        dc.field(4, 1) + dc.field(5, dc.SBX_REQUIRE) +
                        b"".join(dc.field(6, dc.field(1, k) + dc.field(2, i)) for k, i, _ in fds) +
                        dc.field(BOOT_DEVICE, config), [fd for _, _, fd in fds])
        self.child.expect("READY")

    def access(self, op, addr, size, value=0, rng=None):
        req = struct.unpack_from("=I", self.page, MBOX)[0] + 1 & 0xFFFFFFFF
        struct.pack_into("=IIQQ", self.page, MBOX + 8, op, size, addr, value)
        struct.pack_into("=I", self.page, MBOX, req)
        os.eventfd_write(self.bell, 1)
        end = time.monotonic() + 5
        spins = 0
        while struct.unpack_from("=I", self.page, MBOX + 4)[0] != req:
            spins += 1
            if spins % 16 == 0:
                time.sleep(0.0002)
                self.serve(rng)
                assert self.child.proc.poll() is None, f"{self.role} ended: {self.child.log_text()}"
                assert time.monotonic() < end, f"{op} {addr:#x} unanswered: {self.child.log_text()}"
        return struct.unpack_from("=Q", self.page, MBOX + 24)[0]

    def check_address(self, gpa, length):
        inside = gpa + length <= RAM or (LINK_GPA <= gpa and gpa + length <= LINK_GPA + LINK_SIZE)
        assert length and inside, f"{self.role} hands its drive {gpa:#x}+{length:#x}"

    def serve(self, rng=None):
        """A block process that answers; what rng makes of it is up to self.answers."""
        avail = struct.unpack_from("=H", self.link, AVAIL + 2)[0]
        done = 0
        while self.served != avail:
            head = struct.unpack_from("=H", self.link, AVAIL + 4 + 2 * (self.served % TAGS))[0]
            addr, length, flags, _ = struct.unpack_from("=QIHH", self.link, 16 * head)
            assert flags == 4 and addr == LINK_GPA + TABLE + head * SEGS * 16, (head, hex(addr), flags)
            for i in range(length // 16):
                gpa, n, _, _ = struct.unpack_from("=QIHH", self.link, TABLE + head * SEGS * 16 + 16 * i)
                self.check_address(gpa, n)
            self.link[TAG + 64 * head + 16] = self.answers(rng) if rng else 0
            used = struct.unpack_from("=H", self.link, USED + 2)[0]
            struct.pack_into("=II", self.link, USED + 4 + 8 * (used % TAGS), head, 1)
            struct.pack_into("=H", self.link, USED + 2, used + 1 & 0xFFFF)
            self.served = self.served + 1 & 0xFFFF
            done += 1
        self.requests += done
        if done:
            os.eventfd_write(self.lcall, 1)

    def alive(self):
        self.child.send("PING", dc.field(1, 7))
        while True:
            got = self.child.recv()
            assert got is not None, f"{self.role} hung up: {self.child.log_text()}"
            if got[0] == "PONG":
                break
        assert self.ram[RAM:] == b"\xa5" * BEYOND, f"{self.role} wrote beyond guest memory"

    def close(self):
        if self.child:
            self.child.close()
        for fd in (self.ram_fd, self.page_fd, self.state_fd, self.link_fd, self.code_fd, self.bell, self.call,
                   self.lkick, self.lcall):
            os.close(fd)


def address(rng):
    """Guest addresses: mostly in memory, often at its edges, sometimes far off."""
    kind = rng.randrange(6)
    if kind < 3:
        return rng.randrange(RAM) & ~rng.choice([0, 3, 127, 511, 4095])
    return [RAM - rng.randrange(1, 64), rng.randrange(1 << 32), rng.randrange(1 << 64)][kind - 3]


def sqe(opcode, cid, nsid, prp1, prp2, cdw10, cdw11, cdw12):
    return struct.pack("=BBHIQQQQIIIIII", opcode, 0, cid, nsid, 0, 0, prp1 & (1 << 64) - 1, prp2 & (1 << 64) - 1,
                       cdw10, cdw11, cdw12, 0, 0, 0)


def scatter(rig, rng):
    """Memory full of things that may be taken for tables, headers, frames and commands."""
    for _ in range(24):
        at = rng.randrange(RAM - 4096) & ~15
        rig.ram[at:at + 16] = struct.pack("=QII", address(rng), rng.getrandbits(32), rng.randrange(1 << 17))
    if rig.role == "ahci":  # headers that lead to frames with real commands
        for slot in range(32):
            base, table = 0x1000, 0x8000 + 0x400 * slot
            rig.ram[base + 32 * slot:base + 32 * slot + 16] = struct.pack(
                "=IIQ", 5 | rng.randrange(9) << 16, 0, table if rng.random() < .9 else address(rng))
            command = rng.choice([0x25, 0x35, 0x60, 0x61, 0xec, 0xea, 0x06, 0xa0, 0x42, 0xb0, rng.randrange(256)])
            frame = bytes([0x27, 0x80, command, rng.choice([1, 8, rng.randrange(256)]), rng.randrange(256), rng.randrange(9), 0,
                           0x40]) + bytes(4) + bytes([rng.choice([1, 8 * slot, rng.randrange(256)]), 0])
            rig.ram[table:table + len(frame)] = frame
            for i in range(8):
                rig.ram[table + 0x80 + 16 * i:table + 0x90 + 16 * i] = struct.pack(
                    "=QII", address(rng) if rng.random() < .3 else 0x40000, 0, rng.choice([511, 4095, rng.randrange(1 << 22)]))
    if rig.role == "nvme":
        for i in range(128):  # the admin queue, then queue 1
            opcode = rng.choice([0, 1, 2, 8, 9, 1, 2] if i > 63 else [0, 1, 2, 5, 6, 8, 9, 10, 12, rng.randrange(256)])
            prp = [address(rng) if rng.random() < .2 else rng.randrange(0x40, 0xf0) << 12 for _ in range(2)]
            rig.ram[0x2000 + 64 * i:0x2040 + 64 * i] = sqe(
                opcode, i, rng.choice([1, 1, 1, 1, 0, 2, 9, 0xffffffff]), *prp,
                rng.choice([0, 1, 8, 0x3f0001, rng.getrandbits(32)]), rng.choice([0, 0, 4, 1, 0x10001]),
                rng.choice([7, 0, 15, 1 << 30, rng.getrandbits(16)]))


def prepare(rig, rng):
    """Brings the controller to where hostile registers have something to hold on to."""
    if rig.role == "ahci":
        for port in range(2):
            base = (5 << 32) + 0x100 + 0x80 * port
            for reg, v in ((0x00, 0x1000), (0x04, 0), (0x08, 0x4000), (0x0c, 0), (0x2c, 0), (0x18, 0x10), (0x18, 0x11)):
                rig.access(WRITE, base + reg, 4, v, rng)
    if rig.role == "nvme":
        for reg, v in ((0x14, 0), (0x24, 0x003f003f), (0x28, 0x2000), (0x2c, 0), (0x30, 0x6000), (0x34, 0),
                       (0x14, 0x460001)):
            rig.access(WRITE, reg, 4, v, rng)
        rig.ram[0x2000:0x2040] = sqe(5, 0, 0, 0x7000, 0, 0x3f0001, 3, 0)
        rig.ram[0x2040:0x2080] = sqe(1, 1, 0, 0x3000, 0, 0x3f0001, 0x10001, 0)
        rig.access(WRITE, 0x1000, 4, 2, rng)


def ide_command(rig, rng):
    """A command with a plausible taskfile, and with the bus master pointed somewhere."""
    ch = int(rng.random() < .1)
    block, bm = (8 + 2 * ch) << 32, (4 << 32) + 8 * ch
    command = rng.choice([0x20, 0x30, 0xc4, 0xc5, 0xc6, 0xc8, 0xca, 0x25, 0x35, 0xec, 0xa0, 0xe7, 0x06, 0x40])
    table = rng.choice([0x10000, address(rng) & 0xffffffff])
    for i in range(8):
        rig.ram[0x10000 + 8 * i:0x10008 + 8 * i] = struct.pack(
            "=II", rng.choice([0x20000, 0x20000, address(rng) & 0xffffffff]),
            rng.choice([512, 4096, 0, 0x80000200, 0x80001000, rng.getrandbits(32)]))
    for addr, size, value in [(bm, 1, 0), (bm + 4, 4, table), (block + 6, 1, 0x40 | 0x10 * (rng.random() < .2)),
                              (block + 1, 1, rng.choice([0, 1])), (block + 2, 1, rng.choice([1, 2, 8, 16, 0])),
                              (block + 3, 1, rng.randrange(256)), (block + 4, 1, rng.randrange(9)),
                              (block + 5, 1, rng.choice([0, 0, 0, 255])), (block + 7, 1, command), (bm, 1, 9)]:
        rig.access(WRITE, addr, size, value, rng)
    for _ in range(rng.randrange(4)):
        rig.serve(rng)
        rig.access(WINDOW_DONE, ch, 4, 0, rng)
    if rng.random() < .1:
        rig.access(WRITE, block + (1 << 32), 1, 4, rng)
        rig.access(WRITE, block + (1 << 32), 1, 0, rng)
    rig.access(READ, block + 7, 1, 0, rng)


def random_access(rig, rng):
    rig.serve(rng)
    if rig.role == "ide" and rng.random() < .1:
        ide_command(rig, rng)
    region, size = rng.choice(list(REGIONS[rig.role].items()))
    off = rng.randrange(size)
    width = rng.choice([1, 1, 2, 4]) if rig.role == "ide" else rng.choice([4, 4, 4, 8, 1])
    value = rng.choice([0, 1, rng.getrandbits(8), rng.getrandbits(32), address(rng) & 0xffffffff])
    if rig.role == "ide" and off == 7 and region in (8, 10):
        value = rng.choice([0x20, 0x30, 0xc4, 0xc5, 0xc8, 0xca, 0x25, 0x35, 0xec, 0xa0, 0xa1, 0xe7, 0x06, 0x40,
                            rng.randrange(256)])
    if rig.role == "ahci" and rng.random() < .7:
        off, width = 0x100 + 0x80 * rng.randrange(2) + rng.choice([0x34, 0x38, 0x38, 0x38, 0x10, 0x18, 0x2c, 0x14]), 4
        if off & 0x7f == 0x18:
            value = rng.choice([0x10, 0x11, 0x19])
        if off & 0x7f == 0x38 and rng.random() < .8:
            value = 1 << rng.randrange(32)
    if rig.role == "nvme" and rng.random() < .7:
        off, width, value = 0x1000 + 4 * rng.choice([0, 1, 2, 2, 2, 3, 3, 5]), 4, rng.randrange(68)
    op = rng.choices([READ, WRITE, WINDOW_DONE, 9], [30, 60, 9, 1])[0]
    if op == WINDOW_DONE:
        return rig.access(op, rng.randrange(3), 4, 0, rng)
    return rig.access(op, (region << 32) + off, width, value, rng)


def hostile_run(role, seed, count, answers):
    rng = random.Random(seed)
    rig = Rig(role)
    rig.answers = answers
    try:
        rig.start()
        for i in range(count):
            if i % 200 == 0:
                scatter(rig, rng)
            if i % 25 == 0:
                prepare(rig, rng)
            random_access(rig, rng)
        end = time.monotonic() + 5
        while time.monotonic() < end and struct.unpack_from("=H", rig.link, AVAIL + 2)[0] != rig.served:
            rig.serve(rng)
        rig.alive()
    finally:
        rig.close()
    return rig


def corrupt_state(role, seed, rounds):
    """A predecessor that wrote rubbish: its successor comes up all the same and answers."""
    rng = random.Random(seed)
    for _ in range(rounds):
        rig = Rig(role)
        try:
            rig.start()
            prepare(rig, rng)
            for _ in range(20):
                random_access(rig, rng)
            rig.child.kill()
            rig.child.close()
            size = struct.unpack_from("=I", rig.state, 12)[0]
            for copy in (4096, 4096 + 28672):
                for _ in range(rng.choice([1, 4, 64, 2000])):
                    rig.state[copy + 24 + rng.randrange(size - 24)] = rng.randrange(256)
            rig.serve(rng)
            rig.start()
            for _ in range(60):
                random_access(rig, rng)
            rig.alive()
        finally:
            rig.close()


def each(work):
    for role in REGIONS:
        work(role)


def registers_and_descriptors():
    """Random registers, random tables in memory: answered, alive, no address outside"""
    def work(role):
        n = hostile_run(role, 1, ACCESSES, lambda rng: 0).requests
        print(f"# {role}: {ACCESSES} accesses, {n} requests to its drive")
        assert n > ACCESSES // 200, "nothing reached the drive: the test has lost its way"
    each(work)


def disk_errors():
    """The same with a drive that fails at random"""
    each(lambda role: hostile_run(role, 2, ACCESSES // 4, lambda rng: rng.choice([0, 0, 1, 2, 255])))


def lying_block_process():
    """Completions of requests that are not out, indexes that jump: the link fails, the process lives"""
    def work(role):
        rng = random.Random(3)
        rig = Rig(role)
        try:
            rig.start()
            for used, ident in ((1, 9), (7, 0xffffffff), (40000, 3)):
                struct.pack_into("=II", rig.link, USED + 4, ident, 0)
                struct.pack_into("=H", rig.link, USED + 2, used)
                os.eventfd_write(rig.lcall, 1)
                for _ in range(50):
                    random_access(rig, rng)
                rig.served = struct.unpack_from("=H", rig.link, AVAIL + 2)[0]
            rig.alive()
        finally:
            rig.close()
    each(work)


def rubbish_as_saved_state():
    """A corrupt state memfd after a kill: the successor starts, answers, stays inside"""
    each(lambda role: corrupt_state(role, 4, 6 if ACCESSES < 10000 else 60))


if __name__ == "__main__":
    tap.main(registers_and_descriptors, disk_errors, lying_block_process, rubbish_as_saved_state)
