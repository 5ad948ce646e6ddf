/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device program gone bad. Built on the real runtime and started by the real spawner under the name of
 * a real program, it does on request what a process that was taken over would try. Started with
 * `--control NAME` it makes the same attempt without any sandbox: there it must succeed, or the test of
 * the sandbox tests nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device-procs/runtime/devproc.h"
#include "ipc/fds.h"

/* Each returns 0 when the attempt succeeded, else an errno. */
static int result(long r)
{
    return r < 0 ? errno : 0;
}

static int try_open_passwd(void)
{
    return result(open("/etc/passwd", O_RDONLY));
}
static int try_open_root(void)
{
    return result(syscall(SYS_openat2, AT_FDCWD, "/", &(uint64_t[3]){O_RDONLY}, 24));
}
static int try_open_proc_mem(void)
{
    return result(open("/proc/self/mem", O_RDWR));
}
static int try_create(void)
{
    int fd = open("/tmp/.bulkhead-hostile", O_CREAT | O_RDWR, 0600);

    if (fd >= 0) {
        unlink("/tmp/.bulkhead-hostile");
    }
    return result(fd);
}
static int try_fork(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        _exit(0);
    }
    return result(pid);
}
static int try_vfork_exec(void)
{
    char *argv[] = {(char *)"true", NULL};
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        execv("/bin/true", argv);
        _exit(1);
    }
    return pid < 0 ? errno : waitpid(pid, &status, 0) == pid && status == 0 ? 0 : EIO;
}
static int try_exec(void)
{
    execl("/bin/true", "true", (char *)NULL);
    return errno;
}
static int try_socket_unix(void)
{
    return result(socket(AF_UNIX, SOCK_STREAM, 0));
}
static int try_socket_netlink(void)
{
    return result(socket(AF_NETLINK, SOCK_RAW, 0));
}
static int try_socket_packet(void)
{
    return result(socket(AF_PACKET, SOCK_RAW, 0));
}
static int try_socket_tcp(void)
{
    return result(socket(AF_INET, SOCK_STREAM, 0));
}
static int try_map_exec(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? errno : 0;
}
static int try_protect_exec(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return result(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}
static int try_ptrace(void)
{
    return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}
static int try_vm_read(void)
{
    char from[8] = "secret", to[8];
    struct iovec l = {to, 8}, r = {from, 8};

    return result(process_vm_readv(getpid(), &l, 1, &r, 1, 0));
}
static int try_kill_parent(void)
{
    return result(kill(getppid() ? getppid() : 1, 0));
}
static int try_setuid(void)
{
    return result(setresuid(0, 0, 0));
}
static int try_setgroups(void)
{
    return result(setgroups(0, NULL));
}
static int try_userns(void)
{
    return result(unshare(CLONE_NEWUSER));
}
static int try_mount(void)
{
    return result(unshare(CLONE_NEWNS) | mount("tmpfs", "/tmp", "tmpfs", 0, NULL));
}
static int try_chroot(void)
{
    return result(chroot("/"));
}
static int try_io_uring(void)
{
    uint8_t params[120] = {0};

    return result(syscall(SYS_io_uring_setup, 4, params));
}
static int try_userfaultfd(void)
{
    return result(syscall(SYS_userfaultfd, 1));
}
static int try_keyring(void)
{
    return result(syscall(SYS_add_key, "user", "x", "y", 1, -3));
}
static int try_bpf(void)
{
    uint32_t attr[16] = {2, 4, 4, 1}; /* an array map of one element */

    return result(syscall(SYS_bpf, 0, attr, sizeof(attr)));
}
static int try_memfd_exec(void)
{
    return result(memfd_create("x", MFD_CLOEXEC));
}
static int try_shm(void)
{
    int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);

    if (id >= 0) {
        shmctl(id, IPC_RMID, NULL);
    }
    return result(id);
}
static int try_inotify(void)
{
    return result(syscall(SYS_inotify_init1, 0));
}
static int try_pidfd_self(void)
{
    return result(syscall(SYS_pidfd_open, getpid(), 0));
}
static int try_capset(void)
{
    uint32_t hdr[2] = {_LINUX_CAPABILITY_VERSION_3, 0}, data[6] = {0};

    return result(syscall(SYS_capget, hdr, data)) ? errno : result(syscall(SYS_capset, hdr, data));
}
static int try_dumpable(void)
{
    return result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}
static int try_rlimit(void)
{
    struct rlimit r;

    return result(getrlimit(RLIMIT_NOFILE, &r));
}
static int try_priority(void)
{
    return result(setpriority(PRIO_PROCESS, 0, 0));
}
static int try_mknod(void)
{
    int r = mknod("/tmp/.bulkhead-node", S_IFCHR | 0600, 0x101);

    unlink("/tmp/.bulkhead-node");
    return result(r);
}
static int try_tty_inject(void)
{
    return result(syscall(SYS_setsid));
}
static int try_uname(void)
{
    return result(syscall(SYS_uname, &(char[400]){0}));
}
static int try_int80(void)
{
    long r;

    __asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
    return r > 0 ? 0 : ENOSYS;
}
static int try_thread(void)
{
    return result(syscall(SYS_getcpu, NULL, NULL, NULL) | syscall(SYS_sched_setaffinity, 0, 8, &(uint64_t){1}));
}

static const struct attempt {
    const char *name;
    int (*fn)(void);
} attempts[] = {
#define A(n) {#n, try_##n}
    A(open_passwd), A(open_root), A(open_proc_mem), A(create), A(fork), A(vfork_exec), A(exec),
    A(socket_unix), A(socket_netlink), A(socket_packet), A(socket_tcp), A(map_exec), A(protect_exec),
    A(ptrace), A(vm_read), A(kill_parent), A(setuid), A(setgroups), A(userns), A(mount), A(chroot),
    A(io_uring), A(userfaultfd), A(keyring), A(bpf), A(memfd_exec), A(shm), A(inotify), A(pidfd_self),
    A(capset), A(dumpable), A(rlimit), A(priority), A(mknod), A(tty_inject), A(uname), A(int80), A(thread),
#undef A
};

static const struct attempt *attempt_find(const char *name)
{
    for (unsigned i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        if (!strcmp(attempts[i].name, name)) {
            return &attempts[i];
        }
    }
    return NULL;
}

static int hostile_setup(struct devproc *p, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    (void)p;
    (void)boot;
    (void)fds;
    return nfds ? -EINVAL : 0;
}

static int hostile_message(struct devproc *p, enum ctl_msg type, ProtobufCMessage *msg)
{
    const Ctl__InfoRequest *rq = (const Ctl__InfoRequest *)msg;
    Ctl__InfoReply reply = CTL__INFO_REPLY__INIT;
    const struct attempt *a = type == CTL_INFO_REQUEST ? attempt_find(rq->what) : NULL;
    char text[64];
    int r;

    if (!a) {
        return -EPROTO;
    }
    reply.seq = rq->seq;
    r = a->fn();
    snprintf(text, sizeof(text), "%s", r ? strerror(r) : "SUCCEEDED");
    reply.text = text;
    return ctl_send(&p->ctl, CTL_INFO_REPLY, &reply, NULL, 0, 1000);
}

static int control(const char *name)
{
    const struct attempt *a = attempt_find(name);
    int r = a ? a->fn() : EINVAL;

    printf("%s\n", r ? strerror(r) : "SUCCEEDED");
    return r != 0;
}

static int attempts_list(void)
{
    for (unsigned i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        puts(attempts[i].name);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct devproc_ops ops = {.setup = hostile_setup, .message = hostile_message};
    const char *role = strrchr(argv[0], '/');

    if (argc == 2 && !strcmp(argv[1], "--list")) {
        return attempts_list();
    }
    if (argc == 3 && !strcmp(argv[1], "--control")) {
        return control(argv[2]);
    }
    ops.role = role ? role + 1 : argv[0]; /* the title the spawner gave it */
    ops.program = "hostile";
    for (int i = 0; i < SBX_ROLES; i++) {
        if (!strcmp(sbx_role_name((enum sbx_role)i), ops.role)) {
            ops.sbx = (enum sbx_role)i;
        }
    }
    return devproc_main(argc, argv, &ops, NULL);
}
