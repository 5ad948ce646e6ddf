/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of a qcow2 image, versions 2 and 3, as numbers (specification: "Header", "Header
 * extensions"). Owns the on-disk layout and every check that needs nothing but the header.
 */
#ifndef BULKHEAD_BLOCK_PROC_IMAGE_QCOW2_HEADER_H
#define BULKHEAD_BLOCK_PROC_IMAGE_QCOW2_HEADER_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define QCOW2_MAGIC        0x514649fbu
#define QCOW2_HEADER_MAX   112
#define QCOW2_DIRTY        1u
#define QCOW2_CORRUPT      2u
#define QCOW2_DATA_FILE    4u
#define QCOW2_COMPRESSION  8u
#define QCOW2_EXTL2        16u
#define QCOW2_LAZY         1u /* compatible feature */
#define QCOW2_BITMAPS      1u /* autoclear feature */
#define QCOW2_RAW_EXTERNAL 2u /* autoclear feature */
#define QCOW2_L1_MAX       (32u << 20) /* bytes */
#define QCOW2_REFTABLE_MAX (8u << 20)  /* bytes */
#define QCOW2_SNAPSHOTS    65536u

#define QCOW2_AT_INCOMPATIBLE 72 /* byte offset of the field */
#define QCOW2_AT_AUTOCLEAR    88

struct qcow2_header {
    uint32_t version, cluster_bits, crypt_method, l1_size, reftable_clusters, snapshots;
    uint32_t refcount_order, header_length;
    uint64_t size, l1_offset, reftable_offset, snapshots_offset;
    uint64_t incompatible, compatible, autoclear;
    bool zstd;
    bool bitmaps; /* has the bitmaps extension */
    char backing[1024], backing_fmt[16], data_file[1024];
};

static inline uint32_t qcow2_be32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return be32toh(v);
}

static inline uint64_t qcow2_be64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return be64toh(v);
}

static inline void qcow2_put32(uint8_t *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, 4);
}

static inline void qcow2_put64(uint8_t *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, 8);
}

/* buf: the first n bytes of the file, a whole cluster of it if there is one (at most 2 MiB; 64 KiB
 * serve where the cluster is smaller). 0, or -EINVAL / -ENOTSUP with what is wrong in err. */
int qcow2_header_parse(struct qcow2_header *h, const uint8_t *buf, size_t n, char *err, size_t errlen);

#endif
