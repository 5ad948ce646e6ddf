# SPDX-License-Identifier: Apache-2.0
"""bulkhead-ui with a screen that the test draws: display memory, input page and a listening socket."""
import mmap
import os
import socket
import struct

import device_child as dc

FD_DOORBELL_WORKER, FD_LISTEN, FD_DISPLAY, FD_INPUT = 9, 11, 12, 13
VRAM, VRAM_SIZE = 0x80000, 16 << 20
REGS = 8 * 4 + 256  # struct abi_vga in struct abi_display
VBE = REGS + 12 + 8 + 16 + 32 + 32 + 4 + 768 + 4 + 2


def memfd(name, size):
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    os.ftruncate(fd, size)
    return fd, mmap.mmap(fd, size)


class Ui(dc.Child):
    """Booted, with a 32-bit linear mode of this size; draw() fills it, address is for an RFB client."""

    def __init__(self, width=640, height=400, sandbox=dc.SBX_REQUIRE, wrapper=(), **options):
        super().__init__("bulkhead-ui", wrapper)
        self.disp_fd, self.mem = memfd("display", VRAM + VRAM_SIZE)
        struct.pack_into("<IIII", self.mem, 0, 0x31504442, 1, VRAM + VRAM_SIZE, VRAM_SIZE)
        self.in_fd, self.input = memfd("input", 4096)
        struct.pack_into("<I", self.input, 0, 0x31504942)
        self.bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(16)
        self.address = self.listener.getsockname()
        self.mode(width, height)
        ui = (dc.field(1, "vnc") + dc.field(2, options.get("password", False)) + dc.field(3, options.get("lossy", False)) +
              dc.field(4, options.get("share", 0)))
        ro = os.open(f"/proc/self/fd/{self.disp_fd}", os.O_RDONLY | os.O_CLOEXEC)
        self.boot("ui", "ui", (13, ui), [(FD_DISPLAY, ro), (FD_INPUT, self.in_fd), (FD_DOORBELL_WORKER, self.bell),
                                         (FD_LISTEN, self.listener.fileno())], sandbox=sandbox)
        os.close(ro)
        self.expect("READY")

    def mode(self, width, height):
        self.width, self.height = width, height
        struct.pack_into("<HHHHHHHHHHH", self.mem, VBE, 0xb0c5, width, height, 32, 0x41, 0, width, height, 0, 0, 0)

    def draw(self, x, y, w, h, pixels):
        """Rows of XRGB bytes."""
        for row in range(h):
            at = VRAM + 4 * ((y + row) * self.width + x)
            self.mem[at:at + 4 * w] = pixels[4 * w * row:4 * w * (row + 1)]

    def picture(self):
        px = self.mem[VRAM:VRAM + 4 * self.width * self.height]
        out = bytearray(3 * self.width * self.height)
        out[0::3], out[1::3], out[2::3] = px[2::4], px[1::4], px[0::4]
        return self.width, self.height, bytes(out)

    def events(self):
        """What was sent to the guest since the last call: (type, code, a, b)."""
        head, tail = struct.unpack_from("<I", self.input, 64)[0], struct.unpack_from("<I", self.input, 128)[0]
        out = [struct.unpack_from("<HHii", self.input, 192 + 12 * (i % 256)) for i in range(tail, head)]
        struct.pack_into("<I", self.input, 128, head)
        return out

    def ping(self):
        self.send("PING", dc.field(1, 1))
        while self.recv(10)[0] != "PONG":
            pass

    def close(self):
        super().close()
        self.listener.close()
        for fd in (self.disp_fd, self.in_fd, self.bell):
            os.close(fd)
