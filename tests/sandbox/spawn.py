#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The spawner: what each child really has, in each of the three ways in; restart; hostile vmms; ends."""
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import device_child as dc
import spawner as sp
import tap

UI_BOOT = (13, dc.field(1, "none"))
NAMESPACES = ["mnt", "pid", "ipc", "uts", "net"]
NOBODY = 4242  # a UID without subordinate UIDs


def root_only():
    if os.geteuid() != 0:
        raise tap.Skip("needs root")


def ui_plan(n=1, **kw):
    return sp.plan([sp.role(sp.UI, b"ui%d" % i) for i in range(n)], **kw)


def boot(child):
    child.boot("ui", "ui0", UI_BOOT, [], generation=child.generation)
    return child.expect("READY")


def status(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def gone(pid):
    try:
        return status(pid)["State"].startswith("Z")
    except (FileNotFoundError, ProcessLookupError):
        return True


def each_child_has_every_layer():
    root_only()
    with sp.Spawner(ui_plan(3)) as s:
        assert s.error == 0, s.text
        children = [s.start(i) for i in range(3)]
        uids = set()
        for c in children:
            assert boot(c)[1] == [31], "stages missing"
            st = status(c.pid)
            uids.add(st["Uid"])
            assert set(st["Uid"].split()) == {str(c.started.uid)}, st["Uid"]
            assert st["Uid"] == st["Gid"] and not st["Groups"].strip()
            for field in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                assert int(st[field], 16) == 0, (field, st[field])
            assert st["NoNewPrivs"] == "1" and st["Seccomp"] == "2"
            assert os.listdir(f"/proc/{c.pid}/root/") == [], "root is not empty"
            assert not os.access(f"/proc/{c.pid}/root/x", os.F_OK)
            with open(f"/proc/{c.pid}/mountinfo") as f:
                mounts = f.read().splitlines()
            assert len(mounts) == 1 and " ro," in mounts[0], mounts
            for ns in NAMESPACES:
                assert (os.readlink(f"/proc/{c.pid}/ns/{ns}") !=
                        os.readlink(f"/proc/self/ns/{ns}")), ns
            fds = {int(n): os.readlink(f"/proc/{c.pid}/fd/{n}")
                   for n in os.listdir(f"/proc/{c.pid}/fd")}
            assert [fds[i] for i in range(3)] == ["/dev/null"] * 3, fds
            with open(f"/proc/{c.pid}/environ", "rb") as f:
                assert f.read() == b""
            with open(f"/proc/{c.pid}/cmdline", "rb") as f:
                assert f.read().startswith(b"test/ui")
            assert c.started.layers & ~sp.LAYER["cgroup"] == 0x7ff & ~sp.LAYER["cgroup"]
        assert len(uids) == 3 and str(os.getuid()) not in uids
        for c in children:
            c.close()


def two_machines_share_no_uid():
    root_only()
    with sp.Spawner(ui_plan()) as a, sp.Spawner(ui_plan()) as b:
        with a.start(0) as ca, b.start(0) as cb:
            assert ca.started.uid != cb.started.uid and a.uid != b.uid


def a_killed_child_is_replaced_fast():
    with sp.Spawner(ui_plan(sandbox=sp.REQUIRE if os.geteuid() == 0 else sp.OFF)) as s:
        assert s.error == 0, s.text
        times = []
        for _ in range(20):
            with s.start(0) as c:
                boot(c)
                t0 = time.monotonic()
                end = c.kill()
                assert os.WIFSIGNALED(end) and os.WTERMSIG(end) == signal.SIGKILL, end
            with s.start(0) as c:
                times.append(time.monotonic() - t0)
                boot(c)
                c.kill()
        times.sort()
        print(f"# kill to STARTED: median {times[10] * 1000:.1f} ms, worst {times[-1] * 1000:.1f} ms")
        assert times[10] < 0.05, times


def exit_and_signal_are_told_apart():
    with sp.Spawner(ui_plan(sandbox=sp.REQUIRE if os.geteuid() == 0 else sp.OFF)) as s:
        with s.start(0) as c:
            boot(c)
            c.send("SHUTDOWN")
            end = c.wait()
            assert os.WIFEXITED(end) and os.WEXITSTATUS(end) == 0, end
        with s.start(0) as c:
            boot(c)
            s.request(sp.KILL, 0, c.generation, signal.SIGTERM)
            end = c.wait()
            assert os.WIFEXITED(end) and os.WEXITSTATUS(end) == 0, "SIGTERM is an orderly end"
        with s.start(0) as c:
            c.expect("HELLO")
            c.send("PING", dc.field(1, 1))
            end = c.wait()
            assert os.WIFEXITED(end) and os.WEXITSTATUS(end) == 65, end
        with s.start(0) as c:
            boot(c)
            c.ctl.close()
            end = c.wait()
            assert os.WIFEXITED(end), "hang-up of the vmm ends a child"


def nothing_survives_the_channel():
    with sp.Spawner(ui_plan(sandbox=sp.REQUIRE if os.geteuid() == 0 else sp.OFF)) as s:
        c = s.start(0)
        boot(c)
        s.sock.close()
        dc.until(5, "the child ends", lambda: gone(c.pid))
        assert s.proc.wait(5) == 0
        c.close()


def nothing_survives_the_spawner():
    with sp.Spawner(ui_plan(sandbox=sp.REQUIRE if os.geteuid() == 0 else sp.OFF)) as s:
        c = s.start(0)
        boot(c)
        s.proc.kill()
        dc.until(5, "the child ends", lambda: gone(c.pid))
        c.close()


def cgroup_id(leaf):
    """Directory of the virtual machine's cgroup and its inode."""
    for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        path = root + os.path.dirname(leaf)
        if os.path.exists(root + leaf):
            return path, os.stat(path).st_ino
    return "/nonexistent", 0


def nothing_survives_a_killed_vmm():
    path = drive_path()
    env = {**os.environ, "BULKHEAD_LIBEXEC": os.path.dirname(dc.program("bulkhead-spawner"))}
    vmm = subprocess.Popen([path, "require" if os.geteuid() == 0 else "off", "0", "hold"], env=env,
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    out = {}
    for line in vmm.stdout:
        key, _, value = line.strip().partition(" ")
        out[key] = value
        if key == "holding":
            break
    pids = [int(out["child-pid"]), int(out["spawner-pid"])]
    assert not any(gone(p) for p in pids)
    with open(f"/proc/{pids[0]}/cgroup") as f:
        cgroup = cgroup_id([line.split("::")[1].strip() for line in f if line.startswith("0::")][0])
    vmm.kill()
    vmm.wait(5)
    for pid in pids:
        dc.until(5, f"process {pid} ends", lambda pid=pid: gone(pid))
    if int(out["child-layers"], 16) & sp.LAYER["cgroup"]:
        path, inode = cgroup
        # Another machine may have taken the name since; it is not the same directory.
        assert not os.path.exists(path) or os.stat(path).st_ino != inode, "its cgroup is still there"


def the_file_is_opened_anew_for_each_incarnation():
    with tempfile.TemporaryFile() as f:
        f.write(b"x" * 512)
        f.flush()
        plan = sp.plan([sp.role(sp.UI, b"ui0", file=0), sp.role(sp.UI, b"ui1", file=1)], files=2,
                       sandbox=sp.REQUIRE if os.geteuid() == 0 else sp.OFF)
        ro = os.open(f"/proc/self/fd/{f.fileno()}", os.O_RDONLY)
        with sp.Spawner(plan, [f.fileno(), ro]) as s:
            assert s.error == 0, s.text
            with s.start(0) as c:
                os.lseek(f.fileno(), 100, os.SEEK_SET)
                fd = c.started.fds[1]
                assert os.lseek(fd, 0, os.SEEK_CUR) == 0, "the same open file description"
                assert os.fstat(fd).st_ino == os.fstat(f.fileno()).st_ino
                os.pwrite(fd, b"y", 0)
                c.kill()
            with s.start(1) as c:
                try:
                    os.pwrite(c.started.fds[1], b"z", 0)
                    raise AssertionError("a read-only file came back writable")
                except OSError:
                    pass
        os.close(ro)


def a_plan_that_is_wrong_is_refused():
    good = ui_plan()
    with tempfile.NamedTemporaryFile() as f, open("/dev/null", "rb") as null, \
            open("/proc/version", "rb") as proc:
        path_only = os.open(f.name, os.O_PATH)  # proves no right to the file's contents
        cases = {
            "version": (ui_plan(version=2), []),
            "sandbox": (ui_plan(sandbox=3), []),
            "no roles": (ui_plan(count=0), []),
            "65 roles": (ui_plan(count=65), []),
            "short": (good[:-1], []),
            "name": (ui_plan(name=b"a\nb"), []),
            "no name": (ui_plan(name=b""), []),
            "name without end": (ui_plan(name=b"x" * 32), []),
            "program": (sp.plan([sp.role(99, b"x")]), []),
            "file index": (sp.plan([sp.role(sp.UI, b"x", file=0)]), []),
            "negative file index": (sp.plan([sp.role(sp.UI, b"x", file=-2)]), []),
            "host network for a display": (sp.plan([sp.role(sp.UI, b"x", host_net=1)]), []),
            "title": (sp.plan([sp.role(sp.UI, b"a b")]), []),
            "files without number": (good, [f.fileno()]),
            "number without files": (ui_plan(files=1), []),
            "a device that is not a disk": (ui_plan(files=1), [null.fileno()]),
            "a descriptor without access": (ui_plan(files=1), [path_only]),
            "a file of the kernel": (ui_plan(files=1), [proc.fileno()]),
        }
        for name, (plan, files) in cases.items():
            with sp.Spawner(plan, files) as s:
                assert s.error, f"{name}: accepted"
                assert s.text.startswith("plan"), (name, s.text)
                assert s.proc.wait(5) == 1
        os.close(path_only)


def a_vmm_that_breaks_the_protocol_ends_everything():
    null = os.open("/dev/null", os.O_RDWR)
    requests = {
        "unknown operation": (struct.pack("=IIII", 3, 0, 2, 0), []),
        "role out of range": (struct.pack("=IIII", sp.START, 1, 1, 0), [null, null]),
        "generation again": (struct.pack("=IIII", sp.START, 0, 1, 0), [null, null]),
        "one descriptor": (struct.pack("=IIII", sp.START, 0, 2, 0), [null]),
        "three descriptors": (struct.pack("=IIII", sp.START, 0, 2, 0), [null, null, null]),
        "SIGSTOP": (struct.pack("=IIII", sp.KILL, 0, 1, signal.SIGSTOP), []),
        "short": (struct.pack("=III", sp.START, 0, 2), []),
    }
    for name, (data, fds) in requests.items():
        with sp.Spawner(ui_plan(sandbox=sp.OFF)) as s:
            c = s.start(0)
            sp.send(s.sock, data, fds)
            got = s.event(timeout=10)
            assert got is None, f"{name}: answered with {got.kind}"
            dc.until(5, f"{name}: the child ends", lambda: gone(c.pid))
            c.close()
    os.close(null)


def a_kill_of_nobody_is_ignored():
    with sp.Spawner(ui_plan(2, sandbox=sp.OFF)) as s:
        s.request(sp.KILL, 1, 7, signal.SIGKILL)
        with s.start(0) as c:
            boot(c)
            c.kill()


def a_program_that_is_missing_is_named():
    root_only()
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["cp", dc.program("bulkhead-spawner"), directory], check=True)
        with sp.Spawner(ui_plan(), directory=directory) as s:
            assert s.error and "bulkhead-ui: No such file" in s.text, s.text


def a_program_that_does_not_load_is_told():
    root_only()
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        subprocess.run(["cp", dc.program("bulkhead-spawner"), directory], check=True)
        subprocess.run(["cp", "/bin/false", os.path.join(directory, "bulkhead-ui")], check=True)
        with sp.Spawner(ui_plan(), directory=directory) as s:
            a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            s.request(sp.START, 0, 1, 0, (a.fileno(), b.fileno()))
            ev = s.event(sp.FAILED)
            assert "before it was loaded" in ev.text, ev.text


def drive_path():
    path = os.path.join(os.path.dirname(dc.program("bulkhead-spawner")), "tests/sandbox/spawn-drive")
    if not os.access(path, os.X_OK):
        raise tap.Skip("spawn-drive is not built")
    return path


def drive(*args, env=None, uid=None):
    path = drive_path()
    full = {"BULKHEAD_LIBEXEC": os.path.dirname(dc.program("bulkhead-spawner")),
            "BULKHEAD_SPAWN_SOCKET": "/nonexistent"}
    full.update(env or {})
    cmd = [path, *args]
    if uid is not None:
        cmd = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *cmd]
    run = subprocess.run(cmd, env={**os.environ, **full}, capture_output=True, text=True, timeout=60)
    return dict((line + " ").split(" ", 1) for line in run.stdout.splitlines()), run.returncode


def user_can_read_build():
    """An ordinary user must be able to reach the programs."""
    return subprocess.run(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                           "test", "-x", dc.program("bulkhead-spawner")]).returncode == 0


def as_root_through_the_client():
    root_only()
    out, code = drive("require", "1")
    assert code == 0 and out["how"].strip() == "root", out
    assert out["child-uid"] == out["event-uid"] and int(out["child-uid"]) > 1879048192, out
    assert out["child-capeff"].strip() == "0" and out["child-seccomp"].strip() == "2", out


def as_a_user_without_subordinate_uids():
    root_only()
    if not user_can_read_build():
        raise tap.Skip("the build directory is not readable for other users")
    out, code = drive("require", uid=NOBODY)
    assert code == 2 and "subordinate UIDs" in out.get("refused", ""), out
    out, code = drive("reduced", "1", uid=NOBODY)
    assert code == 0 and out["how"].strip() == "user namespace", out
    assert "no UIDs of their own" in out["missing"] and int(out["child-uid"]) == NOBODY, out
    assert out["child-capeff"].strip() == "0" and out["child-seccomp"].strip() == "2", out
    assert int(out["child-layers"], 16) & 0x7be == 0x7be, out


def as_a_user_with_the_sandbox_off():
    root_only()
    if not user_can_read_build():
        raise tap.Skip("the build directory is not readable for other users")
    out, code = drive("off", uid=NOBODY)
    assert code == 0 and out["child-layers"].strip() == "0x0", out


# A client of the broker that sends a plan of its own making and prints the reply's text.
ASK = """
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(10)
s.connect(sys.argv[1])
s.send(bytes.fromhex(sys.argv[2]))
print(s.recv(4096)[16:].split(b"\\0")[0].decode())
"""


def as_a_user_through_the_broker():
    root_only()
    if not user_can_read_build():
        raise tap.Skip("the build directory is not readable for other users")
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        path = os.path.join(directory, "spawn.sock")
        broker = subprocess.Popen([dc.program("bulkhead-spawner"), "--broker", "--listen", path],
                                  stderr=subprocess.PIPE)
        try:
            dc.until(5, "the broker listens", lambda: os.path.exists(path))
            assert os.stat(path).st_mode & 0o777 == 0o660, "mode of the socket"
            env = {"BULKHEAD_SPAWN_SOCKET": path}
            out, code = drive("reduced", env=env, uid=NOBODY)
            assert out["how"].strip() == "user namespace", "a user outside the group was let in"
            os.chown(path, 0, NOBODY)
            out, code = drive("require", "2", env=env, uid=NOBODY)
            assert code == 0 and out["how"].strip() == "broker", out
            again, code = drive("require", env=env, uid=NOBODY)
            assert code == 0 and again["how"].strip() == "broker", "the broker ended with its first session"
            assert int(out["child-uid"]) > 1879048192 and out["vmm-uid"].strip() == "0", out
            assert int(out["child-layers"], 16) & 0x7bf == 0x7bf, out
            refused = subprocess.run(
                ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "/usr/bin/python3",
                 "-c", ASK, path, ui_plan(sandbox=2).hex()], capture_output=True, text=True, timeout=30)
            assert "sandbox off through the broker" in refused.stdout, refused
        finally:
            broker.kill()
            log = broker.stderr.read().decode()
            broker.wait()
        assert f"uid {NOBODY}" in log, log


def a_socket_activated_broker():
    root_only()
    with tempfile.TemporaryDirectory() as directory:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(os.path.join(directory, "s"))
        listener.listen()
        fd = listener.fileno()

        def activate():
            os.dup2(fd, 3)
            os.environ["LISTEN_PID"] = str(os.getpid())
            os.environ["LISTEN_FDS"] = "1"
            os.execve(dc.program("bulkhead-spawner"), ["bulkhead-spawner", "--broker"], os.environ)
        pid = os.fork()
        if pid == 0:
            try:
                activate()
            finally:
                os._exit(127)
        try:
            client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            client.connect(os.path.join(directory, "s"))
            sp.send(client, ui_plan())
            data, _ = sp.recv(client)
            assert struct.unpack_from("=Ii", data)[1] == 0, data
            client.close()
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            listener.close()


def started_by_hand_says_so():
    for args, text in ([], "see --help"), (["--session"], "for bulkhead"), (["--what"], "--what"):
        run = subprocess.run([dc.program("bulkhead-spawner"), *args], capture_output=True, text=True,
                             close_fds=True, timeout=10)
        assert run.returncode == 1 and text in run.stderr and run.stderr.count("\n") == 1, run
    for name in ("bulkhead-ui",):
        run = subprocess.run([dc.program(name)], capture_output=True, text=True, timeout=10)
        assert run.returncode == 1 and "is started by bulkhead" in run.stderr, run
        assert subprocess.run([dc.program(name), "--help"], capture_output=True).returncode == 0


if __name__ == "__main__":
    tap.main(each_child_has_every_layer, two_machines_share_no_uid, a_killed_child_is_replaced_fast,
             exit_and_signal_are_told_apart, nothing_survives_the_channel,
             nothing_survives_the_spawner, nothing_survives_a_killed_vmm,
             the_file_is_opened_anew_for_each_incarnation,
             a_plan_that_is_wrong_is_refused, a_vmm_that_breaks_the_protocol_ends_everything,
             a_kill_of_nobody_is_ignored, a_program_that_is_missing_is_named,
             a_program_that_does_not_load_is_told, as_root_through_the_client,
             as_a_user_without_subordinate_uids, as_a_user_with_the_sandbox_off,
             as_a_user_through_the_broker, a_socket_activated_broker, started_by_hand_says_so)
