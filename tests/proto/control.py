#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real child and a vmm that breaks each rule of the control table once: it exits 65, in every state."""
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import ctl_table
import device_child as dc
import tap

UI_BOOT = (13, dc.field(1, "none"))
PEER_FAULT = 65
ROWS = ctl_table.rows()


def child(state):
    c = dc.Child("bulkhead-ui")
    if state == "NEW":
        c.expect("HELLO")
    else:
        c.boot("ui", "ui0", UI_BOOT, [])
        c.expect("READY")
    return c


def raw(c, kind, body=b"", version=1, generation=1, fds=(), header=None):
    import array
    import socket
    packet = (struct.pack("=HHI", kind, version, generation) if header is None else header) + body
    anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    c.ctl.sendmsg([packet], anc)


def body_of(row):
    """A body of a size the row allows."""
    return b"\x08\x01" * ((row.min + 1) // 2)


def refused(name, state, **kw):
    with child(state) as c:
        raw(c, **kw)
        status = c.wait(10)
        return None if status == PEER_FAULT else f"{name} in {state}: exit status {status}"


def check(cases):
    bad = [b for b in (refused(name, state, **kw) for name, state, kw in cases) if b]
    assert not bad, "; ".join(bad)
    assert cases, "no cases"


def wrong_direction():
    check([(r.name, s, dict(kind=r.id, body=body_of(r))) for r in ROWS if not r.to_child
           for s in ("NEW", "RUNNING")])


def wrong_state():
    check([(r.name, s, dict(kind=r.id, body=body_of(r))) for r in ROWS if r.to_child
           for s in ("NEW", "RUNNING") if s not in r.states])


def wrong_version():
    check([(r.name, r.states[0], dict(kind=r.id, body=body_of(r), version=2)) for r in ROWS
           if r.to_child])


def too_long():
    check([(r.name, r.states[0], dict(kind=r.id, body=b"\0" * (r.max + 1))) for r in ROWS
           if r.to_child])


def too_short():
    check([(r.name, r.states[0], dict(kind=r.id, body=body_of(r)[:r.min - 1])) for r in ROWS
           if r.to_child and r.min])


def too_many_descriptors():
    with open("/dev/null") as null:
        check([(r.name, r.states[0], dict(kind=r.id, body=body_of(r), fds=[null.fileno()] * (r.fds + 1)))
               for r in ROWS if r.to_child and r.fds < 250])


def rubbish():
    check([(r.name, r.states[0], dict(kind=r.id, body=b"\xff" * r.max)) for r in ROWS
           if r.to_child and r.max])


def wrong_generation():
    check([(r.name, "RUNNING", dict(kind=r.id, body=body_of(r), generation=g)) for r in ROWS
           if r.to_child and "RUNNING" in r.states and r.name != "BOOT" for g in (0, 2)])


def unknown_message():
    check([(str(k), s, dict(kind=k, body=b"\x08\x01")) for k in (0, len(ROWS) + 1, 0xffff)
           for s in ("NEW", "RUNNING")])


def half_a_header():
    check([("header", s, dict(kind=0, header=b"\1\0\1")) for s in ("NEW", "RUNNING")])


def a_boot_that_contradicts_itself():
    good = [dc.field(1, "t"), dc.field(2, "ui"), dc.field(3, "ui0"), dc.field(4, 1), dc.field(5, 0)]
    cases = {
        "another role": good[:1] + [dc.field(2, "block")] + good[2:],
        "sandbox 9": good[:4] + [dc.field(5, 9)],
        "empty id": good[:2] + [dc.field(3, "")] + good[3:],
        "long id": good[:2] + [dc.field(3, "x" * 64)] + good[3:],
        "a descriptor too few": good + [dc.field(6, dc.field(1, 1))],
        "missing generation": good[:3] + good[4:],
    }
    bad = []
    for name, fields in cases.items():
        why = refused(name, "NEW", kind=2, body=b"".join(fields))
        bad += [why] if why else []
    assert not bad, "; ".join(bad)


def what_the_table_allows_is_answered():
    with child("RUNNING") as c:
        for seq in range(50):
            raw(c, 4, dc.field(1, seq))
        for seq in range(50):
            assert c.expect("PONG")[1] == [seq]
        raw(c, 6)
        assert c.wait() == 0


def an_unexpected_message_ends_the_child():
    check([(r.name, "RUNNING", dict(kind=r.id, body=body_of(r))) for r in ROWS
           if r.name.startswith("WORKER_") and r.to_child])


def a_refused_display_is_named():
    with dc.Child("bulkhead-ui") as c:
        c.boot("ui", "ui0", (13, dc.field(1, "gtk")), [])
        assert c.wait() == 66 and "'gtk'" in c.log_text(), c.log_text()


if __name__ == "__main__":
    tap.main(wrong_direction, wrong_state, wrong_version, too_long, too_short, too_many_descriptors,
             rubbish, wrong_generation, unknown_message, half_a_header,
             a_boot_that_contradicts_itself, what_the_table_allows_is_answered,
             an_unexpected_message_ends_the_child, a_refused_display_is_named)
