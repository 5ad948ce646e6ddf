/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storage controllers and the drives behind them: from -device, -hda, -cdrom and -drive if=ide to
 * plan.ctl[]. Must never open an image.
 */
#include <stdlib.h>
#include <string.h>
#include "vmm/config/disk.h"

/* A bus is one channel or port; units per bus, buses per controller. */
static const struct {
    const char *process; /* id of the first one's process; later ones are numbered */
    unsigned buses, units;
} shapes[CTL_KINDS] = {
    [CTL_IDE] = {"ide", 2, 2},
    [CTL_AHCI] = {"ahci", 6, 1},
    [CTL_NVME] = {"nvme", 1, 8},
    [CTL_SCSI] = {"scsi", 1, 8},
};

static int fail_dev(struct parse *c, const struct pend_device *dev, const char *fmt, const char *what)
{
    return parse_fail_at(c, dev->opt, dev->arg, fmt, what);
}

int controller_unit_take(struct parse *c, struct pend_device *dev)
{
    int i;

    if (!dev->backend[0])
        return dev->cd || (dev->kind == DEV_CTL && dev->ctl != CTL_NVME) ? 0 : fail_dev(c, dev, "%s", "drive property not set");
    i = disk_take(c, dev);
    if (i < 0)
        return -1;
    c->p->disk[i].behind_ctl = true;
    c->p->disk[i].readonly |= dev->cd;
    c->p->disk[i].share_rw = dev->share_rw;
    memcpy(dev->backend, c->p->disk[i].id, sizeof(dev->backend));
    return 0;
}

static struct plan_ctl *ctl_add(struct parse *c, enum plan_ctl_kind kind)
{
    struct plan *p = c->p;
    struct plan_ctl *k = &p->ctl[p->n_ctl];
    unsigned n = 0;

    if (p->n_ctl == PLAN_CTLS_MAX) {
        parse_fail_at(c, "-device", NULL, "too many storage controllers (limit %d)", PLAN_CTLS_MAX);
        return NULL;
    }
    for (unsigned i = 0; i < p->n_ctl; i++)
        n += p->ctl[i].kind == kind;
    memset(k, 0, sizeof(*k));
    k->kind = kind;
    k->pci_slot = -1;
    snprintf(k->id, sizeof(k->id), n ? "%s%u" : "%s", shapes[kind].process, n);
    p->n_ctl++;
    return k;
}

static bool is_q35(const struct parse *c)
{
    return !strcmp(c->p->machine, "q35");
}

/* The board's own controller, there when a drive needs it: the PIIX3's IDE function, or the ICH9's AHCI. */
static struct plan_ctl *board_ctl(struct parse *c)
{
    struct plan_ctl *k;

    for (unsigned i = 0; i < c->p->n_ctl; i++)
        if (c->p->ctl[i].builtin)
            return &c->p->ctl[i];
    k = ctl_add(c, is_q35(c) ? CTL_AHCI : CTL_IDE);
    if (k) {
        k->builtin = true;
        k->pci_slot = is_q35(c) ? 0x1f : 1;
        k->pci_fn = is_q35(c) ? 2 : 1;
        strcpy(k->qdev_id, "ide");
    }
    return k;
}

/* "ide.1": which controller, and which of its buses. */
static struct plan_ctl *bus_find(struct parse *c, const char *bus, unsigned *n)
{
    const char *dot = strrchr(bus, '.');
    size_t len = dot ? (size_t)(dot - bus) : strlen(bus);
    char *end = NULL;
    unsigned long v = dot ? strtoul(dot + 1, &end, 10) : 0;

    if (dot && (end == dot + 1 || *end))
        return NULL;
    *n = (unsigned)v;
    if (len == 3 && !strncmp(bus, "ide", 3) && v < (is_q35(c) ? 6 : 2))
        return board_ctl(c);
    for (unsigned i = 0; i < c->p->n_ctl; i++) {
        struct plan_ctl *k = &c->p->ctl[i];

        if (strlen(k->qdev_id) == len && !strncmp(k->qdev_id, bus, len) && v < shapes[k->kind].buses)
            return k;
    }
    return NULL;
}

static unsigned board_places(const struct plan_ctl *k)
{
    return shapes[k->kind].buses * shapes[k->kind].units;
}

static int unit_free(const struct plan_ctl *k, unsigned from, unsigned n)
{
    for (unsigned i = from; i < from + n && i < PLAN_UNITS_MAX; i++)
        if (!k->unit[i].used)
            return (int)i;
    return -1;
}

static struct plan_ctl *ctl_first(struct parse *c, enum plan_ctl_kind kind)
{
    for (unsigned i = 0; i < c->p->n_ctl; i++)
        if (c->p->ctl[i].kind == kind)
            return &c->p->ctl[i];
    return NULL;
}

/* A place on the named bus, or on the board's. -1: reported. */
static int unit_place(struct parse *c, const struct pend_device *dev, struct plan_ctl **k)
{
    unsigned bus = 0, per, at;
    int i;

    if (!dev->bus[0] && dev->ctl != CTL_IDE) {
        *k = ctl_first(c, dev->ctl);
        i = *k && dev->unit < PLAN_UNITS_MAX ? unit_free(*k, dev->unit >= 0 ? (unsigned)dev->unit : 0,
                                                         dev->unit >= 0 ? 1 : PLAN_UNITS_MAX) : -1;
        return i >= 0 ? i : fail_dev(c, dev, "no '%s' controller has a place for it", shapes[dev->ctl].process);
    }
    if (!dev->bus[0]) {
        *k = board_ctl(c);
        i = *k ? unit_free(*k, 0, board_places(*k)) : -1;
        return i >= 0 ? i : fail_dev(c, dev, "%s", "no free place on the IDE buses");
    }
    *k = bus_find(c, dev->bus, &bus);
    if (!*k)
        return fail_dev(c, dev, "Bus '%s' not found", dev->bus);
    if (dev->ctl == CTL_IDE ? (*k)->kind > CTL_AHCI : (*k)->kind != dev->ctl)
        return fail_dev(c, dev, "bus '%s' takes another kind of drive", dev->bus);
    per = shapes[(*k)->kind].units;
    if (dev->unit >= (int)per)
        return fail_dev(c, dev, "bus '%s' has no such unit", dev->bus);
    at = bus * per + (dev->unit >= 0 ? (unsigned)dev->unit : 0);
    i = unit_free(*k, at, dev->unit >= 0 ? 1 : per);
    return i >= 0 ? i : fail_dev(c, dev, "bus '%s': the place is taken", dev->bus);
}

static void unit_set(struct parse *c, struct plan_unit *u, const char *disk, bool cd)
{
    u->used = true;
    u->cd = cd;
    u->bootindex = -1;
    u->disk = disk[0] ? disk_find(c, disk) : -1;
    if (u->disk >= 0)
        memcpy(u->serial, c->p->disk[u->disk].serial, sizeof(u->serial));
}

static void unit_names(struct plan_unit *u, const struct pend_device *dev)
{
    u->bootindex = dev->bootindex;
    memcpy(u->qdev_id, dev->id, sizeof(u->qdev_id));
    memcpy(u->model, dev->name, sizeof(u->model));
    if (dev->serial[0])
        memcpy(u->serial, dev->serial, sizeof(u->serial));
}

static int unit_device(struct parse *c, const struct pend_device *dev)
{
    struct plan_ctl *k = NULL;
    int at = unit_place(c, dev, &k);
    struct plan_unit *u;

    if (at < 0)
        return -1;
    u = &k->unit[at];
    unit_set(c, u, dev->backend, dev->cd);
    unit_names(u, dev);
    if (u->disk >= 0)
        memcpy(c->p->disk[u->disk].qdev_id, dev->id, sizeof(dev->id));
    return 0;
}

static int ctl_device(struct parse *c, const struct pend_device *dev)
{
    struct plan_ctl *k = ctl_add(c, dev->ctl);

    if (!k)
        return -1;
    memcpy(k->qdev_id, dev->id[0] ? dev->id : k->id, sizeof(k->qdev_id));
    if (dev->id[0])
        memcpy(k->id, dev->id, sizeof(k->id));
    k->pci_slot = dev->slot;
    k->pci_fn = dev->fn;
    k->disable_legacy = dev->disable_legacy;
    k->disable_modern = dev->disable_modern;
    if (dev->ctl != CTL_NVME || !dev->backend[0])
        return 0;
    unit_set(c, &k->unit[0], dev->backend, false); /* its drive= is namespace 1 */
    unit_names(&k->unit[0], dev);
    return 0;
}

/* -hda and its kin: index n is the n-th place. */
static int drive_place(struct parse *c, const struct pend_drive *d)
{
    struct plan_ctl *k;

    if (d->iface != IF_IDE)
        return 0;
    k = board_ctl(c);
    if (!k)
        return -1;
    if (d->index >= (int)board_places(k))
        return parse_fail_at(c, "-drive", d->arg, "index=%d: the IDE buses have drives 0 to %u", d->index,
                             board_places(k) - 1);
    unit_set(c, &k->unit[d->index], d->id, d->cd);
    return 0;
}

int controllers_resolve(struct parse *c)
{
    int r = 0;

    for (unsigned i = 0; i < c->n_dev && !r; i++)
        if (c->dev[i].kind == DEV_CTL)
            r = ctl_device(c, &c->dev[i]);
    for (unsigned i = 0; i < PLAN_DISKS_MAX && !r; i++)
        if (c->drive[i].id[0])
            r = drive_place(c, &c->drive[i]);
    for (unsigned i = 0; i < c->n_empty && !r; i++)
        r = drive_place(c, &c->empty[i]);
    for (unsigned i = 0; i < c->n_dev && !r; i++)
        if (c->dev[i].kind == DEV_UNIT)
            r = unit_device(c, &c->dev[i]);
    return r;
}
