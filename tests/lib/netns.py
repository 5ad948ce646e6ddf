# SPDX-License-Identifier: Apache-2.0
"""A network namespace for a test: no interface, address or route of the host's is touched."""
import contextlib
import os
import subprocess
import sys
import time


def enter():
    """Starts the running program again inside a new network namespace, or skips the test where that is not
    allowed."""
    if os.environ.get("BULKHEAD_NETNS"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    if subprocess.run(["unshare", "-n", "true"], stderr=subprocess.DEVNULL).returncode:
        print("1..0 # SKIP needs root for a network namespace")
        sys.exit(0)
    os.environ["BULKHEAD_NETNS"] = "1"
    os.execvp("unshare", ["unshare", "-n", sys.executable, *sys.argv])


def address(interface, addr):
    subprocess.run(["ip", "addr", "add", addr, "dev", interface], check=True)
    subprocess.run(["ip", "link", "set", interface, "up"], check=True)


def tap_script(directory, address, mac=""):
    """A script for -netdev tap that gives the host's end this address."""
    path = os.path.join(directory, "ifup")
    with open(path, "w") as f:
        f.write("#!/bin/sh\nset -e\n" + (f"ip link set $1 address {mac}\n" if mac else "") +
                f"ip addr add {address} dev $1\nip link set $1 up\n")
    os.chmod(path, 0o755)
    return path


def uplink():
    """An interface with a default route, which passt wants to see before it starts."""
    subprocess.run("ip tuntap add mode tap name up0 && ip addr add 192.0.2.2/24 dev up0 && ip link set up0 up && "
                   "ip route add default via 192.0.2.1", shell=True, check=True)


@contextlib.contextmanager
def passt(directory, *options):
    """passt on a unix socket; its path."""
    path = os.path.join(directory, "passt.sock")
    log = open(os.path.join(directory, "passt.log"), "w+")
    with open("/proc/sys/net/ipv4/ping_group_range", "w") as f:  # it answers pings through such sockets
        f.write("0 2147483647")
    p = subprocess.Popen(["passt", "-f", "-s", path, "--runas", "0", *options], stdout=log, stderr=log)
    try:
        end = time.monotonic() + 10
        while not os.path.exists(path):
            if p.poll() is not None or time.monotonic() > end:
                log.seek(0)
                raise AssertionError("passt does not run: " + log.read())
            time.sleep(0.02)
        yield path
    finally:
        p.terminate()
        p.wait(10)
        log.close()
