/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A back end's life as seen from the device in front of it: it comes, dies, comes back, or is given
 * up. The driver's state is here and goes on; a successor takes over the rings where they are.
 * Owns no process: it asks the supervisor.
 */
#include "vmm/machine/machine.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void requests_unwatch(struct virtio_dev *d)
{
    if (d->be_req_fd >= 0)
        ipc_loop_del(&d->vm->loop, d->be_req_fd);
    d->be_req_fd = -1;
}

void virtio_backend_gone(struct virtio_dev *d)
{
    requests_unwatch(d);
    vu_frontend_disconnect(&d->fe);
}

void virtio_backend_lost(struct virtio_dev *d, const char *what, int error)
{
    char why[96];

    snprintf(why, sizeof(why), "%s: %s", what, strerror(-error));
    virtio_backend_gone(d);
    vm_backend_broken(d->vm, d->id, why);
}

/* A new copy of the configuration space. A back end without one leaves what the plan said. */
static int config_refresh(struct virtio_dev *d)
{
    uint8_t now[VIRTIO_DEV_CONFIG] = {0};
    int r = vu_frontend_config_read(&d->fe, 0, now, d->type->config_len);

    if (r == -ENOTSUP)
        return 0;
    if (r)
        return r;
    if (memcmp(now, d->config, d->type->config_len)) {
        memcpy(d->config, now, d->type->config_len);
        d->generation++;
        virtio_config_interrupt(d);
    }
    return 0;
}

void virtio_backend_serve(struct virtio_dev *d)
{
    bool changed = false;
    int r;

    if (d->fe.fd < 0)
        return;
    r = vu_frontend_request_serve(&d->fe, &changed);
    if (!r && changed)
        r = config_refresh(d);
    if (r == -EPIPE || r == -ECONNRESET)
        requests_unwatch(d); /* dying: the supervisor is about to say how */
    else if (r)
        virtio_backend_lost(d, "its request", r);
}

static void request_ready(void *opaque, int fd, uint32_t events)
{
    (void)fd;
    (void)events;
    virtio_backend_serve(opaque);
}

static int requests_watch(struct virtio_dev *d)
{
    int fd = vu_frontend_request_fd(&d->fe), r;

    if (fd < 0)
        return 0;
    r = ipc_loop_add(&d->vm->loop, fd, EPOLLIN, request_ready, d);
    if (!r)
        d->be_req_fd = fd;
    return r;
}

void virtio_backend_start(struct virtio_dev *d)
{
    int r;

    if (d->fe.fd < 0)
        return; /* machine_backend_up does it */
    r = vu_frontend_start(&d->fe);
    if (r)
        virtio_backend_lost(d, "start", r);
    else
        virtio_backend_serve(d);
}

/* A device that was given up and is back: the driver never learned to reset, so the bit goes. */
static void revive(struct virtio_dev *d)
{
    if (!d->failed)
        return;
    d->failed = false;
    if (d->live)
        d->status &= (uint8_t)~VIRTIO_CONFIG_S_NEEDS_RESET;
}

int machine_backend_up(struct vm *vm, const char *id, int fd)
{
    struct virtio_dev *d = machine_virtio_find(machine_get(), id);
    struct disk_link *k = d ? NULL : machine_link_find(machine_get(), id);
    int r;

    (void)vm;
    if (k)
        return disk_link_up(k, fd);
    if (!d) {
        close(fd);
        return -ENOENT;
    }
    virtio_backend_gone(d);
    r = vu_frontend_connect(&d->fe, fd);
    if (r)
        return r;
    revive(d);
    if (!d->status) /* an offer a driver has seen does not change under it */
        d->offer = virtio_offer(d);
    r = config_refresh(d);
    if (!r)
        r = requests_watch(d);
    if (!r && d->live)
        r = vu_frontend_start(&d->fe);
    if (r)
        virtio_backend_gone(d);
    return r;
}

void machine_backend_down(struct vm *vm, const char *id)
{
    struct virtio_dev *d = machine_virtio_find(machine_get(), id);
    struct disk_link *k = machine_link_find(machine_get(), id);
    struct controller *c = machine_controller_find(machine_get(), id);

    (void)vm;
    if (c)
        controller_down(c);
    if (d)
        virtio_backend_gone(d);
    else if (k)
        disk_link_down(k);
}

void machine_device_ready(struct vm *vm, const char *id)
{
    struct controller *c = machine_controller_find(machine_get(), id);

    (void)vm;
    if (c)
        controller_ready(c);
}

/* A controller answers with all-ones from now on; a drive's requests end with an error. */
static void storage_failed(const char *id)
{
    struct disk_link *k = machine_link_find(machine_get(), id);
    struct controller *c = machine_controller_find(machine_get(), id);

    if (c)
        controller_failed(c);
    if (!k)
        return;
    disk_link_down(k);
    k->ctl->page->unit[k->unit].flags |= ABI_DEV_UNIT_FAILED;
    controller_units_publish(k->ctl);
}

/* The card's own language for a cable that was pulled out or put in. */
static void link_show(struct virtio_dev *d, bool up)
{
    uint8_t *status = &d->config[offsetof(struct virtio_net_config, status)];
    uint8_t now = (uint8_t)((*status & ~VIRTIO_NET_S_LINK_UP) | (up ? VIRTIO_NET_S_LINK_UP : 0));

    if (now == *status)
        return;
    *status = now;
    d->generation++;
    virtio_config_interrupt(d);
}

void machine_backend_failed(struct vm *vm, const char *id)
{
    struct virtio_dev *d = machine_virtio_find(machine_get(), id);

    (void)vm;
    if (!d) {
        storage_failed(id);
        return;
    }
    virtio_backend_gone(d);
    d->failed = true;
    if (d->type->id == VIRTIO_ID_NET)
        link_show(d, false);
    if (d->status & VIRTIO_CONFIG_S_DRIVER_OK)
        virtio_needs_reset(d, "its back end is gone for good");
}

/* ---- another back end for a running device
 * ----------------------------------------------------- */

int machine_backend_replace(struct vm *vm, const char *id, const char *new_id, int fd)
{
    struct virtio_dev *d = machine_virtio_find(machine_get(), id);
    int r, again;

    (void)vm;
    if (!d) {
        close(fd);
        return -ENOENT;
    }
    requests_unwatch(d);
    r = vu_frontend_replace(&d->fe, fd);
    if (!r) {
        snprintf(d->id, sizeof(d->id), "%s", new_id);
        revive(d);
        r = config_refresh(d);
    }
    again = requests_watch(d);
    return r ? r : again;
}

void machine_backend_unplug(struct vm *vm, const char *id)
{
    struct virtio_dev *d = machine_virtio_find(machine_get(), id);

    (void)vm;
    if (!d)
        return;
    if (d->live && vu_frontend_stop(&d->fe, false))
        log_warn("%s: the back end did not stop in an orderly way", d->id);
    virtio_backend_gone(d);
    link_show(d, false);
}
