/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF kernels: segments at their physical addresses. With a PVH note the kernel is entered there in
 * 32-bit mode; a 64-bit one without (an old vmlinux) at e_entry in 64-bit mode with the register
 * contract of a bzImage. Must never load anything.
 */
#include "vmm/machine/linux-boot.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NOTES_MAX 4096u

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

/* Both classes in the shape of the larger one. */
static bool ehdr_get(const uint8_t *head, size_t n, Elf64_Ehdr *eh)
{
    Elf32_Ehdr e;

    if (n < sizeof(*eh))
        return false;
    memcpy(eh, head, sizeof(*eh));
    if (memcmp(eh->e_ident, ELFMAG, SELFMAG) || eh->e_ident[EI_DATA] != ELFDATA2LSB)
        return false;
    if (eh->e_ident[EI_CLASS] == ELFCLASS64)
        return eh->e_machine == EM_X86_64 && eh->e_type == ET_EXEC &&
               eh->e_phentsize == sizeof(Elf64_Phdr);
    memcpy(&e, head, sizeof(e));
    eh->e_entry = e.e_entry;
    eh->e_phoff = e.e_phoff;
    eh->e_phnum = e.e_phnum;
    eh->e_phentsize = e.e_phentsize;
    return e.e_ident[EI_CLASS] == ELFCLASS32 && e.e_machine == EM_386 && e.e_type == ET_EXEC &&
           e.e_phentsize == sizeof(Elf32_Phdr);
}

static Elf64_Phdr phdr_get(const uint8_t *head, const Elf64_Ehdr *eh, unsigned i)
{
    Elf64_Phdr p;
    Elf32_Phdr q;

    if (eh->e_phentsize == sizeof(p)) {
        memcpy(&p, head + eh->e_phoff + i * sizeof(p), sizeof(p));
        return p;
    }
    memcpy(&q, head + eh->e_phoff + i * sizeof(q), sizeof(q));
    return (Elf64_Phdr){.p_type = q.p_type, .p_offset = q.p_offset, .p_paddr = q.p_paddr,
                        .p_filesz = q.p_filesz, .p_memsz = q.p_memsz};
}

static bool segment_ok(const Elf64_Phdr *p, uint64_t file_size, const struct linux_memory *mem)
{
    return p->p_filesz <= p->p_memsz && p->p_offset <= file_size &&
           p->p_filesz <= file_size - p->p_offset && p->p_paddr >= 0x100000 &&
           p->p_paddr <= mem->low && p->p_memsz <= mem->low - p->p_paddr;
}

static int headers_take(struct linux_image *im, const uint8_t *head, size_t n, Elf64_Ehdr *eh,
                        char *err, size_t errlen)
{
    if (n < sizeof(*eh))
        return refuse(im, err, errlen, "the file is cut short");
    if (!ehdr_get(head, n, eh))
        return refuse(im, err, errlen, "only x86-64 and i386 executables are supported");
    if (eh->e_phoff > n || eh->e_phnum > (n - eh->e_phoff) / eh->e_phentsize)
        return refuse(im, err, errlen, "its program headers are not in the first page");
    return 0;
}

int elf_segments_take(struct linux_image *im, const uint8_t *head, size_t n, uint64_t file_size,
                      const struct linux_memory *mem, char *err, size_t errlen)
{
    uint64_t lo = UINT64_MAX, hi = 0;
    Elf64_Ehdr eh;
    int r = headers_take(im, head, n, &eh, err, errlen);

    for (unsigned i = 0; !r && i < eh.e_phnum; i++) {
        Elf64_Phdr p = phdr_get(head, &eh, i);

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
    if (r)
        return r;
    im->load = lo;
    im->init_size = hi - lo;
    im->entry = eh.e_entry;
    if (!im->n_seg || im->entry < lo || im->entry >= hi)
        return refuse(im, err, errlen, "its entry point lies outside of its segments");
    return 0;
}

/* The PVH note, in any of the PT_NOTE segments. Unreadable notes are no notes. */
static bool pvh_look(struct linux_image *im, const uint8_t *head, const Elf64_Ehdr *eh,
                     uint64_t file_size)
{
    uint8_t notes[NOTES_MAX];
    uint64_t entry;

    for (unsigned i = 0; i < eh->e_phnum; i++) {
        Elf64_Phdr p = phdr_get(head, eh, i);

        if (p.p_type != PT_NOTE || p.p_filesz > sizeof(notes) || p.p_offset > file_size ||
            p.p_filesz > file_size - p.p_offset ||
            linux_file_read(im->kernel_fd, p.p_offset, notes, p.p_filesz))
            continue;
        if (pvh_entry_find(notes, p.p_filesz, &entry) && entry >= im->load &&
            entry < im->load + im->init_size) {
            im->entry = entry;
            return true;
        }
    }
    return false;
}

/* A PVH kernel's e_entry may be a virtual address: it is not the one that counts. */
int linux_elf_open(struct linux_image *im, const uint8_t *head, size_t n, uint64_t file_size,
                   const struct linux_memory *mem, char *err, size_t errlen)
{
    Elf64_Ehdr eh;
    int r = headers_take(im, head, n, &eh, err, errlen);

    if (r)
        return r;
    r = elf_segments_take(im, head, n, file_size, mem, err, errlen);
    if (im->init_size && pvh_look(im, head, &eh, file_size)) {
        header_make(&im->hdr);
        im->kind = LINUX_PVH;
        return 0;
    }
    if (r)
        return r;
    if (eh.e_phentsize != sizeof(Elf64_Phdr))
        return refuse(im, err, errlen, "a 32-bit one needs a Multiboot header or a PVH note");
    header_make(&im->hdr);
    im->entry64 = true;
    im->kind = LINUX_ELF;
    return 0;
}
