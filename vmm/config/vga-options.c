/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -vga and -device VGA: which graphics card the guest has. Must never know where it lies on the bus.
 */
#include <string.h>
#include "vmm/config/options.h"
#include "vmm/config/vga.h"

int vga_key_memory(struct parse *c, void *obj, const char *key, const char *val)
{
    struct pend_device *d = obj;
    uint64_t v;

    if (opt_number(c, key, val, 1, 64, &v))
        return -1;
    if (v & (v - 1))
        return parse_fail(c, "Parameter '%s' expects a power of two, not '%s'", key, val);
    d->vga_mib = (unsigned)v;
    return 0;
}

int vga_key_side(struct parse *c, void *obj, const char *key, const char *val)
{
    struct pend_device *d = obj;
    uint64_t v;

    if (opt_number(c, key, val, 64, 4095, &v))
        return -1;
    *(!strcmp(key, "xres") ? &d->vga_xres : &d->vga_yres) = (unsigned)v;
    return 0;
}

int vga_key_rom(struct parse *c, void *obj, const char *key, const char *val)
{
    struct pend_device *d = obj;

    d->has_romfile = true;
    return opt_copy(c, key, val, d->romfile, sizeof(d->romfile));
}

int vga_key_edid(struct parse *c, void *obj, const char *key, const char *val)
{
    struct pend_device *d = obj;
    bool on;

    if (opt_bool(c, key, val, &on))
        return -1;
    d->vga_no_edid = !on;
    return 0;
}

int set_vga(struct parse *c, const char *arg)
{
    if (!strcmp(arg, "help")) {
        fprintf(c->out, "none                 no graphic card\nstd                  standard VGA (default)\n");
        return 1;
    }
    if (strcmp(arg, "none") && strcmp(arg, "std"))
        return parse_fail(c, "VGA card '%s' is not built (available: none, std)", arg);
    c->vga_set = true;
    c->vga_std = !strcmp(arg, "std");
    return 0;
}

static void card_default(struct plan_vga *v)
{
    v->present = true;
    v->pci_slot = -1;
    v->mem_mib = 16;
    v->edid = true;
    v->xres = 1280;
    v->yres = 800;
    strcpy(v->romfile, PLAN_VGA_ROM);
}

static int card_add(struct parse *c, const struct pend_device *d)
{
    struct plan_vga *v = &c->p->vga;

    if (v->present)
        return parse_fail_at(c, d->opt, d->arg, "only one VGA card is possible%s",
                             c->vga_std ? " (-vga none leaves out the default one)" : "");
    card_default(v);
    strcpy(v->id, d->id);
    v->pci_slot = d->slot;
    if (d->vga_mib)
        v->mem_mib = d->vga_mib;
    v->edid = !d->vga_no_edid;
    if (d->has_romfile)
        strcpy(v->romfile, d->romfile);
    v->xres = d->vga_xres ? d->vga_xres : v->xres;
    v->yres = d->vga_yres ? d->vga_yres : v->yres;
    return 0;
}

/* The default ROM may be missing on this host, one that was asked for may not. */
static int rom_resolve(struct parse *c)
{
    struct plan_vga *v = &c->p->vga;

    v->rom = -1;
    if (!v->present || !v->romfile[0])
        return 0;
    v->rom = plan_rom_want(c->p, "-device VGA,romfile=", v->romfile);
    if (v->rom < 0)
        return parse_fail_at(c, "-device", "VGA", "too many ROM files");
    c->p->rom[v->rom].optional = !strcmp(v->romfile, PLAN_VGA_ROM);
    return 0;
}

/* -device VGA takes the place of the default card. */
int vga_resolve(struct parse *c)
{
    if (c->vga_set && c->vga_std)
        card_default(&c->p->vga);
    for (unsigned i = 0; i < c->n_dev; i++)
        if (c->dev[i].kind == DEV_VGA && card_add(c, &c->dev[i]))
            return -1;
    if (!c->vga_set && !c->p->vga.present && !c->p->nodefaults)
        card_default(&c->p->vga);
    return rom_resolve(c);
}
