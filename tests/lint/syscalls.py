#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the `#syscalls:<role> name ...` tags beside functions with the policies, both ways.

A tagged call must be in the role's policy. A call in a policy must be tagged, or say on its line why no
function of ours names it (`# libc: ...`, `# libslirp: ...`, `# program: ...`). At most 40 calls each.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEVICES = ["ide", "ahci", "nvme", "scsi"]
CHILDREN = ["cpu-worker", "block", "net", "net-link", "ui", "translator"] + DEVICES
GROUPS = {"child": CHILDREN, "device": DEVICES, "all": CHILDREN + ["vmm"]}
MAX = 40
TAG = re.compile(r"#syscalls:([\w-]+)\s+([a-z0-9_ ]+)")
# Linked into these programs only, so that a tag for all children means these.
PARTIAL = {"vhost-user": ["block", "net", "net-link", "scsi"]}


def tags():
    found = {}
    for path in sorted(ROOT.rglob("*.[ch]")):
        rel = path.relative_to(ROOT)
        if rel.parts[0] in ("build", "tests") or rel.parts[0].startswith((".", "build-")):
            continue
        for role, names in TAG.findall(path.read_text(errors="replace")):
            roles = GROUPS.get(role, [role])
            if role in GROUPS:
                roles = [r for r in roles if r in PARTIAL.get(rel.parts[0], roles)]
            for r in roles:
                for name in names.split():
                    found.setdefault(r, {}).setdefault(name, str(rel))
    return found


def policy(path):
    allowed, refused, reasons = set(), set(), set()
    for line in path.read_text().splitlines():
        rule, _, comment = line.partition("#")
        rule = rule.strip()
        if not rule:
            continue
        name, _, condition = (s.strip() for s in rule.partition(":"))
        if name == "default":
            return None
        (refused if condition.startswith("errno") else allowed).add(name)
        if ":" in comment:
            reasons.add(name)
    return allowed, refused, reasons


def main():
    bad = []
    tagged = tags()
    policies = sorted((ROOT / "seccomp/policy").glob("*/*.policy"))
    if not policies:
        bad.append("no policy found")
    names = {p.stem for p in policies}
    bad += [f"tag for a role without a policy: {r}" for r in tagged if r not in names and r != "spawner"]
    for path in policies:
        parsed = policy(path)
        if parsed is None:
            continue  # a list of denied calls
        allowed, refused, reasons = parsed
        mine = tagged.get(path.stem, {})
        rel = path.relative_to(ROOT)
        if len(allowed) > MAX:
            bad.append(f"{rel}: {len(allowed)} calls, at most {MAX}")
        bad += [f"{rel}: {n} is missing (tag in {w})" for n, w in sorted(mine.items()) if n not in allowed]
        bad += [f"{rel}: {n} has neither a tag nor a reason" for n in sorted(allowed)
                if n not in mine and n not in reasons]
        bad += [f"{rel}: {n} is both allowed and refused" for n in sorted(allowed & refused)]
    print("\n".join(bad) if bad else f"ok: {len(policies)} policies agree with the tags")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
