/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bzImage header (Documentation/arch/x86/boot.rst): validation, load address, entry point.
 * Looks at a private copy of the first page only. Must never load anything.
 */
#include "vmm/machine/linux-boot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HDR_AT    0x1f1u
#define HDR_MAGIC 0x53726448u /* "HdrS" */
#define OLDEST    0x206u      /* cmdline_size; older kernels are from before 2007 */
#define LOW_LOAD  0x100000u
#define SETUP_MIN 4u /* setup_sects 0 means 4 */

static int refuse(const struct linux_image *im, char *err, size_t errlen, const char *why)
{
    snprintf(err, errlen, "%s: %s", im->kernel, why);
    return -ENOEXEC;
}

static int header_copy(struct linux_image *im, const uint8_t *head, size_t n, char *err,
                       size_t errlen)
{
    size_t end, len;

    if (n < HDR_AT + sizeof(im->hdr) || head[0x1fe] != 0x55 || head[0x1ff] != 0xaa)
        return refuse(im, err, errlen, "not a Linux kernel (no boot sector signature)");
    end = 0x202u + head[0x201];
    len = end - HDR_AT < sizeof(im->hdr) ? end - HDR_AT : sizeof(im->hdr);
    memcpy(&im->hdr, head + HDR_AT, len);
    if (im->hdr.header != HDR_MAGIC)
        return refuse(im, err, errlen, "not a Linux kernel (no HdrS header)");
    if (im->hdr.version < OLDEST) {
        snprintf(err, errlen, "%s: boot protocol %u.%02u is too old, 2.06 is the oldest supported",
                 im->kernel, im->hdr.version >> 8, im->hdr.version & 0xff);
        return -ENOEXEC;
    }
    if (!(im->hdr.loadflags & LOADED_HIGH))
        return refuse(im, err, errlen, "a zImage (loaded low) is not supported");
    return 0;
}

static uint64_t align_up(uint64_t v, uint64_t a)
{
    return (v + a - 1) & ~(a - 1);
}

/* pref_address when the memory is there; any aligned address when the kernel is relocatable. */
static int load_choose(struct linux_image *im, uint64_t file_len, const struct linux_memory *mem,
                       char *err, size_t errlen)
{
    const struct setup_header *h = &im->hdr;
    bool movable = h->relocatable_kernel != 0;
    uint64_t align = h->kernel_alignment;

    if (movable && (!align || align & (align - 1)))
        return refuse(im, err, errlen, "kernel_alignment in its header is not a power of two");
    im->load = h->code32_start ? h->code32_start : LOW_LOAD;
    im->init_size = 4 * file_len;
    if (h->version >= 0x20a) {
        im->init_size = h->init_size;
        im->load = h->pref_address;
    }
    if (im->init_size < file_len)
        im->init_size = file_len;
    if (movable &&
        (im->load < LOW_LOAD || im->load > mem->low || im->init_size > mem->low - im->load))
        im->load = align_up(LOW_LOAD, align);
    if (im->load < LOW_LOAD)
        return refuse(im, err, errlen, "its load address is below 1 MiB");
    if (im->load > mem->low || im->init_size > mem->low - im->load) {
        snprintf(err, errlen, "%s: needs %llu MiB of memory, the guest has %llu MiB", im->kernel,
                 (unsigned long long)((im->load + im->init_size + 0xfffff) >> 20),
                 (unsigned long long)((mem->low + mem->high) >> 20));
        return -ENOMEM;
    }
    return 0;
}

int linux_bzimage_open(struct linux_image *im, const uint8_t *head, size_t n, uint64_t file_size,
                       const struct linux_memory *mem, char *err, size_t errlen)
{
    uint64_t off, len;
    int r = header_copy(im, head, n, err, errlen);

    if (r)
        return r;
    off = ((im->hdr.setup_sects ? im->hdr.setup_sects : SETUP_MIN) + 1u) * 512u;
    len = (uint64_t)im->hdr.syssize * 16;
    /* syssize is rounded up to 16, the file not always to the sector. */
    if (off >= file_size || len > file_size - off + 511)
        return refuse(im, err, errlen, "the file is cut short");
    len = file_size - off;
    r = load_choose(im, len, mem, err, errlen);
    if (r)
        return r;
    im->entry64 = im->hdr.version >= 0x20c && im->hdr.xloadflags & XLF_KERNEL_64;
    im->entry = im->load + (im->entry64 ? 0x200 : 0);
    im->n_seg = 1;
    im->seg[0] = (struct linux_segment){off, len, im->load, len};
    im->kind = LINUX_BZIMAGE;
    return 0;
}
