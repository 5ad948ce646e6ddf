/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers in image headers: little and big endian, at any address. Owns nothing; must never check a value.
 */
#ifndef BULKHEAD_BLOCK_PROC_IMAGE_BYTES_H
#define BULKHEAD_BLOCK_PROC_IMAGE_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define BYTES_ACCESS(order, bits)                                    \
    static inline uint##bits##_t order##bits##_get(const void *p)    \
    {                                                                \
        uint##bits##_t v;                                            \
        memcpy(&v, p, sizeof(v));                                    \
        return order##bits##toh(v);                                  \
    }                                                                \
    static inline void order##bits##_put(void *p, uint##bits##_t v)  \
    {                                                                \
        v = hto##order##bits(v);                                     \
        memcpy(p, &v, sizeof(v));                                    \
    }
BYTES_ACCESS(le, 16)
BYTES_ACCESS(le, 32)
BYTES_ACCESS(le, 64)
BYTES_ACCESS(be, 16)
BYTES_ACCESS(be, 32)
BYTES_ACCESS(be, 64)
#undef BYTES_ACCESS

static inline uint64_t round_up(uint64_t v, uint64_t to)
{
    return (v + to - 1) / to * to;
}

#endif
