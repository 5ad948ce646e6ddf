/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What firmware is told about the machine: memory and processors, boot order, menu and time-outs, option
 * ROMs, the user's items. Owns which item means what; the device itself is fwcfg.c and the cpu-worker.
 */
#include "vmm/machine/machine.h"
#include "vmm/machine/smbios.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CMOS_BOOT_ORDER3 0x38
#define CMOS_BOOT_ORDER12 0x3d
#define E820_RAM 1u
#define FILE_MAX (64u << 20)

/* ---- memory, processors
 * -------------------------------------------------------------------------- */
static void e820_put(uint8_t *p, uint64_t addr, uint64_t len)
{
    uint32_t type = E820_RAM;

    memcpy(p, &addr, 8);
    memcpy(p + 8, &len, 8);
    memcpy(p + 16, &type, 4);
}

static void machine_describe(struct machine *m)
{
    struct fwcfg *f = &m->fwcfg;
    const struct plan *p = &m->vm->plan;
    uint8_t e820[40];

    fwcfg_number(f, FWCFG_RAM_SIZE, m->vm->ram_size, 8);
    fwcfg_number(f, FWCFG_NOGRAPHIC, p->nographic, 2);
    fwcfg_number(f, FWCFG_NB_CPUS, p->smp, 2);
    fwcfg_number(f, FWCFG_MAX_CPUS, p->smp, 2);
    fwcfg_number(f, FWCFG_NUMA, 0, 8);
    fwcfg_number(f, FWCFG_IRQ0_OVERRIDE, 1, 4);
    e820_put(e820, 0, m->low);
    e820_put(e820 + 20, PC_HIGH_BASE, m->high);
    fwcfg_file_bytes(f, "etc/e820", e820, m->high ? 40 : 20);
    /* Per sleep state: bit 7 = offered, bits 0-6 = SLP_TYP. S1, S2 and S4 are not. */
    const uint8_t states[6] = {0x80, 0, 0, p->no_s3 ? 1 : 0x81, 0, 0x80};
    fwcfg_file_bytes(f, "etc/system-states", states, sizeof(states));
}

static void uuid_add(struct machine *m)
{
    uint8_t bytes[16] = {0};
    const char *s = m->vm->plan.uuid;

    for (unsigned i = 0; *s && i < 16; i++) {
        unsigned v = 0;

        s += *s == '-';
        sscanf(s, "%2x", &v);
        bytes[i] = (uint8_t)v;
        s += 2;
    }
    fwcfg_bytes(&m->fwcfg, FWCFG_UUID, bytes, sizeof(bytes));
}

/* ---- booting
 * ------------------------------------------------------------------------------------- */
void machine_boot_add(struct machine *m, int index, const char *path)
{
    struct machine_boot_entry *e = m->boot, *end = m->boot + m->n_boot;

    if (index < 0 || m->n_boot == PC_BOOT_MAX)
        return;
    while (e < end && e->index <= index)
        e++;
    memmove(e + 1, e, (size_t)(end - e) * sizeof(*e));
    e->index = index;
    snprintf(e->path, sizeof(e->path), "%s", path);
    m->n_boot++;
}

/* One path a line, and HALT where nothing else may be tried; the file ends with NUL. */
static void bootorder_add(struct machine *m)
{
    static char text[PC_BOOT_MAX * 100];
    size_t n = 0;

    for (unsigned i = 0; i < m->n_boot; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? "\n" : "", m->boot[i].path);
    if (m->vm->plan.boot.strict)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%sHALT", n ? "\n" : "");
    if (n)
        fwcfg_file_bytes(&m->fwcfg, "bootorder", text, (uint32_t)n + 1);
}

static void menu_add(struct machine *m)
{
    const struct plan_boot *b = &m->vm->plan.boot;
    uint16_t ms = (uint16_t)b->splash_ms;
    uint32_t fail = (uint32_t)b->reboot_ms;

    fwcfg_number(&m->fwcfg, FWCFG_BOOT_MENU, b->menu, 2);
    if (b->splash_ms >= 0)
        fwcfg_file_bytes(&m->fwcfg, "etc/boot-menu-wait", &ms, 2);
    if (b->reboot_given)
        fwcfg_file_bytes(&m->fwcfg, "etc/boot-fail-wait", &fail, 4);
}

static uint8_t letter_code(char c)
{
    return c == 'a' || c == 'b' ? 1 : c == 'c' ? 2 : c == 'd' ? 3 : c == 'n' ? 4 : 0;
}

/* The nibbles Bochs' and QEMU's firmware reads: first, second, third choice, and the floppy check. */
void firmware_cmos_set(struct machine *m)
{
    const struct plan *p = &m->vm->plan;
    const char *order = p->boot.order[0] ? p->boot.order : "cad";
    uint8_t code[3] = {0};

    if (m->starts++ == 0 && p->boot.once[0])
        order = p->boot.once;
    for (unsigned i = 0; i < 3 && order[i]; i++)
        code[i] = letter_code(order[i]);
    m->vm->page->cmos_board[CMOS_BOOT_ORDER12] = (uint8_t)(code[1] << 4 | code[0]);
    m->vm->page->cmos_board[CMOS_BOOT_ORDER3] = (uint8_t)(code[2] << 4 | p->no_fd_bootchk);
}

/* ---- files
 * --------------------------------------------------------------------------------------- */
/* #syscalls:vmm pread64 fstat */
static int file_add(struct machine *m, const char *name, const char *opt, const char *path, int fd, char *err,
                    size_t errlen)
{
    struct stat st;
    int e = fstat(fd, &st) ? -errno : 0;
    uint8_t *p;

    if (!e && (uint64_t)st.st_size > FILE_MAX)
        e = -EFBIG;
    if (!e && fwcfg_has_file(&m->fwcfg, name))
        e = -EEXIST;
    p = e ? NULL : fwcfg_file(&m->fwcfg, name, (uint32_t)st.st_size, 0);
    if (!e)
        e = !p ? m->fwcfg.error : pread(fd, p, (size_t)st.st_size, 0) == st.st_size ? 0 : -EIO;
    if (e)
        snprintf(err, errlen, "%s%s: %s", opt, path, strerror(-e));
    return e;
}

static int option_roms_add(struct machine *m, char *err, size_t errlen)
{
    const struct plan *p = &m->vm->plan;
    int e = 0;

    for (unsigned i = 0; i < p->n_option_rom && !e; i++) {
        const struct plan_rom *r = &p->rom[p->option_rom[i]];
        const char *base = strrchr(r->path, '/');
        char name[FWCFG_NAME_MAX];

        snprintf(name, sizeof(name), "genroms/%.47s", base ? base + 1 : r->path);
        e = file_add(m, name, "-option-rom ", r->path, r->fd, err, errlen);
    }
    return e;
}

static int user_items_add(struct machine *m, char *err, size_t errlen)
{
    const struct plan *p = &m->vm->plan;
    int e = 0;

    for (unsigned i = 0; i < p->n_fwcfg && !e; i++) {
        const struct plan_fwcfg *f = &p->fwcfg[i];

        if (f->file[0]) {
            e = file_add(m, f->name, "-fw_cfg ", f->name, f->fd, err, errlen);
        } else if (fwcfg_has_file(&m->fwcfg, f->name)) {
            snprintf(err, errlen, "-fw_cfg %s: the machine has an item of this name already", f->name);
            e = -EEXIST;
        } else {
            fwcfg_file_bytes(&m->fwcfg, f->name, f->string, (uint32_t)strlen(f->string));
        }
    }
    return e;
}

static int splash_add(struct machine *m, char *err, size_t errlen)
{
    const struct plan_boot *b = &m->vm->plan.boot;
    uint8_t head[2] = {0};
    bool jpeg;

    if (!b->splash[0])
        return 0;
    if (pread(b->splash_fd, head, 2, 0) != 2)
        head[0] = 0;
    jpeg = head[0] == 0xff && head[1] == 0xd8;
    if (!jpeg && memcmp(head, "BM", 2)) {
        snprintf(err, errlen, "-boot splash=%s: neither a JPEG nor a BMP file", b->splash);
        return -EINVAL;
    }
    return file_add(m, jpeg ? "bootsplash.jpg" : "bootsplash.bmp", "-boot splash=", b->splash, b->splash_fd,
                    err, errlen);
}

/* Firmware puts the tables into memory and their address into the entry point. */
static void smbios_add(struct machine *m)
{
    static struct smbios_tables t;
    uint8_t anchor[SMBIOS_ANCHOR_LEN];

    smbios_build(&t, &m->vm->plan, m->low, m->high);
    if (!t.len)
        return;
    smbios_anchor(&t, 0, anchor);
    fwcfg_file_bytes(&m->fwcfg, "etc/smbios/smbios-tables", t.buf, (uint32_t)t.len);
    fwcfg_file_bytes(&m->fwcfg, "etc/smbios/smbios-anchor", anchor, sizeof(anchor));
}

int firmware_config_build(struct machine *m, char *err, size_t errlen)
{
    int e;

    fwcfg_init(&m->fwcfg, m->vm);
    machine_describe(m);
    uuid_add(m);
    firmware_acpi_build(m);
    smbios_add(m);
    bootorder_add(m);
    menu_add(m);
    e = option_roms_add(m, err, errlen);
    e = e ? e : splash_add(m, err, errlen);
    e = e ? e : user_items_add(m, err, errlen);
    if (e)
        return e;
    e = fwcfg_finish(&m->fwcfg);
    if (e)
        snprintf(err, errlen, "firmware configuration: %s", strerror(-e));
    return e;
}
