/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The firmware configuration device's directory and contents, in board memory; the registers are the
 * cpu-worker's. Owns keys and the file directory; must never know what an item means.
 */
#ifndef BULKHEAD_VMM_MACHINE_FWCFG_H
#define BULKHEAD_VMM_MACHINE_FWCFG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ipc/abi/fwcfg.h"

/* Keys that are not files (QEMU's docs/specs/fw_cfg and its standard headers). */
enum fwcfg_key {
    FWCFG_SIGNATURE = 0x00, FWCFG_ID = 0x01, FWCFG_UUID = 0x02, FWCFG_RAM_SIZE = 0x03,
    FWCFG_NOGRAPHIC = 0x04, FWCFG_NB_CPUS = 0x05, FWCFG_KERNEL_ADDR = 0x07, FWCFG_KERNEL_SIZE = 0x08,
    FWCFG_INITRD_ADDR = 0x0a, FWCFG_INITRD_SIZE = 0x0b, FWCFG_NUMA = 0x0d, FWCFG_BOOT_MENU = 0x0e,
    FWCFG_MAX_CPUS = 0x0f, FWCFG_KERNEL_ENTRY = 0x10, FWCFG_KERNEL_DATA = 0x11, FWCFG_INITRD_DATA = 0x12,
    FWCFG_CMDLINE_ADDR = 0x13, FWCFG_CMDLINE_SIZE = 0x14, FWCFG_CMDLINE_DATA = 0x15,
    FWCFG_SETUP_ADDR = 0x16, FWCFG_SETUP_SIZE = 0x17, FWCFG_SETUP_DATA = 0x18, FWCFG_FILE_DIR = 0x19,
    FWCFG_FILE_FIRST = 0x20, FWCFG_IRQ0_OVERRIDE = 0x8002,
};
#define FWCFG_NAME_MAX  56 /* with its end */
#define FWCFG_FILES_MAX 64

struct vm;
struct fwcfg {
    struct vm *vm;
    struct abi_fwcfg *dir;
    int64_t dir_off; /* 0 = there is no such device */
    int error;       /* the first failure; looked at once, at the end */
    unsigned n_file;
    struct {
        char name[FWCFG_NAME_MAX];
        uint32_t size;
    } file[FWCFG_FILES_MAX];
};

void fwcfg_init(struct fwcfg *f, struct vm *vm);
/* Room for len bytes under a key, zeroed: the caller fills it in. NULL: f->error is set. */
void *fwcfg_item(struct fwcfg *f, uint16_t key, uint32_t len, unsigned flags);
void fwcfg_bytes(struct fwcfg *f, uint16_t key, const void *data, uint32_t len);
void fwcfg_number(struct fwcfg *f, uint16_t key, uint64_t v, unsigned len); /* little-endian */
/* The same under a name; a name that is there already is -EEXIST. */
void *fwcfg_file(struct fwcfg *f, const char *name, uint32_t len, unsigned flags);
void fwcfg_file_bytes(struct fwcfg *f, const char *name, const void *data, uint32_t len);
bool fwcfg_has_file(const struct fwcfg *f, const char *name);
int fwcfg_key_of(const struct fwcfg *f, const char *name); /* -1 = no such file */
/* Writes the directory and makes the device visible. 0 or the first error. */
int fwcfg_finish(struct fwcfg *f);

#endif
