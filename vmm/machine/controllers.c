/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the plan's storage controllers to functions on the bus. Must never look into a controller.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "vmm/machine/machine.h"

struct controller *machine_controller_find(struct machine *m, const char *id)
{
    for (unsigned i = 0; i < m->n_ctl; i++)
        if (!strcmp(m->ctl[i].plan->id, id))
            return &m->ctl[i];
    return NULL;
}

struct disk_link *machine_link_find(struct machine *m, const char *id)
{
    for (unsigned i = 0; i < m->n_ctl; i++) {
        struct disk_link *k = disk_link_find(&m->ctl[i], id);

        if (k)
            return k;
    }
    return NULL;
}

/* Firmware's name of a drive (Open Firmware paths, as SeaBIOS knows them). */
static void boot_add(struct machine *m, const struct controller *c)
{
    for (unsigned i = 0; i < PLAN_UNITS_MAX; i++) {
        const struct plan_unit *u = &c->plan->unit[i];
        char path[96];
        unsigned slot = c->pci.devfn >> 3, fn = c->pci.devfn & 7;

        if (!u->used || u->bootindex < 0)
            continue;
        if (c->plan->kind == CTL_IDE)
            snprintf(path, sizeof(path), "/pci@i0cf8/ide@%x,%x/drive@%x/disk@%x", slot, fn, i / 2, i % 2);
        else if (c->plan->kind == CTL_AHCI)
            snprintf(path, sizeof(path), fn ? "/pci@i0cf8/pci8086,2922@%x,%x/drive@%x/disk@0"
                                           : "/pci@i0cf8/pci8086,2922@%x%.0x/drive@%x/disk@0", slot, fn, i);
        else if (c->plan->kind == CTL_SCSI)
            snprintf(path, sizeof(path), "/pci@i0cf8/scsi@%x/channel@0/disk@%x,0",
                     machine_virtio_find(m, c->plan->id)->pci.devfn >> 3, i);
        else
            snprintf(path, sizeof(path), "/pci@i0cf8/pci8086,5845@%x/namespace@%x,0", slot, i + 1);
        machine_boot_add(m, u->bootindex, path);
    }
}

static int build(struct machine *m, unsigned index, char *err, size_t errlen)
{
    const struct plan_ctl *p = &m->vm->plan.ctl[index];
    struct vu_fe_region ram[2] = {
        {0, m->low, 0, m->vm->ram_fd},
        {PC_HIGH_BASE, m->high, m->low, m->vm->ram_fd},
    };
    int slot = p->pci_slot >= 0 ? p->pci_slot : pci_slot_free(&m->pci), r;
    struct controller_place at = {.slot = slot, .fn = p->pci_fn, .isr_slot = m->n_isr, .ram = ram,
                                  .n_ram = m->high ? 2 : 1};

    if (slot < 0) {
        snprintf(err, errlen, "%s: no PCI slot is free", p->id);
        return -ENOSPC;
    }
    at.gsi = machine_pirq_gsi(machine_pirq((unsigned)slot, 0));
    r = controller_add(&m->ctl[index], m->vm, &m->pci, index, &at, err, errlen);
    if (!r && p->kind == CTL_SCSI)
        r = machine_scsi_add(m, p, slot, err, errlen);
    if (r)
        return r;
    for (unsigned i = 0; i < controller_types[p->kind].lines; i++)
        if (!controller_types[p->kind].line_gsi[i])
            machine_intx_attach(m, &m->ctl[index].pci, m->n_isr + i);
    m->n_isr += controller_types[p->kind].lines;
    boot_add(m, &m->ctl[index]);
    return 0;
}

/* The machine page's numbers follow the plan's order, whichever is placed first. */
int machine_controllers_build(struct machine *m, bool placed, char *err, size_t errlen)
{
    int r = 0;

    m->n_ctl = m->vm->plan.n_ctl;
    for (unsigned i = 0; i < m->n_ctl && !r; i++)
        if ((m->vm->plan.ctl[i].pci_slot >= 0) == placed)
            r = build(m, i, err, errlen);
    return r;
}
