#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The trap table of tests/guest/bare/README.md: every line names tests, and every named test exists."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BARE = ROOT / "tests/guest/bare"
NAME = re.compile(r"`([\w./*+-]+)`")
SUBJECT = re.compile(r"^SUBJECT\((\w+)\)", re.M)


def table(text):
    """[(trap, tests, rest of the row)]"""
    rows = []
    for line in text.splitlines():
        m = re.match(r"^\| ([^|]+) \| ([^|]*) \|$", line)
        if m and m.group(1) not in ("trap", "---") and not m.group(1).startswith("-"):
            rows.append((m.group(1), NAME.findall(m.group(2)), m.group(2)))
    return rows


def exists(test, sources):
    if "/" in test and (ROOT / test).exists():
        return True
    subject, _, name = test.partition("/")
    return any(f'"{name}"' in text for subjects, text in sources if subject in subjects)


def problems(text, sources):
    rows = table(text)
    if len(rows) < 20:
        yield f"only {len(rows)} rows: the trap table is gone"
    for trap, tests, rest in rows:
        if not tests and not rest.startswith("no test: "):
            yield f"{trap}: no test named, and no reason ('no test: why')"
        for test in tests:
            if not exists(test, sources):
                yield f"{trap}: no test `{test}`"


def main():
    texts = [p.read_text() for p in sorted(BARE.glob("test-*.c"))]
    sources = [(SUBJECT.findall(t), t) for t in texts]
    text = (BARE / "README.md").read_text()
    if "--self-test" in sys.argv:
        assert list(problems(text + "\n| x | `flags/none-such` |\n", sources))
        assert list(problems(text + "\n| x |  |\n", sources))
        assert not exists("nothing/inc-keeps-cf", sources)
    found = list(problems(text, sources))
    for p in found:
        print(f"tests/guest/bare/README.md: {p}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
