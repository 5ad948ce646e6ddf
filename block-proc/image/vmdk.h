/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An open VMware disk, shared by the vmdk files of this folder: extents, one behind the other, each in a file. Must never
 * be seen outside block-proc/image but for the functions at the end.
 */
#ifndef BULKHEAD_BLOCK_PROC_IMAGE_VMDK_H
#define BULKHEAD_BLOCK_PROC_IMAGE_VMDK_H

#include "block-proc/image/bat.h"
#include "block-proc/image/meta-cache.h"

#define VMDK_EXTENTS_MAX 1024
#define VMDK_DESC_MAX    (64u << 10)

enum vmdk_kind { VMDK_SPARSE, VMDK_FLAT, VMDK_ZERO };

struct vmdk_extent {
    enum vmdk_kind kind;
    char type[16];           /* as the descriptor has it; "" = the file the descriptor is in */
    uint64_t start, sectors; /* of the disk */
    uint64_t flat;           /* FLAT: sector in the file */
    struct img_file *file;
    int part;                /* index into img->part, -1 = img->file */
    bool compressed, markers, zero_grains, readonly;
    uint32_t grain, n_gt;    /* bytes of a grain; entries of a grain table */
    uint32_t *gd, *rgd;      /* grain directories: sectors of tables; rgd NULL = only one */
    uint64_t n_gd, end;      /* end: where the file can grow, bytes */
    struct meta_cache gt;
};

struct vmdk {
    struct vmdk_extent *extent;
    unsigned n;
    char create_type[32];
    uint32_t cid, parent_cid;
    uint64_t desc_at, cid_at; /* the descriptor's place in img->file, and that of "CID=" digits in it; 0 = none */
    bool cid_new;             /* a new one was written since it was opened */
};

/* vmdk-desc.c: reads a descriptor's text into the extents. 0 or -errno after one line. */
int vmdk_desc_parse(struct img *img, char *text);
/* The text of a new descriptor; lines: those of its extents. */
int vmdk_desc_print(char *out, size_t size, const struct img_create *c, uint32_t cid, const char *type, const char *lines);
int vmdk_create(struct img_file *file, const struct img_create *c, struct img_io *io);
/* vmdk-sparse.c: reads an extent's header; capacity becomes x->sectors if that is 0. */
int vmdk_sparse_open(struct img *img, struct vmdk_extent *x, uint64_t *desc_at, uint64_t *desc_len, struct img_io *io);
void vmdk_sparse_close(struct vmdk_extent *x);
/* The grain's table entry: a sector, 0 = none, 1 = zeros where the extent has that. */
int vmdk_gte_get(struct img *img, struct vmdk_extent *x, uint64_t grain, uint32_t *gte, struct img_io *io);
int vmdk_gte_put(struct img *img, struct vmdk_extent *x, uint64_t grain, uint32_t gte, struct img_io *io);
/* A new extent in an empty file. desc: what its descriptor holds, "" = nothing. */
int vmdk_sparse_create(struct img_file *file, const struct img_create *c, uint64_t size, bool packed, const char *desc,
                       struct img_io *io);

/* For info and for images made on top of this one. */
uint32_t vmdk_cid(const struct img *img);
const struct vmdk *vmdk_about(const struct img *img);

#endif
