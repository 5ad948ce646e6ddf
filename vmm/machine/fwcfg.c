/* SPDX-License-Identifier: Apache-2.0 */
/* See fwcfg.h. */
#include "vmm/machine/fwcfg.h"

#include <errno.h>
#include <string.h>
#include "vmm/vm.h"

#define DMA_INTERFACE 3u /* the traditional and the DMA interface */

void fwcfg_init(struct fwcfg *f, struct vm *vm)
{
    memset(f, 0, sizeof(*f));
    f->vm = vm;
    f->dir_off = vm_board_alloc(vm, sizeof(struct abi_fwcfg), 4096);
    if (f->dir_off == 0) /* 0 stands for "no device" */
        f->dir_off = vm_board_alloc(vm, sizeof(struct abi_fwcfg), 4096);
    if (f->dir_off < 0) {
        f->error = -ENOSPC;
        f->dir_off = 0;
        return;
    }
    f->dir = (struct abi_fwcfg *)(vm->board + f->dir_off);
    fwcfg_bytes(f, FWCFG_SIGNATURE, "QEMU", 4);
    fwcfg_number(f, FWCFG_ID, DMA_INTERFACE, 4);
}

void *fwcfg_item(struct fwcfg *f, uint16_t key, uint32_t len, unsigned flags)
{
    int64_t off = f->error ? -1 : vm_board_alloc(f->vm, len ? len : 1, 4096);

    if (off < 0 || f->dir->count == ABI_FWCFG_MAX) {
        f->error = f->error ? f->error : -ENOSPC;
        return NULL;
    }
    f->dir->item[f->dir->count++] =
        (struct abi_fwcfg_item){.key = key, .flags = (uint16_t)flags, .size = len, .off = (uint64_t)off};
    return f->vm->board + off;
}

void fwcfg_bytes(struct fwcfg *f, uint16_t key, const void *data, uint32_t len)
{
    void *p = fwcfg_item(f, key, len, 0);

    if (p)
        memcpy(p, data, len);
}

void fwcfg_number(struct fwcfg *f, uint16_t key, uint64_t v, unsigned len)
{
    fwcfg_bytes(f, key, &v, len);
}

int fwcfg_key_of(const struct fwcfg *f, const char *name)
{
    for (unsigned i = 0; i < f->n_file; i++)
        if (!strcmp(f->file[i].name, name))
            return (int)(FWCFG_FILE_FIRST + i);
    return -1;
}

bool fwcfg_has_file(const struct fwcfg *f, const char *name)
{
    return fwcfg_key_of(f, name) >= 0;
}

void *fwcfg_file(struct fwcfg *f, const char *name, uint32_t len, unsigned flags)
{
    unsigned n = f->n_file;
    void *p;

    if (n == FWCFG_FILES_MAX || strlen(name) >= FWCFG_NAME_MAX)
        f->error = f->error ? f->error : -ENOSPC;
    if (!f->error && fwcfg_has_file(f, name))
        f->error = -EEXIST;
    p = f->error ? NULL : fwcfg_item(f, (uint16_t)(FWCFG_FILE_FIRST + n), len, flags);
    if (!p)
        return NULL;
    strcpy(f->file[n].name, name);
    f->file[n].size = len;
    f->n_file++;
    return p;
}

void fwcfg_file_bytes(struct fwcfg *f, const char *name, const void *data, uint32_t len)
{
    void *p = fwcfg_file(f, name, len, 0);

    if (p)
        memcpy(p, data, len);
}

static void be(uint8_t *p, uint32_t v, unsigned len)
{
    while (len--) {
        p[len] = (uint8_t)v;
        v >>= 8;
    }
}

int fwcfg_finish(struct fwcfg *f)
{
    uint8_t *p = fwcfg_item(f, FWCFG_FILE_DIR, 4 + f->n_file * 64, 0);

    if (!p)
        return f->error;
    be(p, f->n_file, 4);
    p += 4;
    for (unsigned i = 0; i < f->n_file; i++, p += 64) {
        be(p, f->file[i].size, 4);
        be(p + 4, FWCFG_FILE_FIRST + i, 2);
        strcpy((char *)p + 8, f->file[i].name);
    }
    f->vm->page->fwcfg_off = (uint64_t)f->dir_off;
    return 0;
}
