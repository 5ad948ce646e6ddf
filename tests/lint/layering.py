#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who may include whom, which folder may use which library, SPDX lines, file lengths.

The table is the one of docs/architecture.md, section 3. Run with file arguments to check only those;
`--self-test` shows that each rule can fail.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIP = {"build", "tests", ".git", "subprojects"}
WARN_LINES, MAX_LINES = 600, 1000

# Folder -> folders of ours it may include (itself always). The longest matching prefix counts.
ALLOWED = {
    "ipc": [],
    "seccomp": ["ipc"],
    "vhost-user": ["ipc"],
    "device-procs/runtime": ["ipc", "seccomp", "vhost-user"],
    "device-procs/storage": ["device-procs/runtime", "ipc", "seccomp", "vhost-user"],
    "device-procs": ["device-procs/runtime", "device-procs/storage", "ipc", "seccomp", "vhost-user"],
    "block-proc": ["device-procs/runtime", "ipc", "seccomp", "vhost-user"],
    "net-proc": ["device-procs/runtime", "ipc", "seccomp", "vhost-user"],
    "ui-proc": ["device-procs/runtime", "ipc", "seccomp", "vhost-user"],
    "cpu-worker": ["device-procs/runtime", "ipc", "seccomp"],
    "vmm/translator": ["ipc/abi"],
    "vmm/translator/process": ["vmm/translator", "device-procs/runtime", "ipc", "seccomp"],
    "vmm/spawner": ["ipc", "seccomp"],
    "vmm": ["ipc", "vhost-user", "seccomp"],
}
# Headers a folder may not use although its rule above would let it.
FORBIDDEN = {
    "vmm/spawner": ["ipc/control.h", "ipc/proto/"],
}
# Header of an external library -> folders that may include it.
LIBRARIES = {
    r"seccomp\.h|libseccomp": ["seccomp"],
    r"cap-ng\.h": ["seccomp"],
    r"protobuf-c/": ["ipc"],
    r"(lib)?slirp": ["net-proc/backend"],
    r"zstd\.h": ["block-proc/image"],
    r"zlib\.h": ["block-proc/image", "ui-proc/vnc"],
    r"(jpeglib\.h|nettle/)": ["ui-proc/vnc"],
    r"pixman": ["ui-proc"],
    r"png\.h": ["ui-proc"],
    r"Zydis": ["cpu-worker/interp", "cpu-worker/helpers", "vmm/translator"],
    r"glib|gio/": ["vmm/config", "vmm/monitor", "vmm/state", "net-proc/backend", "ui-proc"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)
SPDX = "SPDX-License-Identifier: Apache-2.0"


def rule_of(path, table):
    best = None
    for folder in table:
        if path.startswith(folder + "/") and (best is None or len(folder) > len(best)):
            best = folder
    return best


def check_include(path, kind, header):
    """None, or what is wrong with one #include of file `path`."""
    for pattern, folders in LIBRARIES.items():
        if kind == "<" and re.match(pattern, header):
            if not any(path.startswith(f + "/") for f in folders):
                return f"<{header}> belongs in {', '.join(folders)}"
    if kind == "<":
        return None
    mine = rule_of(path, ALLOWED)
    if mine is None:
        return f"no rule for {path}; add its folder to the table"
    if any(header.startswith(h) for h in FORBIDDEN.get(mine, [])):
        return f'"{header}" is not for {mine}'
    if "/" not in header:
        # Generated next to the object file, or a neighbour: includes are root-relative.
        return f'"{header}" is not root-relative'
    theirs = rule_of(header, ALLOWED)
    if theirs is None:
        return f'"{header}" is in no known folder'
    if theirs == mine or header.startswith(mine + "/") or theirs in ALLOWED[mine]:
        return None
    if mine.startswith("vmm/") and mine not in ("vmm/translator", "vmm/spawner") and theirs == "vmm":
        return None
    if any(header.startswith(a + "/") for a in ALLOWED[mine]):
        return None
    return f'"{header}": {mine} may include {", ".join(ALLOWED[mine]) or "nothing of ours"}'


def check_text(path, text):
    bad = []
    if SPDX not in "\n".join(text.splitlines()[:3]):
        bad.append("no SPDX line")
    lines = text.count("\n")
    if lines > MAX_LINES:
        bad.append(f"{lines} lines, at most {MAX_LINES}")
    if path.endswith((".c", ".h")):
        for kind, header in INCLUDE.findall(text):
            why = check_include(path, kind, header)
            if why:
                bad.append(why)
    return bad, lines > WARN_LINES


def sources(args):
    if args:
        return [pathlib.Path(a).resolve() for a in args]
    found = []
    for pattern in ("*.c", "*.h", "*.py", "meson.build", "*.policy", "*.proto"):
        found += ROOT.rglob(pattern)
    return sorted(p for p in found
                  if not (set(p.relative_to(ROOT).parts[:1]) & (SKIP - {"tests"}))
                  and not p.relative_to(ROOT).parts[0].startswith((".", "build-")))


def self_test():
    spdx = f"/* {SPDX} */\n"
    must_fail = [
        ("ipc/x.c", '#include "seccomp/sandbox.h"'), ("seccomp/x.c", '#include "vhost-user/vq.h"'),
        ("block-proc/x.c", '#include "net-proc/x.h"'), ("block-proc/x.c", '#include "vmm/vm.h"'),
        ("net-proc/x.c", '#include "cpu-worker/run/cpu.h"'), ("cpu-worker/x.c", '#include "vmm/vm.h"'),
        ("vmm/x.c", '#include "device-procs/runtime/devproc.h"'),
        ("vmm/x.c", '#include "cpu-worker/run/cpu.h"'),
        ("vmm/spawner/x.c", '#include "ipc/control.h"'), ("vmm/spawner/x.c", '#include "vmm/vm.h"'),
        ("vmm/translator/x.c", '#include "ipc/chan.h"'), ("vmm/x.c", "#include <seccomp.h>"),
        ("block-proc/x.c", "#include <pixman.h>"), ("net-proc/x.c", "#include <slirp/libslirp.h>"),
        ("cpu-worker/run/x.c", "#include <glib.h>"), ("vmm/spawner/x.c", "#include <glib.h>"),
        ("vmm/x.c", '#include "vm.h"'), ("unknown/x.c", '#include "ipc/chan.h"'),
    ]
    must_pass = [
        ("seccomp/x.c", '#include "ipc/log.h"'), ("vmm/config/x.c", '#include "vmm/vm.h"'),
        ("vmm/x.c", '#include "vmm/config/plan.h"'), ("vmm/x.c", '#include "ipc/abi/spawn.h"'),
        ("cpu-worker/x.c", '#include "device-procs/runtime/devproc.h"'),
        ("vmm/translator/x.c", '#include "ipc/abi/codepage.h"'), ("net-proc/backend/x.c", "#include <libslirp.h>"),
    ]
    wrong = [f"not noticed: {p}: {i}" for p, i in must_fail if not check_text(p, spdx + i + "\n")[0]]
    wrong += [f"wrongly refused: {p}: {i}" for p, i in must_pass if check_text(p, spdx + i + "\n")[0]]
    wrong += [] if check_text("ipc/x.c", "int x;\n")[0] else ["missing SPDX line not noticed"]
    wrong += [] if check_text("ipc/x.c", spdx + "\n" * MAX_LINES)[0] else ["long file not noticed"]
    return wrong


def main():
    args = sys.argv[1:]
    wrong = self_test()
    if wrong or args == ["--self-test"]:
        print("\n".join(wrong) or "ok: every rule can fail")
        return 1 if wrong else 0
    failed = 0
    files = sources(args)
    for path in files:
        rel = path.relative_to(ROOT).as_posix()
        text = path.read_text(errors="replace")
        bad, long = check_text(rel, text) if not rel.startswith("tests/") else check_tests(rel, text)
        failed += bool(bad)
        for why in bad:
            print(f"{rel}: {why}")
        if long and not bad:
            print(f"{rel}: warning: {text.count(chr(10))} lines, should be at most {WARN_LINES}")
    print(f"{'not ok' if failed else 'ok'}: {len(files)} files, {failed} with faults")
    return 1 if failed else 0


def check_tests(rel, text):
    """Tests may include anything; the rest holds for them too."""
    lines = text.count("\n")
    bad = [] if SPDX in "\n".join(text.splitlines()[:3]) else ["no SPDX line"]
    if lines > MAX_LINES:
        bad.append(f"{lines} lines, at most {MAX_LINES}")
    return bad, lines > WARN_LINES


if __name__ == "__main__":
    sys.exit(main())
