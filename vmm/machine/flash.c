/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flash chips (-drive if=pflash): their files into board memory at start, changed sectors back into the file.
 * A read-only chip is ROM. The command interface is the cpu-worker's, which has no file; the vmm has the file
 * and never looks into it.
 */
#include "vmm/machine/machine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLASH_MAX ((uint64_t)ABI_FLASH_SECTORS * ABI_FLASH_SECTOR)

/* #syscalls:vmm pread64 fstat */
static int chip_load(struct machine *m, unsigned unit)
{
    const struct plan_flash *p = &m->vm->plan.flash[unit];
    struct machine_rom *rom = &m->flash[unit];
    struct stat st;

    if (fstat(p->fd, &st))
        return -errno;
    if (!st.st_size || st.st_size % ABI_FLASH_SECTOR || (uint64_t)st.st_size > FLASH_MAX)
        return -ERANGE;
    rom->size = (uint32_t)st.st_size;
    rom->off = vm_board_alloc(m->vm, rom->size, 4096);
    if (rom->off < 0)
        return -ENOSPC;
    for (uint64_t at = 0; at < rom->size;) {
        ssize_t n = pread(p->fd, m->vm->board + rom->off + at, rom->size - at, (off_t)at);

        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        at += (uint64_t)n;
    }
    return 0;
}

int flash_build(struct machine *m, char *err, size_t errlen)
{
    for (unsigned unit = 0; unit < ABI_FLASH_MAX; unit++) {
        const struct plan_flash *p = &m->vm->plan.flash[unit];
        struct abi_flash *f = &m->vm->page->flash[unit];
        int r;

        if (!p->used)
            continue;
        r = chip_load(m, unit);
        if (r) {
            snprintf(err, errlen, "-drive if=pflash,unit=%u: %s: %s", unit, p->file,
                     r == -ERANGE ? "the size of a flash chip is a multiple of 4 KiB, up to 16 MiB" : strerror(-r));
            return r;
        }
        f->off = (uint64_t)m->flash[unit].off;
        f->size = p->readonly ? 0 : m->flash[unit].size;
    }
    return 0;
}

/* #syscalls:vmm pwrite64 */
static void sector_save(struct machine *m, unsigned unit, unsigned sector)
{
    const struct plan_flash *p = &m->vm->plan.flash[unit];
    uint64_t at = (uint64_t)sector * ABI_FLASH_SECTOR;
    uint8_t copy[ABI_FLASH_SECTOR];

    if (p->readonly || at + ABI_FLASH_SECTOR > m->flash[unit].size)
        return; /* a bit the worker should not have set */
    memcpy(copy, m->vm->board + m->flash[unit].off + at, sizeof(copy));
    if (pwrite(p->fd, copy, sizeof(copy), (off_t)at) != (ssize_t)sizeof(copy) && !m->flash_failed) {
        m->flash_failed = true;
        log_error("%s: a change of the flash cannot be written: %s", p->file, strerror(errno));
    }
}

void flash_sync(struct machine *m)
{
    for (unsigned unit = 0; unit < ABI_FLASH_MAX; unit++) {
        struct abi_flash *f = &m->vm->page->flash[unit];

        if (!m->flash[unit].size)
            continue;
        for (unsigned i = 0; i < ABI_FLASH_SECTORS / 32; i++) {
            uint32_t bits = __atomic_load_n(&f->dirty[i], __ATOMIC_RELAXED);

            if (bits)
                bits = __atomic_exchange_n(&f->dirty[i], 0, __ATOMIC_SEQ_CST);
            for (; bits; bits &= bits - 1)
                sector_save(m, unit, 32 * i + (unsigned)__builtin_ctz(bits));
        }
    }
}
