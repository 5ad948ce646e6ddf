/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `bulkhead-block --inspect` writes about an image: the answer of a locked-down program that has
 * read a hostile header. Owns the layout only; every reader checks it.
 */
#ifndef BULKHEAD_IPC_ABI_IMAGE_ABOUT_H
#define BULKHEAD_IPC_ABI_IMAGE_ABOUT_H

#include <stdint.h>

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
_Static_assert(sizeof(struct abi_image_about) == 1328, "ABI");

#endif
