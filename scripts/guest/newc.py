# SPDX-License-Identifier: Apache-2.0
"""Writes cpio archives of the "newc" kind, as the kernel's initramfs wants them.

Entries are described, not read from a directory, so that device nodes and owners need no privilege.
"""
import os
import stat


class Archive:
    def __init__(self):
        self.parts = []
        self.ino = 0
        self.dirs = set()

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        self.ino += 1
        name = name.lstrip("/")
        raw = name.encode() + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = (self.ino, mode, 0, 0, links, 0, len(data), 0, 0, rdev[0], rdev[1], len(raw), 0)
        head = b"070701" + b"".join(b"%08x" % f for f in fields) + raw
        self.parts += [head, bytes(-len(head) % 4), data, bytes(-len(data) % 4)]

    def parents(self, name):
        path = os.path.dirname(name.strip("/"))
        if path and path not in self.dirs:
            self.directory(path)

    def directory(self, name, mode=0o755):
        name = name.strip("/")
        if name in self.dirs:
            return
        self.parents(name)
        self.dirs.add(name)
        self._entry(name, stat.S_IFDIR | mode)

    def file(self, name, data, mode=0o644):
        self.parents(name)
        self._entry(name, stat.S_IFREG | mode, data)

    def copy(self, name, source, mode=None):
        with open(source, "rb") as f:
            self.file(name, f.read(), mode or stat.S_IMODE(os.stat(source).st_mode) | 0o444)

    def symlink(self, name, target):
        self.parents(name)
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def char_device(self, name, major, minor, mode=0o600):
        self.parents(name)
        self._entry(name, stat.S_IFCHR | mode, rdev=(major, minor))

    def bytes(self):
        parts = list(self.parts)
        self._entry("TRAILER!!!", 0)
        out = b"".join(self.parts)
        self.parts = parts
        return out + bytes(-len(out) % 512)
