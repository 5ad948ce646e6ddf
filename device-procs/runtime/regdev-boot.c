/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A register device's set-up from BOOT, its event sources, and the vmm's word about its drives. Opens
 * nothing itself; must never believe a number of the device page without its range.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "device-procs/runtime/regdev-internal.h"
#include "ipc/fds.h"

#define SECTORS_MAX (1ull << 48)

static struct regdev the_device; /* one per program */

static void disk_done(void *opaque, uint32_t cookie, bool ok)
{
    struct regdev_link *k = opaque;

    k->dev->ops->disk_done(k->dev, k->unit, cookie, ok);
}

static void unit_copy(struct regdev_unit *u, const struct abi_dev_unit *s)
{
    uint64_t sectors = __atomic_load_n(&s->sectors, __ATOMIC_RELAXED);

    u->flags = __atomic_load_n(&s->flags, __ATOMIC_RELAXED);
    u->media_seq = __atomic_load_n(&s->media_seq, __ATOMIC_RELAXED);
    u->sectors = sectors < SECTORS_MAX ? sectors : SECTORS_MAX;
}

bool regdev_units_look(struct regdev *d)
{
    uint32_t seq = __atomic_load_n(&d->page->units_seq, __ATOMIC_ACQUIRE);

    if (seq == d->units_seen)
        return false;
    d->units_seen = seq;
    for (unsigned i = 0; i < ABI_DEV_UNITS; i++) {
        unit_copy(&d->unit[i], &d->page->unit[i]);
        if (!d->link[i].there)
            continue;
        if (d->unit[i].flags & ABI_DEV_UNIT_FAILED)
            disklink_fail(&d->link[i].l);
        else
            disklink_revive(&d->link[i].l);
    }
    if (d->ops->units_changed && d->ready)
        d->ops->units_changed(d);
    return true;
}

/* #syscalls:device read */
static void doorbell_rung(void *opaque, int fd, uint32_t events)
{
    (void)events;
    ipc_eventfd_drain(fd);
    regdev_look(opaque);
}

static void link_rung(void *opaque, int fd, uint32_t events)
{
    struct regdev_link *k = opaque;
    struct regdev *d = k->dev;

    (void)events;
    ipc_eventfd_drain(fd);
    if (d->ready)
        regdev_step_begin(d);
    disklink_poll(&k->l);
    if (d->ready)
        regdev_step_end(d);
    else
        regdev_look(d);
}

static int page_map(struct regdev *d, int fd)
{
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    void *p;

    if (size < (off_t)sizeof(*d->page))
        return -EINVAL;
    p = mmap(NULL, sizeof(*d->page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    d->page = p;
    return d->page->magic == ABI_DEV_MAGIC && d->page->version == ABI_DEV_VERSION ? 0 : -EPROTO;
}

static int link_open(struct regdev *d, unsigned i, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    struct regdev_link *k = &d->link[i];
    int fd = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_LINK, i);
    int kick = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_LINK_KICK, i);
    int call = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_LINK_CALL, i), r;

    k->dev = d;
    k->unit = i;
    if (fd < 0)
        return 0;
    if (kick < 0 || call < 0)
        return -EINVAL;
    r = disklink_init(&k->l, fd, kick, call, disk_done, k);
    k->there = r == 0;
    return r ? r : ipc_loop_add(&d->proc->loop, call, EPOLLIN, link_rung, k);
}

static void names_take(struct regdev *d, const Ctl__DeviceConfig *c)
{
    for (size_t i = 0; i < c->n_unit; i++) {
        const Ctl__DeviceUnit *u = c->unit[i];

        if (u->index >= ABI_DEV_UNITS)
            continue;
        if (u->serial)
            memcpy(d->unit[u->index].serial, u->serial, strnlen(u->serial, 23));
        if (u->model)
            memcpy(d->unit[u->index].model, u->model, strnlen(u->model, 47));
    }
}

static int shared_map(struct regdev *d, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    const Ctl__DeviceConfig *c = boot->device;
    int r = page_map(d, devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_DEVICE_PAGE, 0));

    if (r == 0)
        r = guestram_init(&d->ram, devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_RAM, 0), c->ram_low,
                          c->ram_high, devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_CODEPAGE, 0));
    for (unsigned i = 0; i < ABI_DEV_UNITS && r == 0; i++)
        r = link_open(d, i, boot, fds, nfds);
    return r;
}

static int events_take(struct regdev *d, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    for (unsigned i = 0; i < REGDEV_CALLS_MAX; i++)
        d->call[i] = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_CALL, i);
    d->doorbell = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_KICK, 0);
    return d->doorbell < 0 ? -EINVAL
                           : ipc_loop_add(&d->proc->loop, d->doorbell, EPOLLIN, doorbell_rung, d);
}

/* Nothing of a predecessor that does not hold together is used: then the device is as after power-on. */
static int state_take(struct regdev *d, const int fd)
{
    const struct regdev_ops *o = d->ops;
    bool fresh;
    int r = devstate_init(&d->st, fd, o->kind, o->version, o->state, o->state_size, &fresh);

    if (r)
        return r;
    if (!fresh && !o->state_ok(d)) {
        log_error("the saved state contradicts itself: the device is reset");
        fresh = true;
    }
    if (fresh) {
        memset(o->state, 0, o->state_size);
        ((struct regdev_head *)o->state)->reset_seen = d->page->reset_seq;
        o->power_on(d);
    }
    return 0;
}

static int setup(struct devproc *p, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    struct regdev *d = &the_device;
    int r;

    d->proc = p;
    d->ops = p->opaque;
    d->units_seen = ~0u;
    if (!boot->device) {
        log_error("BOOT brings no configuration");
        return -EINVAL;
    }
    r = shared_map(d, boot, fds, nfds);
    if (r == 0)
        r = events_take(d, boot, fds, nfds);
    names_take(d, boot->device);
    if (r == 0) {
        regdev_units_look(d);
        r = state_take(d, devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_STATE, 0));
    }
    if (r == 0 && d->ops->setup)
        r = d->ops->setup(d, boot, fds, nfds);
    if (r)
        log_error("device set-up: %s", strerror(-r));
    return r;
}

/* Behind the filter: what the predecessor left unanswered. */
static int started(struct devproc *p)
{
    (void)p;
    regdev_look(&the_device);
    return 0;
}

int regdev_main(int argc, char **argv, struct regdev_ops *ops)
{
    ops->proc.setup = setup;
    ops->proc.started = started;
    return devproc_main(argc, argv, &ops->proc, ops);
}
