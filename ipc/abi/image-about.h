/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `bulkhead-block --inspect` writes about an image: the answer of a locked-down program that has
 * read a hostile header. Owns the layout only; every reader checks it.
 */
#ifndef BULKHEAD_IPC_ABI_IMAGE_ABOUT_H
#define BULKHEAD_IPC_ABI_IMAGE_ABOUT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ABI_IMAGE_MAGIC 0x426b6961u

struct abi_image_about {
    uint32_t magic;
    int32_t error; /* errno; text says what */
    uint64_t size; /* of the disk, bytes */
    char format[16];
    char backing[1024]; /* as the header has it; "" = none */
    char backing_format[16];
    char text[256];
};
/* The formats the block process has, for those who check names of formats and must not know the formats. */
#define ABI_IMAGE_FORMATS "raw, qcow2, vdi, vpc, parallels, qed, qcow, vmdk, vhdx, bochs, cloop, dmg"

static inline bool abi_image_format_known(const char *name)
{
    size_t n = strlen(name);
    static const char list[] = ABI_IMAGE_FORMATS;
    for (const char *p = list; n && (p = strstr(p, name)); p++)
        if ((p == list || p[-1] == ' ') && (p[n] == ',' || !p[n]))
            return true;
    return false;
}

_Static_assert(sizeof(struct abi_image_about) == 1328, "ABI");

#endif
