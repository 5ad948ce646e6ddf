/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vhost-user connection behind a disk link: the vmm is its front end, so the in-flight journal and the
 * reconnect are the same as for a virtio disk, while the ring is driven by the controller's process.
 * Must never touch a ring.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include "ipc/memfd.h"
#include "vmm/frontend/controller.h"

#define BIT(n) (1ull << (n))
#define LINK_FEATURES                                                                              \
    (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_BLK_F_FLUSH) |        \
     BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES) | BIT(VIRTIO_BLK_F_RO))

static void *link_memory(void *opaque, uint64_t gpa, uint64_t len)
{
    struct disk_link *k = opaque;
    uint64_t off = gpa - ABI_LINK_GPA;

    return gpa >= ABI_LINK_GPA && off < sizeof(*k->shm) && len <= sizeof(*k->shm) - off
               ? (uint8_t *)k->shm + off
               : NULL;
}

static void queue_describe(struct disk_link *k)
{
    struct vu_fe_queue *q = &k->fe.q[0];

    q->enabled = true;
    q->size = ABI_LINK_TAGS;
    q->desc_gpa = ABI_LINK_GPA + offsetof(struct abi_disk_link, desc);
    q->avail_gpa = ABI_LINK_GPA + offsetof(struct abi_disk_link, avail);
    q->used_gpa = ABI_LINK_GPA + offsetof(struct abi_disk_link, used);
    q->kick_fd = k->kick;
    q->call_fd = k->call;
}

static int link_open(struct disk_link *k)
{
    k->fd = ipc_memfd_create("disk-link", sizeof(struct abi_disk_link), IPC_SEALS_SIZE);
    if (k->fd < 0)
        return k->fd;
    k->shm = mmap(NULL, sizeof(*k->shm), PROT_READ | PROT_WRITE, MAP_SHARED, k->fd, 0);
    if (k->shm == MAP_FAILED)
        return -errno;
    k->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    k->call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return k->kick < 0 || k->call < 0 ? -EMFILE : 0;
}

int disk_link_build(struct disk_link *k, struct controller *c, unsigned unit,
                    const struct controller_place *at)
{
    const struct plan_unit *u = &c->plan->unit[unit];
    struct vu_fe_region r[VU_FE_REGIONS];
    struct vm_link *out = &c->vm->ctl[c->index].link[unit];
    int err;

    *k = (struct disk_link){.ctl = c, .unit = unit, .fd = -1, .kick = -1, .call = -1, .be_req_fd = -1};
    *out = (struct vm_link){-1, -1, -1};
    if (!u->used || u->disk < 0)
        return 0;
    k->disk = &c->vm->plan.disk[u->disk];
    vu_frontend_init(&k->fe, k->disk->id, 1);
    err = link_open(k);
    if (err)
        return err;
    memcpy(r, at->ram, at->n_ram * sizeof(r[0]));
    r[at->n_ram] = (struct vu_fe_region){ABI_LINK_GPA, sizeof(struct abi_disk_link), 0, k->fd};
    vu_frontend_set_memory(&k->fe, r, at->n_ram + 1, link_memory, k);
    queue_describe(k);
    *out = (struct vm_link){k->fd, k->kick, k->call};
    return 0;
}

struct disk_link *disk_link_find(struct controller *c, const char *id)
{
    for (unsigned i = 0; i < PLAN_UNITS_MAX; i++)
        if (c->link[i].disk && !strcmp(c->link[i].disk->id, id))
            return &c->link[i];
    return NULL;
}

static void requests_unwatch(struct disk_link *k)
{
    if (k->be_req_fd >= 0)
        ipc_loop_del(&k->ctl->vm->loop, k->be_req_fd);
    k->be_req_fd = -1;
}

void disk_link_down(struct disk_link *k)
{
    requests_unwatch(k);
    vu_frontend_disconnect(&k->fe);
}

static int capacity_read(struct disk_link *k)
{
    uint64_t sectors = 0;
    int r = vu_frontend_config_read(&k->fe, 0, &sectors, sizeof(sectors));
    struct abi_dev_unit *u = &k->ctl->page->unit[k->unit];

    if (r)
        return r;
    if (u->sectors != sectors || !(u->flags & ABI_DEV_UNIT_MEDIUM))
        u->media_seq++;
    u->sectors = sectors;
    u->flags = (u->flags & ~ABI_DEV_UNIT_FAILED) | ABI_DEV_UNIT_MEDIUM;
    controller_units_publish(k->ctl);
    return 0;
}

static void request_ready(void *opaque, int fd, uint32_t events)
{
    struct disk_link *k = opaque;
    bool changed = false;
    int r = vu_frontend_request_serve(&k->fe, &changed);

    (void)fd;
    (void)events;
    if (!r && changed)
        r = capacity_read(k);
    if (r == -EPIPE || r == -ECONNRESET)
        requests_unwatch(k);
    else if (r)
        vm_backend_broken(k->ctl->vm, k->disk->id, strerror(-r));
}

static int requests_watch(struct disk_link *k)
{
    int fd = vu_frontend_request_fd(&k->fe);
    int r = fd < 0 ? 0 : ipc_loop_add(&k->ctl->vm->loop, fd, EPOLLIN, request_ready, k);

    if (fd >= 0 && !r)
        k->be_req_fd = fd;
    return r;
}

int disk_link_up(struct disk_link *k, int fd)
{
    int r;

    disk_link_down(k);
    r = vu_frontend_connect(&k->fe, fd);
    if (r)
        return r;
    if (!k->fe.acked)
        k->fe.acked = k->fe.be_features & LINK_FEATURES;
    r = requests_watch(k);
    if (!r)
        r = vu_frontend_start(&k->fe);
    if (!r)
        r = capacity_read(k);
    if (r)
        disk_link_down(k);
    return r;
}

void disk_link_drain(struct disk_link *k)
{
    int r;

    if (!k->disk || k->fe.fd < 0)
        return;
    r = vu_frontend_stop(&k->fe, false);
    if (!r)
        r = vu_frontend_start(&k->fe);
    if (r)
        vm_backend_broken(k->ctl->vm, k->disk->id, strerror(-r));
}
