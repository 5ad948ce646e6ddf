/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiboot 1 (Multiboot specification 0.6.96): the header of a kernel, as ELF or with the address
 * fields of the header (the "a.out kludge"), its modules, and the information structure. Must never
 * load anything itself, nor take an address from the file that was not compared with memory.
 */
#include "vmm/machine/linux-boot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "vmm/config/multiboot-find.h"

#define FLAG_VIDEO   0x00000004u
#define FLAG_UNKNOWN 0x0000fff8u /* 3.1.2: bits 0-15 not understood must be refused */
#define FLAG_ADDRESS 0x00010000u

#define INFO_MEMORY  0x001u
#define INFO_BOOTDEV 0x002u
#define INFO_CMDLINE 0x004u
#define INFO_MODULES 0x008u
#define INFO_MMAP    0x040u
#define INFO_LOADER  0x200u

/* Inside the boot data area, from LINUX_ZERO_PAGE on. */
#define AT_INFO    LINUX_ZERO_PAGE
#define AT_LOADER  (LINUX_ZERO_PAGE + 0x80u)
#define AT_MMAP    (LINUX_ZERO_PAGE + 0x100u)
#define AT_MODULES (LINUX_ZERO_PAGE + 0x400u)
#define AT_STRINGS (LINUX_ZERO_PAGE + 0x1000u)
#define AT_LEN     0x4000u

struct mb_header {
    uint32_t magic, flags, checksum, header_addr, load_addr, load_end_addr, bss_end_addr, entry;
};
struct mb_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4],
        mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name;
};
struct mb_mmap {
    uint32_t size;
    uint64_t addr, len;
    uint32_t type;
} __attribute__((packed));
struct mb_module {
    uint32_t start, end, string, reserved;
};

static int refuse(const struct linux_image *im, char *err, size_t errlen, const char *why)
{
    snprintf(err, errlen, "%s: Multiboot kernel: %s", im->kernel, why);
    return -ENOEXEC;
}

/* 3.1.3: the file from where load_addr would be, one segment. */
static int kludge_take(struct linux_image *im, const struct mb_header *h, uint64_t at,
                       uint64_t file_size, const struct linux_memory *mem, char *err, size_t errlen)
{
    uint64_t off, len, total;

    if (h->header_addr < h->load_addr || h->header_addr - h->load_addr > at)
        return refuse(im, err, errlen, "load_addr lies before the file's start");
    off = at - (h->header_addr - h->load_addr);
    len = h->load_end_addr ? (uint64_t)h->load_end_addr - h->load_addr : file_size - off;
    if ((h->load_end_addr && h->load_end_addr < h->load_addr) || len > file_size - off)
        return refuse(im, err, errlen, "load_end_addr lies beyond the file's end");
    total = h->bss_end_addr > h->load_addr + len ? h->bss_end_addr - h->load_addr : len;
    if (h->load_addr < 0x100000 || h->load_addr > mem->low || total > mem->low - h->load_addr)
        return refuse(im, err, errlen, "it does not fit into memory from 1 MiB on");
    if (h->entry < h->load_addr || h->entry >= h->load_addr + total)
        return refuse(im, err, errlen, "its entry point lies outside of it");
    im->n_seg = 1;
    im->seg[0] = (struct linux_segment){off, len, h->load_addr, total};
    im->load = h->load_addr;
    im->init_size = total;
    im->entry = h->entry;
    return 0;
}

int multiboot_open(struct linux_image *im, const uint8_t *head, size_t n, uint64_t file_size,
                   const struct linux_memory *mem, char *err, size_t errlen)
{
    struct mb_header h = {0};
    size_t at = (size_t)multiboot_find(head, n), len = n - at;
    int r;

    memcpy(&h, head + at, len < sizeof(h) ? len : sizeof(h));
    if (h.flags & FLAG_VIDEO)
        return refuse(im, err, errlen, "it requires a video mode, there is no display");
    if (h.flags & FLAG_UNKNOWN)
        return refuse(im, err, errlen, "it requires something unknown (flags bits 3-15)");
    if (h.flags & FLAG_ADDRESS)
        r = len < sizeof(h) ? refuse(im, err, errlen, "its header is cut short")
                            : kludge_take(im, &h, at, file_size, mem, err, errlen);
    else
        r = elf_segments_take(im, head, n, file_size, mem, err, errlen);
    im->hdr.cmdline_size = sizeof(im->cmdline) - 1;
    im->kind = LINUX_MULTIBOOT;
    return r;
}

/* Modules follow the kernel on pages of their own, in order. */
int multiboot_module_add(struct linux_image *im, int fd, const char *text, uint64_t len,
                         const struct linux_memory *mem, char *err, size_t errlen)
{
    struct linux_module *m = &im->module[im->n_module];
    uint64_t gpa = im->load + im->init_size;

    if (im->n_module)
        gpa = m[-1].gpa + m[-1].len;
    gpa = (gpa + 4095) & ~(uint64_t)4095;
    if (im->n_module == LINUX_MODULES_MAX || gpa > mem->low || len > mem->low - gpa) {
        snprintf(err, errlen, "%s: module does not fit into memory behind the kernel", text);
        return -ENOMEM;
    }
    *m = (struct linux_module){.fd = fd, .gpa = gpa, .len = len};
    snprintf(m->text, sizeof(m->text), "%s", text);
    im->n_module++;
    return 0;
}

static unsigned mmap_write(struct mb_mmap *out, const struct linux_memory *mem)
{
    struct boot_e820_entry e[LINUX_E820_MAX];
    unsigned n = linux_e820_build(mem, e);

    for (unsigned i = 0; i < n; i++)
        out[i] = (struct mb_mmap){sizeof(*out) - 4, e[i].addr, e[i].size, e[i].type};
    return n * (unsigned)sizeof(*out);
}

int multiboot_info_write(const struct linux_image *im, const struct linux_memory *mem)
{
    static const char loader[] = "bulkhead";
    uint8_t *area = mem->ram(mem->opaque, AT_INFO, AT_LEN);
    char *cmdline = mem->ram(mem->opaque, LINUX_CMDLINE, LINUX_CMDLINE_MAX);
    struct mb_info *info = (void *)area;
    struct mb_module *mod;

    if (!area || !cmdline)
        return -EFAULT;
    memset(area, 0, AT_LEN);
    mod = (void *)(area + (AT_MODULES - AT_INFO));
    info->flags = INFO_MEMORY | INFO_BOOTDEV | INFO_CMDLINE | INFO_MODULES | INFO_MMAP | INFO_LOADER;
    info->mem_lower = 639;
    info->mem_upper = (uint32_t)((mem->low - 0x100000) >> 10);
    info->boot_device = 0x8000ffff;
    info->cmdline = LINUX_CMDLINE;
    info->mods_count = im->n_module;
    info->mods_addr = AT_MODULES;
    info->mmap_addr = AT_MMAP;
    info->mmap_length = mmap_write((void *)(area + (AT_MMAP - AT_INFO)), mem);
    info->boot_loader_name = AT_LOADER;
    memcpy(area + (AT_LOADER - AT_INFO), loader, sizeof(loader));
    for (unsigned i = 0; i < im->n_module; i++) {
        const struct linux_module *m = &im->module[i];
        uint32_t text = AT_STRINGS + i * (uint32_t)sizeof(m->text);

        mod[i] = (struct mb_module){(uint32_t)m->gpa, (uint32_t)(m->gpa + m->len), text, 0};
        memcpy(area + (text - AT_INFO), m->text, strlen(m->text) + 1);
    }
    /* The kernel's own name comes first, as with other loaders. */
    snprintf(cmdline, LINUX_CMDLINE_MAX, "%s %s", im->kernel, im->cmdline);
    return 0;
}
