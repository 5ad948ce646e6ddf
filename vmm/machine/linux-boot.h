/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Direct boot of a kernel: Linux (Documentation/arch/x86/boot.rst), PVH, Multiboot 1. Reads the kernel
 * and initrd or modules, places them in guest memory, builds the boot information and the first vCPU
 * state. Files are hostile: sizes are checked
 * against the file and against memory before anything is copied. Must never run guest code.
 */
#ifndef BULKHEAD_VMM_MACHINE_LINUX_BOOT_H
#define BULKHEAD_VMM_MACHINE_LINUX_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <asm/bootparam.h>
#include "ipc/abi/vcpu-state.h"

/* Where the boot data lies; all of it is ordinary RAM to the kernel, below the EBDA. */
#define LINUX_GDT         0x7000u
#define LINUX_STACK       0x8FF0u
#define LINUX_ZERO_PAGE   0x10000u
#define LINUX_CMDLINE     0x20000u
#define LINUX_CMDLINE_MAX 0x10000u
#define LINUX_PAGETABLES  0x40000u /* 6 pages: 4 GiB mapped one to one */

#define LINUX_SEGMENTS_MAX 16
#define LINUX_E820_MAX     8

#define LINUX_MODULES_MAX  16
#define LINUX_HEAD         8192u /* of the file, looked at before anything is loaded */

enum linux_kind { LINUX_NONE, LINUX_BZIMAGE, LINUX_ELF, LINUX_PVH, LINUX_MULTIBOOT };
struct linux_module { /* Multiboot */
    int fd;
    uint64_t gpa, len;
    char text[512];
};
struct linux_segment {
    uint64_t file_off, file_len, gpa, mem_len; /* mem_len - file_len bytes are cleared */
};
struct linux_image {
    enum linux_kind kind;
    int kernel_fd, initrd_fd;      /* stay open: a reset reads them again; -1 none */
    char kernel[512], initrd[512]; /* for messages */
    struct setup_header hdr;       /* copied once at open, validated, then used */
    bool entry64;
    bool vga; /* the machine has a screen, in mode 3 */
    uint64_t load, init_size; /* where the kernel goes and what it needs until it has read e820 */
    uint64_t entry;
    unsigned n_seg;
    struct linux_segment seg[LINUX_SEGMENTS_MAX];
    uint64_t initrd_gpa, initrd_len;
    unsigned n_module;
    struct linux_module module[LINUX_MODULES_MAX];
    char cmdline[4096];
};
struct linux_memory {   /* guest memory as the loader needs it */
    uint64_t low, high; /* RAM below and from 4 GiB */
    void *opaque;
    void *(*ram)(void *opaque, uint64_t gpa, uint64_t len);
};

/* Checks both files and chooses all addresses. fds stay the caller's. 0, or -errno with one line.
 */
int linux_image_open(struct linux_image *im, int kernel_fd, const char *kernel, int initrd_fd,
                     const char *initrd, const char *append, const struct linux_memory *mem,
                     char *err, size_t errlen);
/* Copies the images and builds zero page, command line, GDT, page tables. 0 or -errno (the file
 * shrank or cannot be read any more). */
int linux_image_load(const struct linux_image *im, const struct linux_memory *mem,
                     uint64_t rsdp_gpa);
/* State of the boot processor at the kernel's entry point. */
void linux_vcpu_state(const struct linux_image *im, struct abi_vcpu_state *v);

/* A module behind those before; len bytes of fd, which stays the caller's. 0 or -errno, one line. */
int multiboot_module_add(struct linux_image *im, int fd, const char *text, uint64_t len,
                         const struct linux_memory *mem, char *err, size_t errlen);

/* Pieces, some of them public for tests. */
int linux_file_read(int fd, uint64_t off, uint8_t *to, uint64_t len);
int multiboot_open(struct linux_image *im, const uint8_t *head, size_t n, uint64_t file_size,
                   const struct linux_memory *mem, char *err, size_t errlen);
int elf_segments_take(struct linux_image *im, const uint8_t *head, size_t n, uint64_t file_size,
                      const struct linux_memory *mem, char *err, size_t errlen);
bool pvh_entry_find(const uint8_t *notes, size_t n, uint64_t *entry);
int multiboot_info_write(const struct linux_image *im, const struct linux_memory *mem);
int pvh_info_write(const struct linux_image *im, const struct linux_memory *mem, uint64_t rsdp_gpa);
unsigned linux_e820_build(const struct linux_memory *mem, struct boot_e820_entry *e);
int linux_bzimage_open(struct linux_image *im, const uint8_t *head, size_t n, uint64_t file_size,
                       const struct linux_memory *mem, char *err, size_t errlen);
int linux_elf_open(struct linux_image *im, const uint8_t *head, size_t n, uint64_t file_size,
                   const struct linux_memory *mem, char *err, size_t errlen);
void linux_vcpu_reset(struct abi_vcpu_state *v); /* what does not depend on the entry point */

#endif
