/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An open VHDX image, shared by the vhdx files of this folder. Section numbers are those of [MS-VHDX]. Must never be
 * seen outside block-proc/image.
 */
#ifndef BULKHEAD_BLOCK_PROC_IMAGE_VHDX_H
#define BULKHEAD_BLOCK_PROC_IMAGE_VHDX_H

#include "block-proc/image/bat.h"

#define VHDX_MB       (1u << 20)
#define VHDX_PAGE     4096u
#define VHDX_HEADER_1 (64u << 10)
#define VHDX_HEADER_2 (128u << 10)
#define VHDX_REGION_1 (192u << 10)
#define VHDX_REGION_2 (256u << 10)
#define VHDX_TABLE    (64u << 10) /* bytes of a region or metadata table */
#define VHDX_LOG_MAX  (64u << 20)

struct vhdx_guid {
    uint8_t b[16];
};
extern const struct vhdx_guid vhdx_guid_bat, vhdx_guid_metadata, vhdx_guid_parameters, vhdx_guid_size, vhdx_guid_page83,
    vhdx_guid_logical, vhdx_guid_physical;

struct vhdx {
    uint8_t header[VHDX_PAGE]; /* the current one, as in the file */
    uint64_t header_at;
    uint64_t sequence;   /* of the header */
    uint64_t log_at, log_seq, log_next; /* log_next: offset in the log of the next entry */
    uint32_t log_len;
    bool log_used;       /* the header names a log: a killed process leaves it to be replayed */
    uint64_t bat_at, n, ratio; /* entries; payload entries between two of sector bitmaps */
    uint64_t *bat;       /* host byte order */
    uint64_t end;        /* where the file can grow */
    bool state_zero;     /* new blocks of zeros are written as such */
};

uint32_t vhdx_crc32c(const void *p, size_t n, size_t field); /* field: offset of the checksum, counted as zeros */
/* vhdx-log.c. Brings the file to what the log says. 0 or -errno after one line. */
int vhdx_log_replay(struct img *img, struct vhdx *v, struct img_io *io);
/* One page of the file through the log, then in its place. */
int vhdx_log_write(struct img *img, struct vhdx *v, uint64_t at, const uint8_t *page, struct img_io *io);
/* Writes the other header with what v->header holds, a sequence number further. */
int vhdx_header_write(struct img *img, struct vhdx *v, struct img_io *io);
/* vhdx-create.c */
int vhdx_create(struct img_file *file, const struct img_create *c, struct img_io *io);

#endif
