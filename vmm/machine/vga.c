/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The standard VGA card as a PCI function, its registers at power-on, and, when a kernel is started
 * without firmware, the text mode that a video BIOS would have left. Owns the card's place on the bus and
 * its EDID; must never look at what the guest draws. References: VESA E-EDID 1.4; IBM PS/2 hardware
 * interface technical reference, mode 3.
 */
#include "vmm/machine/machine.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include "ipc/log.h"

#define FONT_HEIGHT 16u
#define BAR_REGISTERS 0x1000u

static int vga_bar_map(struct pci_dev *d, unsigned bar, uint64_t base, struct addr_map *m)
{
    if (bar == 0)
        return addr_map_mem_add(m, base, d->bar[0].size, ABI_MAP_RAM, ABI_SLOT_DISPLAY, ABI_DISPLAY_VRAM);
    return addr_map_mem_add(m, base, BAR_REGISTERS, ABI_MAP_VGA, 1, 0);
}
static const struct pci_ops vga_ops = {.bar_map = vga_bar_map};

int vga_build(struct machine *m, char *err, size_t errlen)
{
    const struct plan_vga *p = &m->vm->plan.vga;
    struct pci_dev *d = &m->vga;
    int slot = p->pci_slot >= 0 ? p->pci_slot : 2;

    if (!p->present)
        return 0;
    pci_dev_init(d, &vga_ops, m, "VGA controller", 0x1234, 0x1111, 0x030000, 2);
    pci_dev_subsystem(d, 0x1af4, 0x1100);
    d->id = p->id;
    pci_dev_bar(d, 0, PCI_BAR_MEM32, true, p->mem_mib << 20);
    pci_dev_bar(d, 2, PCI_BAR_MEM32, false, BAR_REGISTERS);
    if (p->rom >= 0 && m->vm->plan.rom[p->rom].fd >= 0) {
        int e = machine_rom_bar(m, d, (unsigned)p->rom, err, errlen);
        if (e)
            return e;
    }
    if (pci_bus_find(&m->pci, (uint8_t)(slot << 3)))
        slot = pci_slot_free(&m->pci);
    int r = slot < 0 ? -ENOSPC : pci_bus_add(&m->pci, d, (uint8_t)(slot << 3));
    if (r)
        snprintf(err, errlen, "VGA: no room for it on the bus: %s", strerror(-r));
    if (!r && p->edid)
        edid_build(m->vm->display->edid, p->xres, p->yres);
    return r;
}

/* ---- what a video BIOS would do ---- */

/* The 8 by 16 font lies in the video BIOS as 256 glyphs in a row; the letter A tells where. */
static const uint8_t letter_a[FONT_HEIGHT] = {0, 0, 0x10, 0x38, 0x6c, 0xc6, 0xc6, 0xfe, 0xc6, 0xc6, 0xc6, 0xc6};

static bool font_read(const struct machine *m, uint8_t font[256 * FONT_HEIGHT])
{
    const uint8_t *rom = m->vm->board + m->vga.rom_off, *a;
    size_t n = m->vga.rom_size;

    a = n ? memmem(rom, n, letter_a, sizeof(letter_a)) : NULL;
    if (!a || a - rom < 'A' * (int)FONT_HEIGHT || a - rom + (256 - 'A') * (int)FONT_HEIGHT > (ptrdiff_t)n)
        return false;
    memcpy(font, a - 'A' * (size_t)FONT_HEIGHT, 256 * (size_t)FONT_HEIGHT);
    return true;
}

/* Entry n of the first 64: two bits for each colour, as the attribute controller names them. */
static void palette_write(uint8_t *dac)
{
    for (unsigned n = 0; n < 64; n++) {
        dac[3 * n] = (uint8_t)((n >> 2 & 1) * 42 + (n >> 5 & 1) * 21);
        dac[3 * n + 1] = (uint8_t)((n >> 1 & 1) * 42 + (n >> 4 & 1) * 21);
        dac[3 * n + 2] = (uint8_t)((n & 1) * 42 + (n >> 3 & 1) * 21);
    }
}

static void mode3_registers(struct abi_vga *r)
{
    static const uint8_t seq[5] = {3, 0, 3, 0, 2}, gc[9] = {0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff};
    static const uint8_t crtc[25] = {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0,
                                     0, 0, 0, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff};
    static const uint8_t attr[21] = {0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f,
                                     0x0c, 0, 0x0f, 8, 0};

    r->misc = 0x67;
    memcpy(r->seq, seq, sizeof(seq));
    memcpy(r->gc, gc, sizeof(gc));
    memcpy(r->crtc, crtc, sizeof(crtc));
    memcpy(r->attr, attr, sizeof(attr));
    r->attr_index = 0x20; /* the palette is not the CPU's: the screen is on */
    r->dac_mask = 0xff;
    palette_write(r->dac);
}

/* Blanks, light grey on black, and the font in plane 2, 32 bytes for each glyph. */
static void mode3_memory(struct abi_display *d, const uint8_t *font)
{
    uint8_t *planes = (uint8_t *)d + ABI_DISPLAY_VRAM;

    for (uint32_t n = 0; n < 0x10000; n++) {
        planes[4 * n] = ' ';
        planes[4 * n + 1] = 7;
        planes[4 * n + 2] = planes[4 * n + 3] = 0;
    }
    for (unsigned glyph = 0; glyph < 256; glyph++)
        for (unsigned y = 0; y < FONT_HEIGHT; y++)
            planes[4 * (glyph * 32 + y) + 2] = font[glyph * FONT_HEIGHT + y];
}

void vga_firmware_state(struct machine *m)
{
    static uint8_t font[256 * FONT_HEIGHT];
    static bool told;

    if (!m->vm->plan.vga.present)
        return;
    if (!font_read(m, font) && !told) {
        told = true;
        log_warn("VGA: no font in " PLAN_VGA_ROM ": text of a kernel started with -kernel stays blank");
    }
    mode3_registers(&m->vm->display->vga);
    mode3_memory(m->vm->display, font);
}

/* The vCPUs are parked; the worker derives the rest when it is told to reset. */
void vga_power_on(struct machine *m)
{
    struct abi_display *d = m->vm->display;

    if (!m->vm->plan.vga.present)
        return;
    memset(&d->vga, 0, sizeof(d->vga));
    d->vga.vbe[ABI_VBE_ID] = 0xb0c5;
    d->vga.vbe[ABI_VBE_BPP] = 8;
}
