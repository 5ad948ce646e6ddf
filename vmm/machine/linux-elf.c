/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An uncompressed 64-bit ELF kernel (vmlinux): segments at their physical addresses, entered at
 * e_entry in 64-bit mode with the same register contract as a bzImage. Must never load anything.
 */
#include "vmm/machine/linux-boot.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int refuse(const struct linux_image *im, char *err, size_t errlen, const char *why)
{
    snprintf(err, errlen, "%s: ELF kernel: %s", im->kernel, why);
    return -ENOEXEC;
}

/* There is no setup header in an ELF file: the fields a boot loader answers for, with the limits of
 * every 64-bit kernel. */
static void header_make(struct setup_header *h)
{
    memset(h, 0, sizeof(*h));
    h->boot_flag = 0xaa55;
    h->header = 0x53726448;
    h->version = 0x20c;
    h->loadflags = LOADED_HIGH;
    h->initrd_addr_max = 0x7fffffff;
    h->cmdline_size = 2047;
    h->kernel_alignment = 0x1000000;
}

static bool segment_ok(const Elf64_Phdr *p, uint64_t file_size, const struct linux_memory *mem)
{
    return p->p_filesz <= p->p_memsz && p->p_offset <= file_size &&
           p->p_filesz <= file_size - p->p_offset && p->p_paddr >= 0x100000 &&
           p->p_paddr <= mem->low && p->p_memsz <= mem->low - p->p_paddr;
}

static int segments_take(struct linux_image *im, const uint8_t *head, const Elf64_Ehdr *eh,
                         uint64_t file_size, const struct linux_memory *mem, char *err,
                         size_t errlen)
{
    uint64_t lo = UINT64_MAX, hi = 0;

    for (unsigned i = 0; i < eh->e_phnum; i++) {
        Elf64_Phdr p;

        memcpy(&p, head + eh->e_phoff + i * sizeof(p), sizeof(p));
        if (p.p_type != PT_LOAD || !p.p_memsz)
            continue;
        if (im->n_seg == LINUX_SEGMENTS_MAX)
            return refuse(im, err, errlen, "too many segments");
        if (!segment_ok(&p, file_size, mem))
            return refuse(im, err, errlen, "a segment does not fit into the file or into memory");
        im->seg[im->n_seg++] = (struct linux_segment){p.p_offset, p.p_filesz, p.p_paddr, p.p_memsz};
        lo = p.p_paddr < lo ? p.p_paddr : lo;
        hi = p.p_paddr + p.p_memsz > hi ? p.p_paddr + p.p_memsz : hi;
    }
    if (!im->n_seg || eh->e_entry < lo || eh->e_entry >= hi)
        return refuse(im, err, errlen, "its entry point lies outside of its segments");
    im->load = lo;
    im->init_size = hi - lo;
    return 0;
}

int linux_elf_open(struct linux_image *im, const uint8_t *head, size_t n, uint64_t file_size,
                   const struct linux_memory *mem, char *err, size_t errlen)
{
    Elf64_Ehdr eh;
    int r;

    if (n < sizeof(eh))
        return refuse(im, err, errlen, "the file is cut short");
    memcpy(&eh, head, sizeof(eh));
    if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_ident[EI_DATA] != ELFDATA2LSB ||
        eh.e_machine != EM_X86_64 || eh.e_type != ET_EXEC)
        return refuse(im, err, errlen, "only x86-64 executables are supported");
    if (eh.e_phentsize != sizeof(Elf64_Phdr) || eh.e_phoff > n ||
        eh.e_phnum > (n - eh.e_phoff) / sizeof(Elf64_Phdr))
        return refuse(im, err, errlen, "its program headers are not in the first page");
    r = segments_take(im, head, &eh, file_size, mem, err, errlen);
    if (r)
        return r;
    header_make(&im->hdr);
    im->entry64 = true;
    im->entry = eh.e_entry;
    im->kind = LINUX_ELF;
    return 0;
}
