/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can only be checked when the whole command line is known: defaults, references between
 * options, limits. Must never look at the host.
 */
#include <string.h>
#include "vmm/config/parse.h"
#include "vmm/config/vga.h"

static int check_accel(struct parse *c)
{
    if (c->kvm_asked && !c->tcg_asked)
        return parse_fail_at(c, "-accel", "kvm", "KVM is not used, CPUs are emulated (-accel tcg)");
    if (c->interp_asked && !c->tcg_asked)
        c->p->tb_size = 0;
    else if (!c->p->tb_size)
        c->p->tb_size = PLAN_TB_SIZE;
    return 0;
}

static int check_kernel(struct parse *c)
{
    if (c->p->flash[1].used && !c->p->flash[0].used)
        return parse_fail_at(c, "-drive", NULL, "if=pflash: unit 1 needs a unit 0 above it");
    if (c->p->flash[0].used && c->p->bios_rom >= 0)
        return parse_fail_at(c, "-bios", NULL, "there is firmware in if=pflash already");
    if (c->p->kernel[0] && (c->p->bios_rom >= 0 || c->p->flash[0].used))
        return parse_fail_at(c, c->p->bios_rom >= 0 ? "-bios" : "-drive if=pflash", NULL, "starting a kernel through firmware is not built; leave it out, or -kernel");
    if (c->p->kernel[0])
        return 0;
    if (c->append_set)
        return parse_fail_at(c, "-append", NULL, "only allowed with -kernel option");
    if (c->initrd_set)
        return parse_fail_at(c, "-initrd", NULL, "only allowed with -kernel option");
    if (c->p->bios_rom < 0 && !c->p->flash[0].used)
        c->p->bios_rom = plan_rom_want(c->p, "-bios", "bios-256k.bin");
    return 0;
}

/* Two devices in one slot, whoever named it. Slots 0 and 1 are the host bridge and the PIIX3. */
static int check_slot(struct parse *c, uint32_t *taken, int slot, const char *id)
{
    if (slot < 0)
        return 0;
    if (slot < 2 || *taken & 1u << slot)
        return parse_fail_at(c, "-device", NULL, "addr=0x%x of '%s': PCI slot is already in use",
                             slot, id);
    *taken |= 1u << slot;
    return 0;
}

static int check_slots(struct parse *c)
{
    uint32_t taken = 0;

    if (c->p->vga.present && check_slot(c, &taken, c->p->vga.pci_slot, c->p->vga.id))
        return -1;
    for (unsigned i = 0; i < c->p->n_disk; i++)
        if (check_slot(c, &taken, c->p->disk[i].pci_slot, c->p->disk[i].id))
            return -1;
    for (unsigned i = 0; i < c->p->n_ctl; i++)
        if (!c->p->ctl[i].builtin && check_slot(c, &taken, c->p->ctl[i].pci_slot, c->p->ctl[i].id))
            return -1;
    for (unsigned i = 0; i < c->p->n_net; i++)
        if (c->p->net[i].has_card && check_slot(c, &taken, c->p->net[i].pci_slot, c->p->net[i].id))
            return -1;
    return 0;
}

/* A drive's and a netdev's id also name their processes (info processes, device_restart). */
static int check_ids(struct parse *c)
{
    const struct plan *p = c->p;

    for (unsigned i = 0; i < p->n_ctl; i++) {
        for (unsigned k = 0; k < p->n_disk; k++)
            if (!strcmp(p->ctl[i].id, p->disk[k].id))
                return parse_fail_at(c, "-drive", NULL, "Duplicate ID '%s': a controller has it already",
                                     p->disk[k].id);
        for (unsigned k = 0; k < p->n_net; k++)
            if (!strcmp(p->ctl[i].id, p->net[k].id))
                return parse_fail_at(c, "-netdev", NULL, "Duplicate ID '%s': a controller has it already",
                                     p->net[k].id);
    }
    for (unsigned i = 0; i < p->n_disk; i++)
        for (unsigned k = 0; k < p->n_net; k++)
            if (!strcmp(p->disk[i].id, p->net[k].id))
                return parse_fail_at(c, "-netdev", NULL, "Duplicate ID '%s': a drive has it already",
                                     p->net[k].id);
    return 0;
}

/* One isa-debug-exit; its ports are checked against the chipset's when the machine is built. */
static int debug_exit_resolve(struct parse *c)
{
    for (unsigned i = 0; i < c->n_dev; i++) {
        const struct pend_device *d = &c->dev[i];

        if (d->kind != DEV_DEBUG_EXIT)
            continue;
        if (c->p->exit_ports)
            return parse_fail_at(c, d->opt, d->arg, "only one isa-debug-exit is possible");
        if (d->iobase + d->iosize > 0x10000)
            return parse_fail_at(c, d->opt, d->arg, "the ports end beyond 0xffff");
        c->p->exit_port = d->iobase;
        c->p->exit_ports = d->iosize;
    }
    return 0;
}

/* A process in the background has no terminal. */
static int check_daemonize(struct parse *c)
{
    if (!c->p->daemonize)
        return 0;
    if (c->p->nographic)
        return parse_fail_at(c, "-daemonize", NULL, "-nographic cannot be used with -daemonize");
    for (unsigned i = 0; i < c->p->n_char; i++)
        if (c->p->chardev[i].kind == CHAR_STDIO)
            return parse_fail_at(c, "-daemonize", NULL, "cannot use stdio with -daemonize");
    return 0;
}

int parse_resolve(struct parse *c)
{
    if (check_accel(c) || check_kernel(c))
        return -1;
    if (disk_resolve(c) || controllers_resolve(c) || net_resolve(c) || chardev_resolve(c) || debug_exit_resolve(c) ||
        vga_resolve(c))
        return -1;
    display_default(c);
    return check_slots(c) || check_ids(c) || check_daemonize(c) ? -1 : 0;
}
