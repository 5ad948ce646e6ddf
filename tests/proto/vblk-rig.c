/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rig: see vblk-rig.h. Every wait is bounded; a failure ends the test with a message.
 */
#include "tests/proto/vblk-rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ipc/abi/codepage.h"
#include "ipc/chan.h"
#include "ipc/fds.h"
#include "ipc/log.h"
#include "ipc/loop.h"
#include "ipc/memfd.h"
#include "seccomp/sandbox.h"

/* A sanitizer needs system calls that no policy allows. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Guest memory: rings in page 1.., per slot a page of header, status and table, data around the border of
 * the two regions so that some buffers lie in both. */
#define DESC_GPA   0x1000u
#define AVAIL_GPA  0x2000u
#define USED_GPA   0x3000u
#define SLOT_GPA   0x10000u
#define DATA_GPA   (RIG_SPLIT - RIG_SLOTS / 2 * RIG_BLOCK - 512)

void rig_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "FAILED %s:%d: %s\n", file, line, what);
    exit(1);
}

static void *gpa_to_hva(void *opaque, uint64_t gpa, uint64_t len)
{
    struct rig *r = opaque;
    return gpa + len <= RIG_RAM ? r->ram + gpa : NULL;
}

static void memory_init(struct rig *r)
{
    r->ram_fd = ipc_memfd_create("ram", RIG_RAM, IPC_SEALS_SIZE);
    r->code_fd = ipc_memfd_create("code", abi_codepage_size(RIG_RAM), IPC_SEALS_SIZE);
    r->state_fd = ipc_memfd_create("state", 4096, IPC_SEALS_SIZE);
    CHECK(r->ram_fd >= 0 && r->code_fd >= 0 && r->state_fd >= 0);
    r->ram = mmap(NULL, RIG_RAM, PROT_READ | PROT_WRITE, MAP_SHARED, r->ram_fd, 0);
    r->codepage = mmap(NULL, abi_codepage_size(RIG_RAM), PROT_READ | PROT_WRITE, MAP_SHARED,
                       r->code_fd, 0);
    CHECK(r->ram != MAP_FAILED && (void *)r->codepage != MAP_FAILED);
    r->desc = (void *)(r->ram + DESC_GPA);
    r->avail = (void *)(r->ram + AVAIL_GPA);
    r->used = (void *)(r->ram + USED_GPA);
}

void rig_init(struct rig *r, const char *program, const char *image)
{
    memset(r, 0, sizeof(*r));
    r->program = program;
    r->image = image;
    r->cache = "writeback";
    r->sandbox = SANITIZED ? SBX_OFF : SBX_REQUIRE;
    r->features = VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC |
                  VIRTIO_BLK_F_FLUSH_BIT;
    memory_init(r);
    r->kick = ipc_eventfd_create();
    r->call = ipc_eventfd_create();
    vu_frontend_init(&r->fe, "blk", 1);
    struct vu_fe_region reg[2] = {{0, RIG_SPLIT, 0, r->ram_fd},
                                  {RIG_SPLIT, RIG_RAM - RIG_SPLIT, RIG_SPLIT, r->ram_fd}};
    vu_frontend_set_memory(&r->fe, reg, 2, gpa_to_hva, r);
    r->fe.q[0] = (struct vu_fe_queue){.enabled = true, .size = RIG_QSZ, .desc_gpa = DESC_GPA,
                                      .avail_gpa = AVAIL_GPA, .used_gpa = USED_GPA,
                                      .kick_fd = r->kick, .call_fd = r->call, .err_fd = -1};
    r->fe.timeout_ms = 5000;
    r->pid = -1;
}

static void child_exec(struct rig *r, int ctl, int log)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (r->fsize_limit) {
        struct rlimit lim = {(rlim_t)r->fsize_limit, RLIM_INFINITY};
        setrlimit(RLIMIT_FSIZE, &lim);
        signal(SIGXFSZ, SIG_IGN);
    }
    int ctl_dup = fcntl(ctl, F_DUPFD, 100), log_dup = fcntl(log, F_DUPFD, 100);
    dup2(ctl_dup, CTL_FD);
    dup2(log_dup, CTL_LOG_FD);
    ipc_close_range(CTL_LOG_FD + 1, ~0u);
    ipc_fd_nonblock(CTL_FD, true);
    execl(r->program, r->program, (char *)NULL);
    _exit(127);
}

static void boot_send(struct rig *r, int sock, int image)
{
    Ctl__Boot boot = CTL__BOOT__INIT;
    Ctl__BlockConfig blk = CTL__BLOCK_CONFIG__INIT;
    Ctl__Fd fd[5], *list[5];
    int fds[5] = {sock, image, r->code_fd};
    Ctl__FdKind kind[5] = {CTL__FD_KIND__FD_VHOST_USER, CTL__FD_KIND__FD_IMAGE, CTL__FD_KIND__FD_CODEPAGE};
    unsigned n = 3, base_at = 0;
    if (r->with_state) {
        fds[n] = r->state_fd;
        kind[n++] = CTL__FD_KIND__FD_STATE;
    }
    if (r->base) {
        base_at = n;
        fds[n] = open(r->base, O_RDONLY | O_CLOEXEC);
        kind[n++] = CTL__FD_KIND__FD_IMAGE;
    }
    for (unsigned i = 0; i < n; i++) {
        ctl__fd__init(&fd[i]);
        fd[i].kind = kind[i];
        fd[i].has_index = 1;
        fd[i].index = base_at && i == base_at;
        list[i] = &fd[i];
    }
    char *formats[2] = {(char *)(r->format ? r->format : "raw"), (char *)"raw"};
    blk.format = formats;
    blk.n_format = r->base ? 2 : 1;
    blk.werror = (char *)r->werror;
    blk.detect_zeroes = (char *)r->detect;
    blk.has_snapshot = blk.has_copy_on_read = 1;
    blk.snapshot = r->snapshot;
    blk.copy_on_read = r->copy_on_read;
    blk.throttle = (uint64_t *)(uintptr_t)r->throttle;
    blk.n_throttle = r->throttle ? 13 : 0;
    blk.name = (char *)r->image;
    blk.has_readonly = blk.has_discard = blk.has_crash_at = 1;
    blk.readonly = r->readonly;
    blk.discard = r->discard;
    blk.crash_at = r->crash_at;
    blk.cache = (char *)r->cache;
    blk.serial = (char *)"serial-of-disk";
    boot.vm_name = (char *)"rig";
    boot.role = (char *)"block";
    boot.id = (char *)"virtio0";
    boot.generation = r->generation;
    boot.sandbox = r->sandbox;
    boot.n_fds = n;
    boot.fds = list;
    boot.block = &blk;
    CHECK(ctl_send(&r->ctl, CTL_BOOT, &boot, fds, (unsigned)boot.n_fds, 5000) == 0);
    if (base_at)
        close(fds[base_at]);
}

static void event_note(struct rig *r, const Ctl__DeviceEvent *ev)
{
    size_t used = strlen(r->events);
    snprintf(r->events + used, sizeof(r->events) - used, "%s %s\n", ev->name,
             ev->detail ? ev->detail : "");
}

/* Receives until `want` has come. false: the child is gone. */
static bool ctl_expect(struct rig *r, enum ctl_msg want)
{
    for (;;) {
        enum ctl_msg type;
        ProtobufCMessage *msg;
        int n = ctl_recv(&r->ctl, &type, &msg, NULL, NULL, 60000);
        if (n != 1)
            return false;
        if (type == CTL_DEVICE_EVENT)
            event_note(r, (Ctl__DeviceEvent *)msg);
        if (type == want || (type == CTL_DEVICE_EVENT && r->wait_event))
            return true;
    }
}

/* What the child had to say, on our stderr. */
static void log_print(struct rig *r)
{
    struct ipc_log_record rec;
    while (ipc_chan_recv(r->log_fd, &rec, sizeof(rec), NULL, NULL, 0) > 0)
        fprintf(stderr, "block#%u: %.*s\n", r->generation, (int)rec.len, rec.text);
}

void rig_events_read(struct rig *r)
{
    enum ctl_msg type;
    ProtobufCMessage *msg;
    while (ctl_recv(&r->ctl, &type, &msg, NULL, NULL, 0) == 1)
        if (type == CTL_DEVICE_EVENT)
            event_note(r, (Ctl__DeviceEvent *)msg);
}

static void child_start(struct rig *r)
{
    int ctl[2], log[2];
    CHECK(ipc_chan_pair(ctl) == 0 && ipc_chan_pair(log) == 0);
    r->generation++;
    r->pid = fork();
    CHECK(r->pid >= 0);
    if (r->pid == 0)
        child_exec(r, ctl[1], log[1]);
    close(ctl[1]);
    close(log[1]);
    r->log_fd = log[0];
    r->pidfd = ipc_pidfd_open(r->pid);
    CHECK(r->pidfd >= 0);
    ctl_peer_init(&r->ctl, ctl[0], CTL_TO_VMM, r->generation);
}

bool rig_spawn(struct rig *r)
{
    int sv[2];
    int image = open(r->image, (r->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC |
                                   (r->direct ? O_DIRECT : 0));
    CHECK(image >= 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
    child_start(r);
    bool ok = ctl_expect(r, CTL_HELLO);
    if (ok) {
        boot_send(r, sv[1], image);
        r->ctl.state = CTL_ST_BOOTING;
    }
    close(sv[1]);
    close(image);
    if (ok)
        ok = ctl_expect(r, CTL_READY);
    r->ctl.state = CTL_ST_RUNNING;
    ok = ok && vu_frontend_connect(&r->fe, sv[0]) == 0;
    if (ok) {
        r->fe.acked = r->features & r->fe.be_features;
        ok = vu_frontend_start(&r->fe) == 0;
    } else if (r->fe.fd != sv[0]) {
        /* connect took it over and closed it, or was never called */
        fcntl(sv[0], F_GETFD) >= 0 ? close(sv[0]) : 0;
    }
    return ok;
}

bool rig_attach(struct rig *r, const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
    CHECK(sock >= 0 && connect(sock, (struct sockaddr *)&sa, sizeof(sa)) == 0);
    r->pidfd = -1;
    if (vu_frontend_connect(&r->fe, sock) < 0)
        return false;
    r->fe.acked = r->features & r->fe.be_features;
    return vu_frontend_start(&r->fe) == 0;
}

void rig_rings_clear(struct rig *r)
{
    memset(r->ram + DESC_GPA, 0, 0x3000);
    r->avail_idx = r->last_used = 0;
    memset(r->req, 0, sizeof(r->req));
    r->inflight = 0;
    ipc_eventfd_drain(r->kick);
    ipc_eventfd_drain(r->call);
}

volatile struct vblk_header *rig_header(struct rig *r, unsigned slot)
{
    return (void *)(r->ram + SLOT_GPA + slot * 4096u);
}

void rig_reap(struct rig *r)
{
    int status;
    CHECK(ipc_pidfd_wait(r->pidfd, 20000));
    CHECK(waitpid(r->pid, &status, 0) == r->pid);
    /* Only our own kill and the injected crash may end it. */
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        fprintf(stderr, "child ended with wait status %#x\n", status);
        exit(1);
    }
    log_print(r);
    close(r->log_fd);
    close(r->pidfd);
    close(r->ctl.fd);
    vu_frontend_disconnect(&r->fe);
    r->pid = -1;
}

void rig_kill(struct rig *r)
{
    kill(r->pid, SIGKILL);
    rig_reap(r);
}

void rig_shutdown(struct rig *r)
{
    Ctl__Shutdown msg = CTL__SHUTDOWN__INIT;
    int status;
    CHECK(vu_frontend_stop(&r->fe, true) == 0);
    CHECK(ctl_send(&r->ctl, CTL_SHUTDOWN, &msg, NULL, 0, 1000) == 0);
    CHECK(ipc_pidfd_wait(r->pidfd, 20000));
    CHECK(waitpid(r->pid, &status, 0) == r->pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    log_print(r);
    close(r->log_fd);
    close(r->pidfd);
    close(r->ctl.fd);
    vu_frontend_disconnect(&r->fe);
    r->pid = -1;
    rig_rings_clear(r);
    r->fe.acked = 0; /* the next incarnation serves a new driver */
    r->fe.known = false;
}

uint8_t *rig_data(struct rig *r, unsigned slot)
{
    return r->ram + DATA_GPA + slot * RIG_BLOCK;
}

void rig_stamp(uint8_t *buf, uint64_t block, uint64_t version)
{
    uint64_t *w = (uint64_t *)buf;
    for (unsigned i = 0; i < RIG_BLOCK / 8; i++)
        w[i] = version ? (version << 32 | block << 12 | i) : 0;
}

bool rig_stamp_ok(const uint8_t *buf, uint64_t block, uint64_t version)
{
    uint8_t want[RIG_BLOCK];
    rig_stamp(want, block, version);
    return memcmp(buf, want, RIG_BLOCK) == 0;
}

struct chain {
    struct vring_desc_s d[6];
    unsigned n;
};

static void chain_add(struct chain *c, uint64_t gpa, uint32_t len, uint16_t flags)
{
    c->d[c->n++] = (struct vring_desc_s){gpa, len, flags, 0};
}

static void chain_build(struct rig *r, unsigned slot, struct chain *c)
{
    const struct rig_request *q = &r->req[slot];
    uint64_t page = SLOT_GPA + slot * 4096u, data = DATA_GPA + slot * RIG_BLOCK;
    struct vblk_header *h = (void *)(r->ram + page);
    struct vblk_segment *s = (void *)(r->ram + page + 64);
    *h = (struct vblk_header){q->type, 0, q->block * (RIG_BLOCK / 512)};
    r->ram[page + 128] = 0xff;
    c->n = 0;
    chain_add(c, page, 16, 0);
    if (q->type == VBLK_IN || q->type == VBLK_OUT) {
        uint16_t w = q->type == VBLK_IN ? VRING_DESC_WRITE : 0;
        chain_add(c, data, 512, w);
        chain_add(c, data + 512, q->len - 512, w);
    } else if (q->type == VBLK_GET_ID) {
        chain_add(c, data, VBLK_ID_BYTES, VRING_DESC_WRITE);
    } else if (q->type == VBLK_DISCARD || q->type == VBLK_WRITE_ZEROES) {
        *s = (struct vblk_segment){q->block * (RIG_BLOCK / 512), RIG_BLOCK / 512,
                                   q->type == VBLK_WRITE_ZEROES};
        chain_add(c, page + 64, sizeof(*s), 0);
    }
    chain_add(c, page + 128, 1, VRING_DESC_WRITE);
}

/* Slot i owns descriptors 4i..4i+3; odd slots use an indirect table. */
static void chain_post(struct rig *r, unsigned slot, const struct chain *c)
{
    uint64_t page = SLOT_GPA + slot * 4096u;
    uint16_t first = (uint16_t)(slot * 4);
    bool indirect = (slot & 1) && (r->features & VIRTIO_F_INDIRECT_DESC);
    struct vring_desc_s *t = indirect ? (void *)(r->ram + page + 256) : &r->desc[first];
    for (unsigned i = 0; i < c->n; i++) {
        t[i] = c->d[i];
        if (i + 1 < c->n) {
            t[i].flags |= VRING_DESC_NEXT;
            t[i].next = (uint16_t)(indirect ? i + 1 : first + i + 1);
        }
    }
    if (indirect)
        r->desc[first] = (struct vring_desc_s){page + 256, c->n * 16, VRING_DESC_INDIRECT, 0};
    r->avail->ring[r->avail_idx % RIG_QSZ] = first;
    uint16_t old = r->avail_idx++;
    __atomic_store_n(&r->avail->idx, r->avail_idx, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint16_t event = *(volatile uint16_t *)&r->used->ring[RIG_QSZ];
    bool kick = r->features & VIRTIO_F_EVENT_IDX
                    ? (uint16_t)(r->avail_idx - event - 1) < (uint16_t)(r->avail_idx - old)
                    : !(*(volatile uint16_t *)&r->used->flags & VRING_USED_NO_KICK);
    if (kick)
        ipc_eventfd_signal(r->kick);
}

unsigned rig_submit(struct rig *r, uint32_t type, uint64_t block, uint64_t version)
{
    unsigned slot = (unsigned)rand() % RIG_SLOTS;
    struct chain c;
    while (r->req[slot].busy)
        slot = (slot + 1) % RIG_SLOTS;
    r->req[slot] = (struct rig_request){true, type, block, version, RIG_BLOCK};
    r->inflight++;
    if (type == VBLK_OUT)
        rig_stamp(rig_data(r, slot), block, version);
    else
        memset(rig_data(r, slot), 0xa5, RIG_BLOCK);
    chain_build(r, slot, &c);
    chain_post(r, slot, &c);
    return slot;
}

int rig_harvest(struct rig *r, void (*done)(struct rig *r, unsigned slot, uint8_t status))
{
    int n = 0;
    for (;;) {
        while (__atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE) != r->last_used) {
            struct vring_used_elem_s u = r->used->ring[r->last_used++ % RIG_QSZ];
            unsigned slot = u.id / 4;
            /* What Linux calls "is not a head". */
            CHECK(u.id % 4 == 0 && slot < RIG_SLOTS && r->req[slot].busy);
            r->req[slot].busy = false;
            r->inflight--;
            n++;
            r->last_status = r->ram[SLOT_GPA + slot * 4096u + 128];
            if (done)
                done(r, slot, r->last_status);
        }
        *(volatile uint16_t *)&r->avail->ring[RIG_QSZ] = r->last_used;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (__atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE) == r->last_used)
            return n;
    }
}

int rig_wait(struct rig *r, int timeout_ms,
             void (*done)(struct rig *r, unsigned slot, uint8_t status))
{
    struct pollfd pf[2] = {{.fd = r->call, .events = POLLIN}, {.fd = r->pidfd, .events = POLLIN}};
    if (poll(pf, 2, timeout_ms) <= 0)
        return 0;
    if (pf[0].revents) {
        ipc_eventfd_drain(r->call);
        return rig_harvest(r, done);
    }
    return -1;
}

uint8_t rig_one(struct rig *r, uint32_t type, uint64_t block, uint64_t version)
{
    uint64_t end = ipc_now_ns() + 10000000000ull;
    CHECK(r->inflight == 0);
    rig_submit(r, type, block, version);
    while (r->inflight) {
        CHECK(ipc_now_ns() < end);
        CHECK(rig_wait(r, 1000, NULL) >= 0);
    }
    return r->last_status;
}
