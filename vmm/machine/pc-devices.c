/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the plan's disks and network cards to functions on the bus. Cards come first, then disks,
 * from slot 3 on, as on QEMU's `pc`; addresses the user chose are taken before any is given out.
 */
#include "vmm/machine/machine.h"

#include <linux/pci_regs.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <string.h>

static void *guest_memory(void *opaque, uint64_t gpa, uint64_t len)
{
    return machine_ram(opaque, gpa, len);
}

void *virtio_guest_memory(struct virtio_dev *d, uint64_t gpa, uint64_t len)
{
    (void)d;
    return machine_ram(machine_get(), gpa, len);
}

struct virtio_dev *machine_virtio_find(struct machine *m, const char *id)
{
    for (unsigned i = 0; i < m->n_virtio; i++)
        if (!strcmp(m->virtio[i].id, id))
            return &m->virtio[i];
    return NULL;
}

static void memory_give(struct machine *m, struct virtio_dev *d)
{
    struct vu_fe_region r[2] = {
        {0, m->low, 0, m->vm->ram_fd},
        {PC_HIGH_BASE, m->high, m->low, m->vm->ram_fd},
    };

    vu_frontend_set_memory(&d->fe, r, m->high ? 2 : 1, guest_memory, m);
}

static int device_add(struct machine *m, const struct virtio_type *type, const char *id,
                      const char *qdev_id, struct virtio_place *at, struct virtio_dev **out,
                      char *err, size_t errlen)
{
    struct virtio_dev *d = &m->virtio[m->n_virtio];
    int r;

    at->isr_slot = m->n_isr++;
    for (unsigned slot = 0; slot < 4; slot++)
        at->gsi[slot] = machine_pirq_gsi(machine_pirq(slot, 0));
    r = virtio_pci_add(d, m->vm, &m->pci, type, id, qdev_id, at, err, errlen);
    if (r)
        return r;
    m->n_virtio++;
    memory_give(m, d);
    machine_intx_attach(m, &d->pci, d->isr_slot);
    *out = d;
    return 0;
}

/* The firmware's name of a device: form has its slot, and its function where that is not 0. */
static void boot_add(struct machine *m, int bootindex, const char *form, const struct pci_dev *d)
{
    const char *at = strstr(form, "%x");
    char place[16], path[96];

    snprintf(place, sizeof(place), d->devfn & 7 ? "%x,%x" : "%x", d->devfn >> 3, d->devfn & 7);
    snprintf(path, sizeof(path), "%.*s%s%s", (int)(at - form), form, place, at + 2);
    machine_boot_add(m, bootindex, path);
}

static int net_add(struct machine *m, const struct plan_net *n, char *err, size_t errlen)
{
    struct virtio_place at = {.slot = n->pci_slot, .fn = n->pci_fn, .disable_legacy = n->disable_legacy,
                              .disable_modern = n->disable_modern};
    struct virtio_dev *d;
    int r = n->rom < 0 ? 0 : machine_rom_fit(m, n->rom, &at.rom_off, &at.rom_size, err, errlen);

    if (!r)
        r = device_add(m, &virtio_type_net, n->id, n->qdev_id, &at, &d, err, errlen);
    if (r)
        return r;
    boot_add(m, n->bootindex, "/pci@i0cf8/ethernet@%x/ethernet-phy@0", &d->pci);
    memcpy(d->config, n->mac, sizeof(n->mac));
    d->config[offsetof(struct virtio_net_config, status)] = n->link_down ? 0 : VIRTIO_NET_S_LINK_UP;
    return 0;
}

static int disk_add(struct machine *m, const struct plan_disk *p, char *err, size_t errlen)
{
    struct virtio_place at = {.slot = p->pci_slot, .fn = p->pci_fn, .disable_legacy = p->disable_legacy,
                              .disable_modern = p->disable_modern};
    struct virtio_dev *d;
    int r = p->rom < 0 ? 0 : machine_rom_fit(m, p->rom, &at.rom_off, &at.rom_size, err, errlen);

    if (!r)
        r = device_add(m, &virtio_type_blk, p->id, p->qdev_id, &at, &d, err, errlen);
    if (!r)
        boot_add(m, p->bootindex, "/pci@i0cf8/scsi@%x/disk@0,0", &d->pci);
    return r;
}

int machine_scsi_add(struct machine *m, const struct plan_ctl *p, int slot, char *err, size_t errlen)
{
    struct virtio_place at = {.slot = slot, .fn = p->pci_fn, .disable_legacy = p->disable_legacy,
                              .disable_modern = p->disable_modern};
    struct virtio_dev *d;

    return device_add(m, &virtio_type_scsi, p->id, p->qdev_id, &at, &d, err, errlen);
}

static int pass(struct machine *m, bool placed, char *err, size_t errlen)
{
    const struct plan *p = &m->vm->plan;
    int r = 0;

    for (unsigned i = 0; i < p->n_net && !r; i++)
        if (p->net[i].has_card && (p->net[i].pci_slot >= 0) == placed)
            r = net_add(m, &p->net[i], err, errlen);
    for (unsigned i = 0; i < p->n_disk && !r; i++)
        if (p->disk[i].used && !p->disk[i].behind_ctl && (p->disk[i].pci_slot >= 0) == placed)
            r = disk_add(m, &p->disk[i], err, errlen);
    return r ? r : machine_controllers_build(m, placed, err, errlen);
}

int machine_devices_build(struct machine *m, char *err, size_t errlen)
{
    int r = pass(m, true, err, errlen);

    if (!r)
        r = vga_build(m, err, errlen);
    return r ? r : pass(m, false, err, errlen);
}
