#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real programs in a Debian guest compute what they compute on the host: python's float, math and struct tests, the
math library's bits, openssl, libjpeg, archivers, stress-ng --verify. The same tree is run in a chroot first.

BULKHEAD_TEST_LONG: more tests and more rounds. BULKHEAD_CPU: the -cpu argument (default max).
"""
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import guest
import tap

SET = "long" if os.environ.get("BULKHEAD_TEST_LONG") else "quick"
PACKAGES = ("python3 libpython3.11-testsuite openssl stress-ng libjpeg-turbo-progs dash coreutils bc perl-base gzip "
            "xz-utils bzip2 zstd sqlite3 sed grep mawk diffutils").split()
KEYS = {"rsa": ["RSA"], "ec": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "ed25519": ["ED25519"]}


def tree():
    """The Debian tree with our scripts in /bh and fresh keys."""
    out = subprocess.run([os.path.join(guest.SCRIPTS, "mk-debian"), "debian-programs", *PACKAGES], check=True,
                         stdout=subprocess.PIPE, text=True, timeout=600).stdout.strip()
    bh = os.path.join(out, "bh")
    shutil.rmtree(bh, ignore_errors=True)
    shutil.copytree(os.path.join(HERE, "programs"), bh)
    for d in ("proc", "dev", "tmp"):
        os.makedirs(os.path.join(out, d), exist_ok=True)
    for name, kind in KEYS.items():
        subprocess.run(["openssl", "genpkey", "-algorithm", *kind, "-out", os.path.join(bh, f"{name}.pem")],
                       check=True, stderr=subprocess.DEVNULL, timeout=60)
    with open(os.path.join(bh, "hash32"), "wb") as f:
        f.write(bytes(range(32)))
    return out


def natively(root):
    env = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(["/usr/sbin/chroot", root, "/bin/sh", "/bh/run", SET], stdout=subprocess.PIPE, text=True, env=env,
                          timeout=900)
    assert done.returncode == 0, f"run {SET} failed natively: {done.returncode}"
    return done.stdout.splitlines()


def in_guest(root, directory):
    image = os.path.join(directory, "debian.raw")
    subprocess.run([os.path.join(guest.SCRIPTS, "mk-disk"), "-s", "512", "-o", image, root], check=True,
                   stdout=subprocess.DEVNULL, timeout=120)
    args = guest.linux_args(guest.initramfs(directory), f"bhtest=programs bhset={SET}", memory=1024,
                            disk_image=image)
    args[args.index("-cpu") + 1] = os.environ.get("BULKHEAD_CPU", "max")
    with guest.Emulator(args) as e:
        e.expect("PROGRAMS begin\r?\n", 120)
        m = e.expect("(?s)(.*)PROGRAMS end", 3600 if SET == "long" else 600)
        status = e.expect("BHTEST programs exit=([0-9]+)", 30)
        assert e.text(status) == "0", e.tail()
        e.wait(60)
        return e.text(m).replace("\r", "").splitlines()


def compute_what_the_host_computes():
    if os.geteuid():
        raise tap.Skip("chroot needs root")
    root = tree()
    want = natively(root)
    assert len(want) > 90, f"only {len(want)} results natively"
    with tempfile.TemporaryDirectory() as directory:
        got = in_guest(root, directory)
    differ = [(w, g) for w, g in zip(want, got) if w != g]
    for w, g in differ[:20]:
        print(f"# host  {w}\n# guest {g}")
    assert not differ and len(got) == len(want), f"{len(differ)} of {len(want)} results differ, {len(got)} came"
    bad = [w for w in want if "FAIL" in w or "ERROR" in w or (" status " in w and not w.endswith(" 0"))]
    assert not bad, bad
    print(f"# {len(want)} results are equal")


tap.main(compute_what_the_host_computes)
