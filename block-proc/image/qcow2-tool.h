/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only tools do to a qcow2 image: make, check, repair, write compressed, snapshots. Owns the plain
 * structures those operations report with.
 */
#ifndef BULKHEAD_BLOCK_PROC_IMAGE_QCOW2_TOOL_H
#define BULKHEAD_BLOCK_PROC_IMAGE_QCOW2_TOOL_H

#include "block-proc/image/image.h"

struct qcow2_create {
    uint64_t size;
    uint32_t cluster, refcount_bits;
    bool v2, lazy, zstd;
    const char *backing, *backing_fmt; /* NULL = none */
    bool metadata, falloc, full; /* preallocation */
};
/* Writes a new image into an empty file. 0 or -errno. */
int qcow2_create(struct img_file *file, const struct qcow2_create *c, struct img_io *io);

/* fix_leaks, fix_all: repair. The image is quiet. 0, or -errno when it could not be checked. */
int qcow2_check(struct img *img, struct img_check *c, bool fix_leaks, bool fix_all, struct img_io *io);

/* One whole cluster at off, written compressed where that saves room. */
int qcow2_write_packed(struct img *img, const uint8_t *data, uint64_t off, struct img_io *io);

struct qcow2_snapshot {
    char id[64], name[256];
    uint64_t l1_offset, state_size, disk_size, clock_ns, icount;
    uint32_t l1_size, date_s, date_ns;
};
/* *list: n of them and room for one more, to be freed. All return 0 or -errno; which = id or name,
 * -ENOENT: there is none. The image is quiet. */
int qcow2_snapshots(struct img *img, struct qcow2_snapshot **list, unsigned *n, struct img_io *io);
int qcow2_snapshot_create(struct img *img, const char *name, struct img_io *io);
int qcow2_snapshot_apply(struct img *img, const char *which, struct img_io *io);
int qcow2_snapshot_delete(struct img *img, const char *which, struct img_io *io);

/* Gives up all clusters of the disk: its backing image shows everywhere. Snapshots stay. */
int qcow2_empty(struct img *img, struct img_io *io);

struct qcow2_change {
    const char *backing, *backing_fmt; /* NULL = as it is, "" = none */
    uint32_t version;                  /* 0 = as it is */
    int lazy;                          /* -1 = as it is */
};
/* Rewrites the header. The image is opened anew afterwards. */
int qcow2_header_change(struct img *img, const struct qcow2_change *c, struct img_io *io);
/* Before version 2: no entry says zeros. */
int qcow2_zeros_expand(struct img *img, struct img_io *io);
/* Why the image cannot become version 2, NULL = it can. */
const char *qcow2_downgrade_refuse(const struct img *img);
/* The disk is that of a snapshot from now on; the image is read-only. 0 or -errno. */
int qcow2_snapshot_load(struct img *img, const char *which, struct img_io *io);

struct qcow2_about { /* for info */
    unsigned refcount_bits;
    bool v3, lazy, zstd, corrupt, dirty;
};
void qcow2_about(const struct img *img, struct qcow2_about *a);

#endif
