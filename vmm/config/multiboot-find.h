/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a file's Multiboot 1 header is (Multiboot specification 0.6.96, 3.1): what -kernel is decides
 * how -initrd is read. Must never look beyond the bytes it is given.
 */
#ifndef BULKHEAD_VMM_CONFIG_MULTIBOOT_FIND_H
#define BULKHEAD_VMM_CONFIG_MULTIBOOT_FIND_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MULTIBOOT_SEARCH 8192u /* the header lies wholly inside the first 8 KiB, 4-byte aligned */
#define MULTIBOOT_MAGIC  0x1badb002u

/* Offset of the header in the first n bytes of a file, -1 = there is none. */
static inline long multiboot_find(const uint8_t *head, size_t n)
{
    for (size_t at = 0; n >= 12 && at <= n - 12 && at <= MULTIBOOT_SEARCH - 12; at += 4) {
        uint32_t w[3];

        memcpy(w, head + at, sizeof(w));
        if (w[0] == MULTIBOOT_MAGIC && w[0] + w[1] + w[2] == 0)
            return (long)at;
    }
    return -1;
}

#endif
