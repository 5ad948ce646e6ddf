/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio function against a real vhost-user back end in a thread: negotiation, requests, death
 * with a request in flight, configuration change, a guest that breaks the rules, the legacy layout.
 */
#include "tests/unit/machine/fixture.h"
#include "tests/unit/machine/tap.h"
#include "vhost-user/vu-backend.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 5000
#define DESC    0x300000u
#define AVAIL   0x301000u
#define USED    0x302000u
#define BUFFER  0x310000u
#define NSEC    64u
#define BIT(n)  (1ull << (n))

/* ---- the device process -------------------------------------------------------------------------
 */

enum { CMD_STOP = 1, CMD_CONFIG };
struct fake {
    pthread_t thread;
    struct ipc_loop loop;
    struct vu_backend *be;
    int command_fd, popped_fd;
    uint32_t command; /* atomic */
    bool hold;        /* take requests and never finish them */
    uint64_t capacity;
    struct vq_elem e;
};

static void serve(void *opaque, struct vq *vq)
{
    struct fake *f = opaque;
    uint64_t one = 1;

    while (vq_pop(vq, &f->e) == 1) {
        if (f->hold) {
            ok(write(f->popped_fd, &one, 8) == 8, "request taken, not finished");
            return;
        }
        for (unsigned i = f->e.n_out; i < (unsigned)f->e.n_out + f->e.n_in; i++)
            memset(f->e.iov[i].iov_base, 0xab, f->e.iov[i].iov_len);
        vq_push(vq, &f->e, (uint32_t)f->e.in_len);
    }
    vq_notify(vq);
}

static void queue_stop(void *opaque, struct vq *vq)
{
    (void)opaque;
    (void)vq;
}

static int config_get(void *opaque, uint32_t off, uint32_t size, uint8_t *out)
{
    struct fake *f = opaque;
    struct virtio_blk_config c = {.capacity = f->capacity, .seg_max = 128};

    if (off + size > sizeof(c))
        return -EINVAL;
    memcpy(out, (uint8_t *)&c + off, size);
    return 0;
}

static const struct vu_device_ops fake_ops = {
    .features = BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_MQ),
    .queues = 1,
    .inflight = true,
    .config_get = config_get,
    .queue_start = serve,
    .queue_stop = queue_stop,
    .kick = serve,
};

static void on_command(void *opaque, int fd, uint32_t events)
{
    struct fake *f = opaque;

    (void)events;
    fix_eventfd_take(fd);
    if (__atomic_load_n(&f->command, __ATOMIC_ACQUIRE) == CMD_STOP) {
        f->loop.quit = true;
        return;
    }
    f->capacity *= 2;
    vu_backend_config_changed(f->be);
}

static void *fake_run(void *opaque)
{
    struct fake *f = opaque;

    ipc_loop_run(&f->loop);
    vu_backend_fini(f->be);
    return NULL;
}

static struct fake *fake_start(int *front, bool hold, uint64_t capacity)
{
    struct fake *f = calloc(1, sizeof(*f));
    int sv[2];

    if (!f || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) ||
        ipc_loop_init(&f->loop))
        abort();
    f->hold = hold;
    f->capacity = capacity;
    f->command_fd = eventfd(0, EFD_NONBLOCK);
    f->popped_fd = eventfd(0, EFD_NONBLOCK);
    f->be = calloc(1, vu_backend_size());
    if (vu_backend_init(f->be, &f->loop, sv[1], &fake_ops, f) ||
        ipc_loop_add(&f->loop, f->command_fd, EPOLLIN, on_command, f) ||
        pthread_create(&f->thread, NULL, fake_run, f))
        abort();
    *front = sv[0];
    return f;
}

static void fake_command(struct fake *f, uint32_t c)
{
    uint64_t one = 1;

    __atomic_store_n(&f->command, c, __ATOMIC_RELEASE);
    if (write(f->command_fd, &one, 8) != 8)
        abort();
}

static void fake_kill(struct fake *f)
{
    fake_command(f, CMD_STOP);
    pthread_join(f->thread, NULL);
    ipc_loop_fini(&f->loop);
    close(f->command_fd);
    close(f->popped_fd);
    free(f->be);
    free(f);
}

/* ---- the driver
 * ----------------------------------------------------------------------------------- */

static struct vm *vm;
static struct virtio_dev *dev;
static uint64_t regs, io;
static uint16_t avail_idx;

static uint64_t get(uint64_t off, unsigned size)
{
    return fix_mbox(vm, ABI_MBOX_MEM_READ, regs + off, size, 0);
}

static void set(uint64_t off, unsigned size, uint64_t v)
{
    fix_mbox(vm, ABI_MBOX_MEM_WRITE, regs + off, size, v);
}

static uint64_t features_read(void)
{
    uint64_t f;

    set(0, 4, 0);
    f = get(4, 4);
    set(0, 4, 1);
    return f | get(4, 4) << 32;
}

static void features_write(uint64_t f)
{
    set(8, 4, 0);
    set(12, 4, (uint32_t)f);
    set(8, 4, 1);
    set(12, 4, f >> 32);
}

static void start(uint64_t features, uint64_t desc)
{
    set(20, 1, 0);
    set(20, 1, 1);
    set(20, 1, 3);
    features_write(features);
    set(20, 1, 11);
    set(22, 2, 0);
    set(24, 2, 64);
    set(32, 4, (uint32_t)desc);
    set(36, 4, desc >> 32);
    set(40, 8, AVAIL);
    set(48, 8, USED);
    set(28, 2, 1);
    memset(vm->ram + AVAIL, 0, 4096);
    memset(vm->ram + USED, 0, 4096);
    avail_idx = 0;
    set(20, 1, 15);
}

static void submit(void)
{
    struct vring_desc *d = (void *)(vm->ram + DESC);
    struct vring_avail *a = (void *)(vm->ram + AVAIL);
    uint64_t one = 1;

    memset(vm->ram + BUFFER, 0, 512);
    d[0] = (struct vring_desc){BUFFER, 512, VRING_DESC_F_WRITE, 0};
    a->ring[avail_idx % 64] = 0;
    __atomic_store_n(&a->idx, ++avail_idx, __ATOMIC_RELEASE);
    if (write(vm->kick_fd[dev->kick0], &one, 8) != 8)
        abort();
}

static bool signalled(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};

    return poll(&p, 1, WAIT_MS) == 1 && fix_eventfd_take(fd);
}

static bool completed(uint64_t used)
{
    struct vring_used *u = (void *)(vm->ram + used);

    for (unsigned tries = 0; tries < 4; tries++) { /* a restart signals once for nothing */
        if (__atomic_load_n(&u->idx, __ATOMIC_ACQUIRE) == avail_idx)
            return vm->ram[BUFFER] == 0xab && vm->ram[BUFFER + 511] == 0xab;
        if (!signalled(vm->call_fd[dev->call0]))
            return false;
    }
    return false;
}

/* ---- the tests
 * ------------------------------------------------------------------------------------ */

static void setup(void)
{
    char err[256] = "";

    vm = fix_vm(64 << 20);
    vm->plan.n_disk = 1;
    strcpy(vm->plan.disk[0].id, "virtio0");
    vm->plan.disk[0].used = true;
    vm->plan.disk[0].pci_slot = vm->plan.disk[0].rom = vm->plan.disk[0].bootindex = -1;
    ok(!machine_build(vm, err, sizeof(err)) && !machine_reset(vm), "machine");
    dev = machine_virtio_find(machine_get(), "virtio0");
    fix_pci_write(vm, 3, 0, 4, 2, 7);
    io = fix_pci_read(vm, 3, 0, 0x10, 4) & ~3u;
    regs = fix_pci_read(vm, 3, 0, 0x20, 4) & ~0xfu;
}

static void test_negotiation(void)
{
    uint64_t offer = features_read();

    ok(offer & BIT(VIRTIO_F_VERSION_1) && offer & BIT(VIRTIO_BLK_F_FLUSH), "features offered");
    ok(!(offer & (BIT(VIRTIO_BLK_F_MQ) | BIT(34) | BIT(30))), "what the front end lacks is not");
    ok(get(VIRTIO_AT_DEVICE, 8) == NSEC, "capacity");
    ok(get(VIRTIO_AT_DEVICE + 60, 4) == 0xffffffff, "beyond the configuration: all-ones");
    start(offer | BIT(40), DESC);
    ok(!(get(20, 1) & 8), "feature that was not offered: FEATURES_OK refused");
    ok(get(20, 1) & 0x40 && !dev->live, "DRIVER_OK without it: needs reset");
    start(offer & ~BIT(VIRTIO_F_VERSION_1), DESC);
    ok(!(get(20, 1) & 8), "modern driver without VERSION_1 refused");
    set(20, 1, 0);
    ok(get(20, 1) == 0 && get(28, 2) == 0 && get(24, 2) == 256, "reset clears everything");
    set(22, 2, 7);
    ok(get(24, 2) == 0, "queue that is not there has size 0");
    set(22, 2, 0);
    set(24, 2, 100);
    ok(get(24, 2) == 256, "queue size that is no power of two ignored");
}

static void test_restart(struct fake *f)
{
    uint64_t offer = features_read();
    uint64_t generation;
    struct fake *g;
    int fd;

    start(offer & ~BIT(VIRTIO_RING_F_EVENT_IDX), DESC);
    ok(get(20, 1) == 15, "DRIVER_OK");
    submit();
    ok(completed(USED), "request served");
    fake_kill(f);
    machine_backend_down(vm, "virtio0");
    ok(get(VIRTIO_AT_DEVICE, 8) == NSEC && get(20, 1) == 15, "dead back end: registers answer");

    f = fake_start(&fd, true, NSEC);
    ok(!machine_backend_up(vm, "virtio0", fd), "successor that stops half-way");
    submit();
    ok(signalled(f->popped_fd), "it took the request");
    fake_kill(f);
    machine_backend_down(vm, "virtio0");
    g = fake_start(&fd, false, NSEC);
    ok(!machine_backend_up(vm, "virtio0", fd), "third one");
    ok(completed(USED), "the request in flight was finished");
    submit();
    ok(completed(USED), "and the ring goes on");

    fix_eventfd_take(vm->call_fd[dev->call0 + 1]);
    generation = get(21, 1);
    fake_command(g, CMD_CONFIG);
    ok(!ipc_loop_run_once(&vm->loop, WAIT_MS), "request of the back end");
    ok(get(VIRTIO_AT_DEVICE, 8) == 2 * NSEC && get(21, 1) == generation + 1,
       "new capacity, new generation");
    ok(fix_eventfd_take(vm->call_fd[dev->call0 + 1]) == 1, "configuration interrupt");

    start(offer, 0x7fffffff0000);
    ok(get(20, 1) & 0x40 && !fix_broken && dev->fe.fd >= 0,
       "ring outside of memory: guest's fault");
    start(offer & ~BIT(VIRTIO_RING_F_EVENT_IDX), DESC);
    submit();
    ok(completed(USED), "works again after a device reset");
    fake_kill(g);
    machine_backend_down(vm, "virtio0");
    set(20, 1, 0);
    ok(get(20, 1) == 0 && !dev->live, "device reset without a back end");
    start(offer & ~BIT(VIRTIO_RING_F_EVENT_IDX), DESC);
    submit();
    g = fake_start(&fd, false, NSEC);
    ok(!machine_backend_up(vm, "virtio0", fd) && completed(USED),
       "started before its back end came");
    set(20, 1, 0);
    ok(!fix_broken, "no back end was blamed");
    fake_kill(g);
    machine_backend_down(vm, "virtio0");
}

static uint64_t pget(unsigned port, unsigned size)
{
    return fix_mbox(vm, ABI_MBOX_IO_READ, io + port, size, 0);
}

static void pset(unsigned port, unsigned size, uint64_t v)
{
    fix_mbox(vm, ABI_MBOX_IO_WRITE, io + port, size, v);
}

/* Section 2.7.2 for 256 descriptors: avail at +0x1000, used at +0x2000. */
static void test_legacy(void)
{
    int fd;
    struct fake *f = fake_start(&fd, false, NSEC);

    ok(!machine_backend_up(vm, "virtio0", fd), "back end");
    pset(18, 1, 0);
    pset(18, 1, 3);
    ok(pget(0, 4) & BIT(VIRTIO_BLK_F_FLUSH), "legacy features");
    pset(4, 4, BIT(VIRTIO_BLK_F_SEG_MAX));
    pset(14, 2, 0);
    ok(pget(12, 2) == 256 && pget(8, 4) == 0, "queue size, no ring yet");
    memset(vm->ram + DESC, 0, 0x4000);
    avail_idx = 0;
    pset(8, 4, DESC >> 12);
    ok(pget(8, 4) == DESC >> 12, "ring address");
    pset(18, 1, 7);
    ok(dev->live && pget(20, 4) == NSEC, "live; configuration at 20 without MSI-X");
    ok(vm->page->route[dev->call0].flags == ABI_ROUTE_VALID &&
           vm->page->route[dev->call0].isr_bits == 1,
       "INTx route");
    submit();
    ok(completed(USED), "request served");
    vm->page->isr[dev->isr_slot].bits = 3;
    ok(pget(19, 1) == 3 && pget(19, 1) == 0, "ISR is read and cleared");
    machine_backend_failed(vm, "virtio0");
    ok(pget(18, 1) == 0x47, "given up: needs reset");
    ok(signalled(vm->call_fd[dev->call0 + 1]), "and the driver is told");
    fake_kill(f);
    pset(8, 4, 0);
    ok(pget(18, 1) == 0, "page 0 resets");
}

static void test_silent(void)
{
    int sv[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
        abort();
    dev->fe.timeout_ms = 50;
    ok(machine_backend_up(vm, "virtio0", sv[0]) < 0 && dev->fe.fd < 0, "silent back end refused");
    close(sv[1]);
    ok(machine_backend_up(vm, "nobody", dup(2)) == -ENOENT, "unknown id");
}

int main(void)
{
    int fd;
    struct fake *f;

    setup();
    ok(features_read() == 0, "no back end yet: nothing offered");
    f = fake_start(&fd, false, NSEC);
    ok(!machine_backend_up(vm, "virtio0", fd), "back end up");
    test_negotiation();
    test_restart(f);
    test_legacy();
    test_silent();
    return tap_end();
}
