/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PVH boot (Xen's x86/HVM direct boot ABI, hvm_start_info version 1): the ELF note that names the
 * 32-bit entry point, and the start info. Must never load anything, nor believe a note's size.
 */
#include "vmm/machine/linux-boot.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#define NOTE_PHYS32_ENTRY 18
#define START_MAGIC       0x336ec578u

#define AT_START   LINUX_ZERO_PAGE
#define AT_MODULES (LINUX_ZERO_PAGE + 0x100u)
#define AT_MEMMAP  (LINUX_ZERO_PAGE + 0x200u)
#define AT_LEN     0x1000u

struct start_info {
    uint32_t magic, version, flags, nr_modules;
    uint64_t modlist, cmdline, rsdp, memmap;
    uint32_t memmap_entries, reserved;
};
struct start_module {
    uint64_t paddr, size, cmdline, reserved;
};
struct start_memmap {
    uint64_t addr, size;
    uint32_t type, reserved;
};

/* One note at p, of at most n bytes: its whole length, 0 = the end. *entry if it is the one. */
static size_t note_step(const uint8_t *p, size_t n, uint64_t *entry)
{
    Elf32_Nhdr h; /* the 64-bit one is the same */
    uint64_t name, desc;

    if (n < sizeof(h))
        return 0;
    memcpy(&h, p, sizeof(h));
    name = ((uint64_t)h.n_namesz + 3) & ~3ull;
    desc = ((uint64_t)h.n_descsz + 3) & ~3ull;
    if (name + desc > n - sizeof(h))
        return 0;
    if (h.n_type == NOTE_PHYS32_ENTRY && h.n_namesz == 4 && !memcmp(p + sizeof(h), "Xen", 4) &&
        (h.n_descsz == 4 || h.n_descsz == 8)) {
        *entry = 0;
        memcpy(entry, p + sizeof(h) + name, h.n_descsz);
    }
    return (size_t)(sizeof(h) + name + desc);
}

bool pvh_entry_find(const uint8_t *notes, size_t n, uint64_t *entry)
{
    *entry = UINT64_MAX;
    for (size_t at = 0, step; at < n; at += step) {
        step = note_step(notes + at, n - at, entry);
        if (!step || *entry != UINT64_MAX)
            break;
    }
    return *entry != UINT64_MAX;
}

int pvh_info_write(const struct linux_image *im, const struct linux_memory *mem, uint64_t rsdp_gpa)
{
    uint8_t *area = mem->ram(mem->opaque, AT_START, AT_LEN);
    char *cmdline = mem->ram(mem->opaque, LINUX_CMDLINE, LINUX_CMDLINE_MAX);
    struct boot_e820_entry e[LINUX_E820_MAX];
    struct start_memmap *map;

    if (!area || !cmdline)
        return -EFAULT;
    memset(area, 0, AT_LEN);
    map = (void *)(area + (AT_MEMMAP - AT_START));
    *(struct start_info *)area = (struct start_info){
        .magic = START_MAGIC, .version = 1, .nr_modules = im->initrd_len ? 1 : 0,
        .modlist = im->initrd_len ? AT_MODULES : 0, .cmdline = LINUX_CMDLINE, .rsdp = rsdp_gpa,
        .memmap = AT_MEMMAP, .memmap_entries = linux_e820_build(mem, e)};
    for (unsigned i = 0; i < ((struct start_info *)area)->memmap_entries; i++)
        map[i] = (struct start_memmap){e[i].addr, e[i].size, e[i].type, 0};
    if (im->initrd_len)
        *(struct start_module *)(area + (AT_MODULES - AT_START)) =
            (struct start_module){im->initrd_gpa, im->initrd_len, 0, 0};
    memcpy(cmdline, im->cmdline, strlen(im->cmdline) + 1);
    return 0;
}
