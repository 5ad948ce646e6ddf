# SPDX-License-Identifier: Apache-2.0
"""The rows of CTL_MESSAGES in ipc/control.h, for tests and for the protocol page."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
STATES = {"CTL_ST_NEW": 1, "CTL_ST_BOOTING": 2, "CTL_ST_RUNNING": 4}


class Row:
    def __init__(self, cells):
        self.id, self.name, self.type = int(cells[0]), cells[1], cells[2]
        self.min, self.max, self.fds = (int(c) for c in cells[3:6])
        self.to_child = cells[6] == "CTL_TO_CHILD"
        names = list(STATES) if cells[7] == "CTL_ANY" else [s.strip() for s in cells[7].split("|")]
        self.states = [n[len("CTL_ST_"):] for n in names]


def rows():
    text = (ROOT / "ipc/control.h").read_text()
    table = text.split("#define CTL_MESSAGES(M)", 1)[1].split("enum ctl_msg", 1)[0]
    found = re.findall(r"M\((.*?)\)\s*\\?$", table, re.M)
    return [Row([c.strip() for c in line.split(",")]) for line in found]


def version():
    return int(re.search(r"#define CTL_VERSION\s+(\d+)",
                         (ROOT / "ipc/control.h").read_text()).group(1))
