/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firmware and ROM files: into board memory, and the processor to the reset vector. The files were
 * opened by plan_open_files. Must never look into them: what they do is the guest's business.
 */
#include "vmm/machine/machine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <x86intrin.h>

#define BIOS_MAX (16u << 20)
#define ROM_MAX  (16u << 20)

bool machine_direct(const struct machine *m)
{
    return m->vm->plan.kernel[0] && m->vm->plan.bios_rom < 0 && !m->vm->plan.flash[0].used;
}

/* #syscalls:vmm pread64 fstat */
static int file_read(int fd, uint8_t *buf, uint64_t size)
{
    for (uint64_t at = 0; at < size;) {
        ssize_t n = pread(fd, buf + at, size - at, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -EIO;
        at += (uint64_t)n;
    }
    return 0;
}

static int rom_fail(const struct plan_rom *r, int e, char *err, size_t errlen)
{
    snprintf(err, errlen, "%s %s: %s", r->opt, r->path, e == -EFBIG ? "larger than 16 MiB" : strerror(-e));
    return e;
}

int machine_rom_load(struct machine *m, unsigned index, struct machine_rom *rom, char *err, size_t errlen)
{
    const struct plan_rom *r = &m->vm->plan.rom[index];
    struct stat st;
    int e = fstat(r->fd, &st) ? -errno : 0;

    if (!e && (!st.st_size || st.st_size > ROM_MAX))
        e = st.st_size ? -EFBIG : -EIO;
    if (e)
        return rom_fail(r, e, err, errlen);
    rom->size = ((uint32_t)st.st_size + 4095) & ~4095u;
    rom->off = vm_board_alloc(m->vm, rom->size, 4096);
    e = rom->off < 0 ? -ENOSPC : file_read(r->fd, m->vm->board + rom->off, (uint64_t)st.st_size);
    return e ? rom_fail(r, e, err, errlen) : 0;
}

int machine_rom_fit(struct machine *m, int index, uint64_t *at, uint32_t *size, char *err, size_t errlen)
{
    const struct plan_rom *r = &m->vm->plan.rom[index];
    uint32_t room = 4096;
    struct stat st;
    int64_t off;
    int e = fstat(r->fd, &st) ? -errno : 0;

    if (!e && (!st.st_size || st.st_size > ROM_MAX))
        e = st.st_size ? -EFBIG : -EIO;
    while (!e && room < (uint64_t)st.st_size)
        room *= 2;
    off = e ? -1 : vm_board_alloc(m->vm, room, 4096);
    if (!e)
        e = off < 0 ? -ENOSPC : file_read(r->fd, m->vm->board + off, (uint64_t)st.st_size);
    if (e)
        return rom_fail(r, e, err, errlen);
    *at = (uint64_t)off;
    *size = room;
    return 0;
}

int machine_rom_bar(struct machine *m, struct pci_dev *d, unsigned index, char *err, size_t errlen)
{
    uint64_t off;
    uint32_t size;
    int e = machine_rom_fit(m, (int)index, &off, &size, err, errlen);

    if (!e)
        pci_dev_rom(d, off, size);
    return e;
}

/* A BIOS ends at 4 GiB, so its size must be whole pages. */
int firmware_build(struct machine *m, char *err, size_t errlen)
{
    int index = m->vm->plan.bios_rom;
    struct stat st;

    if (m->vm->plan.flash[0].used) {
        int r = flash_build(m, err, errlen);

        m->bios = m->flash[0]; /* where the legacy area shows its end */
        return r;
    }
    if (index < 0) {
        snprintf(err, errlen, "there is neither firmware nor a kernel to start");
        return -EINVAL;
    }
    if (!fstat(m->vm->plan.rom[index].fd, &st) && (st.st_size & 0xffff || st.st_size > BIOS_MAX)) {
        snprintf(err, errlen, "-bios %s: the size of a BIOS is a multiple of 64 KiB, up to 16 MiB",
                 m->vm->plan.rom[index].path);
        return -EINVAL;
    }
    return machine_rom_load(m, (unsigned)index, &m->bios, err, errlen);
}

static uint32_t signature(const struct abi_cpu_model *m)
{
    uint32_t family = m->family > 15 ? 15 : m->family;

    return (m->family - family) << 20 | (m->model >> 4) << 16 | family << 8 | (m->model & 15) << 4 |
           m->stepping;
}

/* Intel SDM volume 3, table 9-1: 16 bytes below 4 GiB, with the caches off. */
void firmware_vcpu_reset(struct vm *vm, struct abi_vcpu_state *v)
{
    linux_vcpu_reset(v);
    v->rip = 0xfff0;
    v->cr0 = 0x60000010;
    v->fcw = 0x40;
    v->ftw = 0x5555;
    v->mtrr_def_type = 0;
    memset(v->mtrr_fixed, 0, sizeof(v->mtrr_fixed));
    for (unsigned i = ABI_ES; i <= ABI_GS; i++)
        v->seg[i] = (struct abi_segment){.attr = 0x93, .limit = 0xffff};
    v->seg[ABI_CS] = (struct abi_segment){.selector = 0xf000, .base = 0xffff0000u, .attr = 0x9b, .limit = 0xffff};
    v->gdtr.limit = v->idtr.limit = 0xffff;
    v->gpr[2] = signature(&vm->page->cpu); /* EDX */
}
