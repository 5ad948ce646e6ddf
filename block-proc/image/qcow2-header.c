/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the header of a qcow2 image. Pure: bytes in, numbers or one line of text out. Must never
 * follow an offset out of the buffer.
 */
#include "block-proc/image/qcow2-header.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define EXT_END      0u
#define EXT_FORMAT   0xe2792acau
#define EXT_DATA     0x44415441u
#define EXT_BITMAPS  0x23852875u
#define KNOWN        (QCOW2_DIRTY | QCOW2_CORRUPT | QCOW2_DATA_FILE | QCOW2_COMPRESSION | QCOW2_EXTL2)

struct parse {
    const uint8_t *buf;
    size_t n;
    char *err;
    size_t errlen;
};

static int __attribute__((format(printf, 3, 4))) bad(struct parse *p, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(p->err, p->errlen, fmt, ap);
    va_end(ap);
    return code;
}

static int text_copy(char *dst, size_t size, const uint8_t *src, size_t len)
{
    if (len >= size || memchr(src, 0, len) || memchr(src, '\n', len))
        return -1;
    memcpy(dst, src, len);
    dst[len] = 0;
    return 0;
}

static void fixed_read(struct qcow2_header *h, const uint8_t *b)
{
    h->version = qcow2_be32(b + 4);
    h->cluster_bits = qcow2_be32(b + 20);
    h->size = qcow2_be64(b + 24);
    h->crypt_method = qcow2_be32(b + 32);
    h->l1_size = qcow2_be32(b + 36);
    h->l1_offset = qcow2_be64(b + 40);
    h->reftable_offset = qcow2_be64(b + 48);
    h->reftable_clusters = qcow2_be32(b + 56);
    h->snapshots = qcow2_be32(b + 60);
    h->snapshots_offset = qcow2_be64(b + 64);
    h->refcount_order = 4;
    h->header_length = 72;
    if (h->version < 3)
        return;
    h->incompatible = qcow2_be64(b + 72);
    h->compatible = qcow2_be64(b + 80);
    h->autoclear = qcow2_be64(b + 88);
    h->refcount_order = qcow2_be32(b + 96);
    h->header_length = qcow2_be32(b + 100);
}

static int features_check(struct qcow2_header *h, struct parse *p)
{
    if (h->incompatible & ~(uint64_t)KNOWN)
        return bad(p, -ENOTSUP, "unsupported qcow2 feature bits %#llx",
                   (unsigned long long)(h->incompatible & ~(uint64_t)KNOWN));
    if (h->incompatible & QCOW2_DATA_FILE)
        return bad(p, -ENOTSUP, "qcow2 with an external data file is not built");
    if (h->incompatible & QCOW2_EXTL2)
        return bad(p, -ENOTSUP, "qcow2 with extended_l2=on is not built");
    if (h->crypt_method)
        return bad(p, -ENOTSUP, "qcow2 encryption is not built (method %u)", h->crypt_method);
    if (h->incompatible & QCOW2_COMPRESSION) {
        if (h->header_length < 112 || p->n < 112 || p->buf[104] != 1)
            return bad(p, -EINVAL, "unknown compression type");
        h->zstd = true;
    }
    return 0;
}

static bool aligned(const struct qcow2_header *h, uint64_t off)
{
    return !(off & ((1ull << h->cluster_bits) - 1)) && off < 1ull << 56;
}

static int tables_check(struct qcow2_header *h, struct parse *p)
{
    uint64_t per_l1 = 1ull << (2 * h->cluster_bits - 3);
    if (h->size > (uint64_t)INT64_MAX - per_l1)
        return bad(p, -EINVAL, "the disk is too large");
    if (h->l1_size > QCOW2_L1_MAX / 8)
        return bad(p, -EINVAL, "the L1 table is too large");
    if (h->l1_size < (h->size + per_l1 - 1) / per_l1)
        return bad(p, -EINVAL, "the L1 table is too small for the disk");
    if (!aligned(h, h->l1_offset) || (h->l1_size && !h->l1_offset))
        return bad(p, -EINVAL, "invalid offset of the L1 table");
    if (!h->reftable_clusters ||
        h->reftable_clusters > QCOW2_REFTABLE_MAX >> h->cluster_bits)
        return bad(p, -EINVAL, "the refcount table has an impossible size");
    if (!aligned(h, h->reftable_offset) || !h->reftable_offset)
        return bad(p, -EINVAL, "invalid offset of the refcount table");
    if (h->snapshots > QCOW2_SNAPSHOTS || !aligned(h, h->snapshots_offset))
        return bad(p, -EINVAL, "invalid snapshot table");
    return 0;
}

static int extension_take(struct qcow2_header *h, struct parse *p, uint32_t type, size_t at, uint32_t len)
{
    if (type == EXT_FORMAT && text_copy(h->backing_fmt, sizeof(h->backing_fmt), p->buf + at, len))
        return bad(p, -EINVAL, "the name of the backing file's format is too long");
    if (type == EXT_DATA && text_copy(h->data_file, sizeof(h->data_file), p->buf + at, len))
        return bad(p, -EINVAL, "the data file's name is invalid");
    if (type == EXT_BITMAPS)
        h->bitmaps = true;
    return 0;
}

static int extensions_read(struct qcow2_header *h, struct parse *p, size_t end)
{
    for (size_t at = h->header_length; at + 8 <= end;) {
        uint32_t type = qcow2_be32(p->buf + at), len = qcow2_be32(p->buf + at + 4);
        if (type == EXT_END)
            return 0;
        at += 8;
        if (len > end - at)
            return bad(p, -EINVAL, "a header extension reaches out of the header");
        int r = extension_take(h, p, type, at, len);
        if (r < 0)
            return r;
        at += ((size_t)len + 7) & ~(size_t)7;
    }
    return 0;
}

static int backing_read(struct qcow2_header *h, struct parse *p, size_t *end)
{
    uint64_t off = qcow2_be64(p->buf + 8);
    uint32_t len = qcow2_be32(p->buf + 16);
    if (!off)
        return 0;
    if (len > 1023 || off > *end || len > *end - off || off < h->header_length ||
        text_copy(h->backing, sizeof(h->backing), p->buf + off, len))
        return bad(p, -EINVAL, "the backing file's name is invalid");
    *end = (size_t)off;
    return 0;
}

int qcow2_header_parse(struct qcow2_header *h, const uint8_t *buf, size_t n, char *err, size_t errlen)
{
    struct parse p = {buf, n, err, errlen};
    memset(h, 0, sizeof(*h));
    if (n < 104 || qcow2_be32(buf) != QCOW2_MAGIC)
        return bad(&p, -EINVAL, "not a qcow2 image");
    fixed_read(h, buf);
    if (h->version != 2 && h->version != 3)
        return bad(&p, -ENOTSUP, "unsupported qcow2 version %u", h->version);
    if (h->cluster_bits < 9 || h->cluster_bits > 21)
        return bad(&p, -EINVAL, "cluster size 2^%u is out of range", h->cluster_bits);
    size_t end = n < 1u << h->cluster_bits ? n : 1u << h->cluster_bits;
    if (h->version == 3 && (h->header_length < 104 || h->header_length > end || h->header_length % 8))
        return bad(&p, -EINVAL, "invalid header length %u", h->header_length);
    if (h->refcount_order > 6)
        return bad(&p, -EINVAL, "refcounts of 2^%u bits are out of range", h->refcount_order);
    int r = features_check(h, &p);
    if (r == 0)
        r = tables_check(h, &p);
    if (r == 0)
        r = backing_read(h, &p, &end);
    return r < 0 ? r : extensions_read(h, &p, end);
}
