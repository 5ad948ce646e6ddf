/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Direct boot: opening and placing the images, copying them in, Linux's zero page.
 * Must never trust a size from a file before comparing it with the file and with memory.
 */
#include "vmm/machine/linux-boot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "vmm/config/multiboot-find.h"

#define PAGE          4096u
#define LOADER_NONE   0xff /* type_of_loader: no number assigned */
#define E820_RAM      1
#define E820_RESERVED 2
#define CHUNK         (16u << 20)

static int file_size(int fd, const char *name, uint64_t *size, char *err, size_t errlen)
{
    struct stat st;

    if (fstat(fd, &st)) {
        int e = errno;

        snprintf(err, errlen, "%s: %s", name, strerror(e));
        return -e;
    }
    if (!S_ISREG(st.st_mode)) {
        snprintf(err, errlen, "%s: not a regular file", name);
        return -EINVAL;
    }
    *size = (uint64_t)st.st_size;
    return 0;
}

/* #syscalls:vmm pread64 */
int linux_file_read(int fd, uint64_t off, uint8_t *to, uint64_t len)
{
    while (len) {
        ssize_t n = pread(fd, to, len < CHUNK ? len : CHUNK, (off_t)off);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -ENODATA;
        to += n;
        off += (uint64_t)n;
        len -= (uint64_t)n;
    }
    return 0;
}

static int kernel_open(struct linux_image *im, const struct linux_memory *mem, char *err,
                       size_t errlen)
{
    uint8_t head[LINUX_HEAD];
    uint64_t size;
    size_t n;
    int r = file_size(im->kernel_fd, im->kernel, &size, err, errlen);

    if (r)
        return r;
    n = size < sizeof(head) ? size : sizeof(head);
    r = linux_file_read(im->kernel_fd, 0, head, n);
    if (r) {
        snprintf(err, errlen, "%s: %s", im->kernel, strerror(-r));
        return r;
    }
    if (multiboot_find(head, n) >= 0)
        return multiboot_open(im, head, n, size, mem, err, errlen);
    if (n >= 4 && !memcmp(head, "\177ELF", 4))
        return linux_elf_open(im, head, n, size, mem, err, errlen);
    return linux_bzimage_open(im, head, n, size, mem, err, errlen);
}

/* As high as the kernel allows, so that it does not lie where the kernel unpacks itself. */
static int initrd_place(struct linux_image *im, const struct linux_memory *mem, char *err,
                        size_t errlen)
{
    uint64_t top = mem->low, kernel_end = im->load + im->init_size;
    int r = file_size(im->initrd_fd, im->initrd, &im->initrd_len, err, errlen);

    if (r)
        return r;
    if (!im->initrd_len) {
        snprintf(err, errlen, "%s: the file is empty", im->initrd);
        return -EINVAL;
    }
    if ((uint64_t)im->hdr.initrd_addr_max + 1 < top)
        top = (uint64_t)im->hdr.initrd_addr_max + 1;
    if (im->initrd_len > top || ((top - im->initrd_len) & ~(uint64_t)(PAGE - 1)) < kernel_end) {
        snprintf(err, errlen,
                 "%s: an initrd of %llu MiB does not fit beside the kernel in %llu MiB", im->initrd,
                 (unsigned long long)(im->initrd_len >> 20), (unsigned long long)(top >> 20));
        return -ENOMEM;
    }
    im->initrd_gpa = (top - im->initrd_len) & ~(uint64_t)(PAGE - 1);
    return 0;
}

int linux_image_open(struct linux_image *im, int kernel_fd, const char *kernel, int initrd_fd,
                     const char *initrd, const char *append, const struct linux_memory *mem,
                     char *err, size_t errlen)
{
    uint64_t max;
    int r;

    memset(im, 0, sizeof(*im));
    im->kernel_fd = kernel_fd;
    im->initrd_fd = initrd_fd;
    snprintf(im->kernel, sizeof(im->kernel), "%s", kernel);
    snprintf(im->initrd, sizeof(im->initrd), "%s", initrd);
    r = kernel_open(im, mem, err, errlen);
    if (r)
        return r;
    max = im->hdr.cmdline_size;
    if (max > sizeof(im->cmdline) - 1)
        max = sizeof(im->cmdline) - 1;
    if (strlen(append) > max) {
        snprintf(err, errlen, "-append: %zu characters, but this kernel takes at most %llu",
                 strlen(append), (unsigned long long)max);
        return -E2BIG;
    }
    snprintf(im->cmdline, sizeof(im->cmdline), "%s", append);
    return initrd_fd >= 0 ? initrd_place(im, mem, err, errlen) : 0;
}

unsigned linux_e820_build(const struct linux_memory *mem, struct boot_e820_entry *e)
{
    unsigned n = 0;

    e[n++] = (struct boot_e820_entry){0, 0x9fc00, E820_RAM};
    e[n++] = (struct boot_e820_entry){0x9fc00, 0x400, E820_RESERVED};   /* EBDA */
    e[n++] = (struct boot_e820_entry){0xf0000, 0x10000, E820_RESERVED}; /* firmware tables */
    e[n++] = (struct boot_e820_entry){0x100000, mem->low - 0x100000, E820_RAM};
    if (mem->high)
        e[n++] = (struct boot_e820_entry){0x100000000ull, mem->high, E820_RAM};
    return n;
}

static int modules_load(const struct linux_image *im, const struct linux_memory *mem)
{
    int r = 0;

    for (unsigned i = 0; i < im->n_module && !r; i++) {
        const struct linux_module *m = &im->module[i];
        uint8_t *to = mem->ram(mem->opaque, m->gpa, m->len);

        r = to ? linux_file_read(m->fd, 0, to, m->len) : -EFAULT;
    }
    return r;
}

/* boot.rst, screen_info: what a BIOS boot finds in mode 3. */
static void screen_write(struct screen_info *s)
{
    s->orig_video_mode = 3;
    s->orig_video_cols = 80;
    s->orig_video_lines = 25;
    s->orig_video_ega_bx = 3;
    s->orig_video_isVGA = VIDEO_TYPE_VGAC;
    s->orig_video_points = 16;
}

static int linux_data_write(const struct linux_image *im, const struct linux_memory *mem,
                           uint64_t rsdp_gpa)
{
    struct boot_params *bp = mem->ram(mem->opaque, LINUX_ZERO_PAGE, sizeof(*bp));
    uint64_t *pt = mem->ram(mem->opaque, LINUX_PAGETABLES, (uint64_t)6 * PAGE);
    char *cmdline = mem->ram(mem->opaque, LINUX_CMDLINE, LINUX_CMDLINE_MAX);

    if (!bp || !pt || !cmdline)
        return -EFAULT;
    memset(bp, 0, sizeof(*bp)); /* screen_info zero: no display */
    if (im->vga)
        screen_write(&bp->screen_info);
    bp->hdr = im->hdr;
    bp->hdr.type_of_loader = LOADER_NONE;
    bp->hdr.cmd_line_ptr = LINUX_CMDLINE;
    bp->hdr.ramdisk_image = (uint32_t)im->initrd_gpa;
    bp->hdr.ramdisk_size = (uint32_t)im->initrd_len;
    bp->hdr.vid_mode = 0xffff; /* "normal" */
    if (im->kind == LINUX_BZIMAGE)
        bp->hdr.code32_start = (uint32_t)im->load;
    bp->alt_mem_k = (uint32_t)((mem->low - 0x100000) >> 10);
    bp->acpi_rsdp_addr = rsdp_gpa;
    bp->e820_entries = (uint8_t)linux_e820_build(mem, bp->e820_table);
    memcpy(cmdline, im->cmdline, strlen(im->cmdline) + 1);

    /* Identity map of the first 4 GiB with 2 MiB pages: PML4, PDPT, four page directories. */
    memset(pt, 0, (size_t)6 * PAGE);
    pt[0] = (LINUX_PAGETABLES + PAGE) | 3;
    for (unsigned i = 0; i < 4; i++)
        pt[512 + i] = (LINUX_PAGETABLES + (2 + i) * PAGE) | 3;
    for (uint64_t i = 0; i < (uint64_t)4 * 512; i++)
        pt[1024 + i] = i << 21 | 0x83;
    return 0;
}

/* boot.rst: __BOOT_CS 0x10 execute/read, __BOOT_DS 0x18 read/write, flat; the other protocols leave
 * the selectors open. */
static int gdt_write(const struct linux_image *im, const struct linux_memory *mem)
{
    uint64_t *gdt = mem->ram(mem->opaque, LINUX_GDT, 4 * sizeof(*gdt));

    if (!gdt)
        return -EFAULT;
    gdt[0] = gdt[1] = 0;
    gdt[2] = im->entry64 ? 0x00af9b000000ffffull : 0x00cf9b000000ffffull;
    gdt[3] = 0x00cf93000000ffffull;
    return 0;
}

static int boot_data_write(const struct linux_image *im, const struct linux_memory *mem,
                           uint64_t rsdp_gpa)
{
    int r = gdt_write(im, mem);

    if (r)
        return r;
    if (im->kind == LINUX_MULTIBOOT)
        return multiboot_info_write(im, mem);
    if (im->kind == LINUX_PVH)
        return pvh_info_write(im, mem, rsdp_gpa);
    return linux_data_write(im, mem, rsdp_gpa);
}

int linux_image_load(const struct linux_image *im, const struct linux_memory *mem,
                     uint64_t rsdp_gpa)
{
    for (unsigned i = 0; i < im->n_seg; i++) {
        const struct linux_segment *s = &im->seg[i];
        uint8_t *to = mem->ram(mem->opaque, s->gpa, s->mem_len);
        int r;

        if (!to)
            return -EFAULT;
        r = linux_file_read(im->kernel_fd, s->file_off, to, s->file_len);
        if (r)
            return r;
        memset(to + s->file_len, 0, s->mem_len - s->file_len);
    }
    if (im->initrd_fd >= 0) {
        uint8_t *to = mem->ram(mem->opaque, im->initrd_gpa, im->initrd_len);
        int r = to ? linux_file_read(im->initrd_fd, 0, to, im->initrd_len) : -EFAULT;

        if (r)
            return r;
    }
    int r = modules_load(im, mem);

    return r ? r : boot_data_write(im, mem, rsdp_gpa);
}
