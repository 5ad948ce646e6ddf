/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vmm's end of the spawn protocol. Chooses the way to the spawner this user has, makes the user
 * namespace where one is needed, turns events into callbacks. Holds no policy, keeps no child table.
 */
#include "vmm/supervise/spawn-client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/chan.h"
#include "ipc/fds.h"
#include "ipc/log.h"

#define BROKER_SOCKET   "/run/bulkhead/spawn.sock"
#define BROKER_ENV      "BULKHEAD_SPAWN_SOCKET" /* another socket, for tests and unusual set-ups */
#define LIBEXEC_ENV     "BULKHEAD_LIBEXEC"      /* directory of the spawner, likewise */
#define REPLY_WAIT_MS   30000
#define SEND_WAIT_MS    2000
#define STOP_WAIT_MS    2000
#define CHANNEL_FD      3 /* of the spawner */
#define SUB_BLOCK       128
#define SUB_BLOCK_MIN   64
#define SUB_SLOTS_MAX   512
#define EVENTS_PER_CALL 16

static const char *spawner_find(char *path, size_t len)
{
    static const char *const places[] = {"bulkhead-spawner", "../libexec/bulkhead/bulkhead-spawner"};
    char dir[PATH_MAX];
    const char *env = getenv(LIBEXEC_ENV);
    ssize_t n;

    if (env) {
        snprintf(path, len, "%s/bulkhead-spawner", env);
        return path;
    }
    n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
    if (n <= 0) {
        return NULL;
    }
    dir[n] = '\0';
    *strrchr(dir, '/') = '\0';
    for (unsigned i = 0; i < 2; i++) {
        int need = snprintf(path, len, "%s/%s", dir, places[i]);

        if (need > 0 && (size_t)need < len && access(path, X_OK) == 0) {
            return path;
        }
    }
    return NULL;
}

static void __attribute__((noreturn)) spawner_exec(const char *path, int channel, const char *mode,
                                                   const char *ids)
{
    char *const argv[] = {(char *)"bulkhead-spawner", (char *)mode, (char *)ids, NULL};
    char *const envp[] = {NULL};

    /* dup2 onto itself would leave close-on-exec set. */
    if (channel == CHANNEL_FD ? ipc_fd_cloexec(channel, false) < 0 : dup2(channel, CHANNEL_FD) < 0) {
        _exit(127);
    }
    (void)ipc_close_range(CHANNEL_FD + 1, ~0u);
    execve(path, argv, envp);
    _exit(127);
}

/* Forked from the vmm, in its own namespaces: root, or a sandbox that needs none. */
static int session_fork(struct spawn_client *sc, const char *path, char *err, size_t errlen)
{
    int sv[2], r = ipc_chan_pair(sv);

    if (r < 0) {
        snprintf(err, errlen, "spawner channel: %s", strerror(-r));
        return -1;
    }
    sc->pid = fork();
    if (sc->pid == 0) {
        spawner_exec(path, sv[1], "--session", NULL);
    }
    close(sv[1]);
    if (sc->pid < 0) {
        snprintf(err, errlen, "spawner: fork: %s", strerror(errno));
        close(sv[0]);
        return -1;
    }
    sc->fd = sv[0];
    return 0;
}

/* 0, or -1 when there is no broker for us. */
static int broker_connect(struct spawn_client *sc)
{
    const char *env = getenv(BROKER_ENV), *path = env ? env : BROKER_SOCKET;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct ucred who = {0};
    socklen_t len = sizeof(who);
    int fd;

    if (strlen(path) >= sizeof(a.sun_path)) {
        return -1;
    }
    memcpy(a.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    /* Files are handed over there: only to root, or to ourselves. */
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 ||
        (who.uid != 0 && who.uid != geteuid())) {
        close(fd);
        return -1;
    }
    sc->fd = fd;
    sc->pid = 0;
    return 0;
}

/* The first range of `file` (/etc/subuid, /etc/subgid) that belongs to this user: count, 0 = none. */
static unsigned sub_range(const char *file, uint32_t *start)
{
    struct passwd *pw = getpwuid(getuid());
    FILE *f = fopen(file, "re");
    char line[256], name[128];
    unsigned count = 0, first, n;

    while (f && !count && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%127[^:]:%u:%u", name, &first, &n) == 3) {
            char *end;
            bool by_uid = strtoul(name, &end, 10) == getuid() && !*end;

            if (by_uid || (pw && !strcmp(name, pw->pw_name))) {
                *start = first;
                count = n;
            }
        }
    }
    if (f) {
        fclose(f);
    }
    return count;
}

/* One virtual machine of this user = one block of his range; a name in the abstract socket space, which
 * the kernel gives back at our death, says it is taken. Descriptor or -1. */
static int sub_block_claim(uint32_t start, unsigned slots, unsigned *slot)
{
    for (*slot = 0; *slot < slots && *slot < SUB_SLOTS_MAX; ++*slot) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "bulkhead-sub-%u-%u", start, *slot);
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd < 0) {
            return -1;
        }
        if (bind(fd, (struct sockaddr *)&a, (socklen_t)(sizeof(sa_family_t) + 1 + (unsigned)n)) == 0) {
            return fd;
        }
        close(fd);
    }
    return -1;
}

static int map_helper_run(const char *program, pid_t pid, uint32_t own, uint32_t sub, unsigned count)
{
    char arg[4][16];
    char *const argv[] = {(char *)program, arg[0], (char *)"0", arg[1], (char *)"1",
                          (char *)"1",     arg[2], arg[3],      NULL};
    int status = 0;
    pid_t helper;

    snprintf(arg[0], sizeof(arg[0]), "%d", (int)pid);
    snprintf(arg[1], sizeof(arg[1]), "%u", own);
    snprintf(arg[2], sizeof(arg[2]), "%u", sub);
    snprintf(arg[3], sizeof(arg[3]), "%u", count);
    helper = fork();
    if (helper == 0) {
        execv(program, argv);
        _exit(127);
    }
    if (helper < 0 || waitpid(helper, &status, 0) != helper) {
        return -errno;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

/* Maps a block of subordinate IDs into the namespace of pid. How many, 0 = not possible for this user. */
static unsigned sub_ids_map(struct spawn_client *sc, pid_t pid, unsigned roles)
{
    uint32_t uid_start = 0, gid_start = 0;
    unsigned uids = sub_range("/etc/subuid", &uid_start), gids = sub_range("/etc/subgid", &gid_start);
    unsigned have = uids < gids ? uids : gids, block = have < SUB_BLOCK ? have : SUB_BLOCK, slot;

    if (have < SUB_BLOCK_MIN || block < roles + 1) {
        return 0;
    }
    sc->slot_fd = sub_block_claim(uid_start, have / block, &slot);
    if (sc->slot_fd < 0) {
        return 0;
    }
    if (map_helper_run("/usr/bin/newuidmap", pid, getuid(), uid_start + slot * block, block) < 0 ||
        map_helper_run("/usr/bin/newgidmap", pid, getgid(), gid_start + slot * block, block) < 0) {
        close(sc->slot_fd);
        sc->slot_fd = -1;
        return 0;
    }
    sc->sub_uid = uid_start + slot * block;
    return block;
}

static int proc_write(pid_t pid, const char *name, const char *text)
{
    char path[64];
    int fd, err = 0;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    if (write(fd, text, strlen(text)) < 0) {
        err = -errno;
    }
    close(fd);
    return err;
}

/* Only ourselves: every child then has our one UID. */
static int single_id_map(pid_t pid)
{
    char map[32];
    int err;

    snprintf(map, sizeof(map), "0 %u 1", (unsigned)getuid());
    err = proc_write(pid, "uid_map", map);
    if (!err) {
        err = proc_write(pid, "setgroups", "deny");
    }
    if (!err) {
        snprintf(map, sizeof(map), "0 %u 1", (unsigned)getgid());
        err = proc_write(pid, "gid_map", map);
    }
    return err;
}

/* The child: makes the namespace, says how that went, waits for the number of IDs mapped, becomes the
 * spawner. */
static void __attribute__((noreturn)) userns_child(const char *path, int channel)
{
    int r = unshare(CLONE_NEWUSER) < 0 ? errno : 0;
    unsigned ids = 0;
    char text[16];

    if (ipc_chan_send(channel, &r, sizeof(r), NULL, 0, SEND_WAIT_MS) < 0 || r ||
        ipc_chan_recv(channel, &ids, sizeof(ids), NULL, NULL, REPLY_WAIT_MS) != sizeof(ids) ||
        setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) {
        _exit(126);
    }
    snprintf(text, sizeof(text), "%u", ids);
    spawner_exec(path, channel, "--session-userns", text);
}

/* Maps IDs for the child that waits on the other end of fd. 0 or -errno. */
static int userns_map(struct spawn_client *sc, int fd, unsigned roles)
{
    unsigned ids;
    int r = 0;

    if (ipc_chan_recv(fd, &r, sizeof(r), NULL, NULL, REPLY_WAIT_MS) != sizeof(r)) {
        return -EPIPE;
    }
    if (r) {
        return -r;
    }
    ids = sub_ids_map(sc, sc->pid, roles);
    if (!ids) {
        r = single_id_map(sc->pid);
        if (r < 0) {
            return r;
        }
    }
    return ipc_chan_send(fd, &ids, sizeof(ids), NULL, 0, SEND_WAIT_MS);
}

static int userns_fork(struct spawn_client *sc, const char *path, unsigned roles)
{
    int sv[2], r = ipc_chan_pair(sv);

    if (r < 0) {
        return r;
    }
    sc->pid = fork();
    if (sc->pid == 0) {
        close(sv[0]);
        userns_child(path, sv[1]);
    }
    close(sv[1]);
    r = sc->pid < 0 ? -errno : userns_map(sc, sv[0], roles);
    if (r < 0) {
        close(sv[0]); /* it waits for a message and ends when none can come */
        if (sc->pid > 0) {
            waitpid(sc->pid, NULL, 0);
            sc->pid = 0;
        }
        return r;
    }
    sc->fd = sv[0];
    return 0;
}

static int spawner_reach(struct spawn_client *sc, const struct spawn_plan *plan, char *err, size_t errlen)
{
    char path[PATH_MAX];
    int r;

    if (plan->sandbox != SPAWN_SBX_OFF && geteuid() != 0 && broker_connect(sc) == 0) {
        sc->how = "broker";
        return 0;
    }
    if (!spawner_find(path, sizeof(path))) {
        snprintf(err, errlen, "bulkhead-spawner not found beside this program nor in libexec/bulkhead");
        return -1;
    }
    if (geteuid() == 0 || plan->sandbox == SPAWN_SBX_OFF) {
        sc->how = geteuid() == 0 ? "root" : "no namespace";
        return session_fork(sc, path, err, errlen);
    }
    r = userns_fork(sc, path, plan->roles);
    if (r == 0) {
        sc->how = "user namespace";
        return 0;
    }
    if (plan->sandbox == SPAWN_SBX_REDUCED) {
        sc->how = "no namespace";
        return session_fork(sc, path, err, errlen);
    }
    snprintf(err, errlen, "sandbox: no user namespace for this user (%s), no broker at " BROKER_SOCKET
             " (-sandbox reduced does without)", strerror(-r));
    return -1;
}

/* The hang-up tells the spawner to end every child and itself; our own death would cut that short. It is
 * root's where we are not any more, so it is never signalled. #syscalls:vmm poll wait4 close */
static void client_drop(struct spawn_client *sc)
{
    int fds[2] = {sc->fd, sc->slot_fd};

    ipc_fds_close(fds, 2);
    sc->fd = sc->slot_fd = -1;
    if (sc->pidfd >= 0 && ipc_pidfd_wait(sc->pidfd, STOP_WAIT_MS)) {
        waitpid(sc->pid, NULL, WNOHANG);
    }
    ipc_fds_close(&sc->pidfd, 1);
    sc->pid = 0;
}

static int plan_exchange(struct spawn_client *sc, const struct spawn_plan *plan, const int *files,
                         struct spawn_plan_reply *reply, char *err, size_t errlen)
{
    int r = ipc_chan_send(sc->fd, plan, sizeof(*plan), files, plan->files, SEND_WAIT_MS);
    ssize_t n = r < 0 ? r : ipc_chan_recv(sc->fd, reply, sizeof(*reply), NULL, NULL, REPLY_WAIT_MS);

    if (n != (ssize_t)sizeof(*reply) || reply->version != SPAWN_VERSION) {
        snprintf(err, errlen, "spawner (%s): %s", sc->how,
                 n < 0 ? strerror((int)-n) : n == 0 ? "ended without a word" : "not a reply");
        return -1;
    }
    reply->text[sizeof(reply->text) - 1] = '\0';
    ipc_log_text_clean(reply->text, strlen(reply->text));
    if (reply->error) {
        snprintf(err, errlen, "%s", reply->text);
        return -1;
    }
    return 0;
}

int spawn_client_start(struct spawn_client *sc, const struct spawn_plan *plan, const int *files,
                       struct spawn_plan_reply *reply, char *err, size_t errlen)
{
    sc->fd = sc->slot_fd = sc->pidfd = -1;
    sc->pid = 0;
    sc->sub_uid = 0;
    sc->own_uid = getuid();
    sc->loop = NULL;
    if (spawner_reach(sc, plan, err, errlen) < 0) {
        client_drop(sc);
        return -1;
    }
    sc->pidfd = sc->pid > 0 ? ipc_pidfd_open(sc->pid) : -1;
    if (plan_exchange(sc, plan, files, reply, err, errlen) < 0) {
        client_drop(sc);
        return -1;
    }
    return 0;
}

/* Inside the namespace 0 is us and 1.. are the subordinate ones. */
static uint32_t uid_translate(const struct spawn_client *sc, uint32_t uid)
{
    if (strcmp(sc->how, "user namespace")) {
        return uid;
    }
    return uid ? sc->sub_uid + uid - 1 : sc->own_uid;
}

/* #syscalls:vmm epoll_ctl */
void spawn_client_stop(struct spawn_client *sc)
{
    if (sc->loop) {
        ipc_loop_del(sc->loop, sc->fd);
        sc->loop = NULL;
    }
    client_drop(sc);
}

static bool event_ok(const struct spawn_event *ev, ssize_t n, unsigned nfds)
{
    unsigned max = ev->kind == SPAWN_EV_STARTED ? 2 : 0;

    return n == (ssize_t)sizeof(*ev) && ev->kind >= SPAWN_EV_STARTED && ev->kind <= SPAWN_EV_EXITED &&
           ev->role < SPAWN_ROLES_MAX && nfds <= max && (ev->kind != SPAWN_EV_STARTED || nfds >= 1);
}

static void client_readable(void *opaque, int fd, uint32_t events)
{
    struct spawn_client *sc = opaque;

    (void)events;
    for (int i = 0; i < EVENTS_PER_CALL && sc->fd == fd; i++) {
        struct spawn_event ev = {0};
        int fds[2];
        unsigned nfds = 2;
        ssize_t n = ipc_chan_recv(fd, &ev, sizeof(ev), fds, &nfds, 0);

        if (n == -EAGAIN) {
            return;
        }
        if (!event_ok(&ev, n, nfds)) {
            ipc_fds_close(fds, nfds);
            ipc_loop_del(sc->loop, fd);
            sc->gone(sc->opaque);
            return;
        }
        ev.text[sizeof(ev.text) - 1] = '\0';
        ipc_log_text_clean(ev.text, strlen(ev.text));
        ev.uid = uid_translate(sc, ev.uid);
        sc->event(sc->opaque, &ev, fds, nfds);
    }
}

void spawn_client_serve(struct spawn_client *sc)
{
    if (sc->fd >= 0)
        client_readable(sc, sc->fd, EPOLLIN);
}

/* #syscalls:vmm epoll_ctl recvmsg close */
int spawn_client_watch(struct spawn_client *sc, struct ipc_loop *l)
{
    sc->loop = l;
    return ipc_loop_add(l, sc->fd, EPOLLIN, client_readable, sc);
}

static int request_send(struct spawn_client *sc, const struct spawn_request *rq, const int *fds, unsigned n)
{
    return sc->fd < 0 ? -EPIPE : ipc_chan_send(sc->fd, rq, sizeof(*rq), fds, n, SEND_WAIT_MS);
}

/* #syscalls:vmm sendmsg poll */
int spawn_client_start_role(struct spawn_client *sc, unsigned role, uint32_t generation, int ctl_fd,
                            int log_fd)
{
    struct spawn_request rq = {.op = SPAWN_OP_START, .role = role, .generation = generation};
    int fds[2] = {ctl_fd, log_fd};

    return request_send(sc, &rq, fds, 2);
}

int spawn_client_kill(struct spawn_client *sc, unsigned role, uint32_t generation, int sig)
{
    struct spawn_request rq = {.op = SPAWN_OP_KILL, .role = role, .generation = generation,
                               .arg = (uint32_t)sig};

    return request_send(sc, &rq, NULL, 0);
}
