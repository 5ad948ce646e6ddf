/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-blk as laid down by virtio 1.2 section 5.2: feature bits, configuration space, requests.
 * Owns layouts only.
 */
#ifndef BULKHEAD_VHOST_USER_VIRTIO_BLK_SPEC_H
#define BULKHEAD_VHOST_USER_VIRTIO_BLK_SPEC_H

#include <stddef.h>
#include <stdint.h>

#define VIRTIO_BLK_F_SEG_MAX_BIT      (1ull << 2)
#define VIRTIO_BLK_F_RO_BIT           (1ull << 5)
#define VIRTIO_BLK_F_BLK_SIZE_BIT     (1ull << 6)
#define VIRTIO_BLK_F_FLUSH_BIT        (1ull << 9)
#define VIRTIO_BLK_F_TOPOLOGY_BIT     (1ull << 10)
#define VIRTIO_BLK_F_CONFIG_WCE_BIT   (1ull << 11)
#define VIRTIO_BLK_F_MQ_BIT           (1ull << 12)
#define VIRTIO_BLK_F_DISCARD_BIT      (1ull << 13)
#define VIRTIO_BLK_F_WRITE_ZEROES_BIT (1ull << 14)

enum vblk_type {
    VBLK_IN = 0,
    VBLK_OUT = 1,
    VBLK_FLUSH = 4,
    VBLK_GET_ID = 8,
    VBLK_DISCARD = 11,
    VBLK_WRITE_ZEROES = 13,
};
enum vblk_status { VBLK_S_OK, VBLK_S_IOERR, VBLK_S_UNSUPP };

#define VBLK_SECTOR     512u
#define VBLK_ID_BYTES   20u
#define VBLK_F_UNMAP    1u /* flags of a write-zeroes segment */

struct vblk_header {
    uint32_t type, reserved;
    uint64_t sector;
};
struct vblk_segment { /* discard, write zeroes */
    uint64_t sector;
    uint32_t num_sectors, flags;
};
struct vblk_config {
    uint64_t capacity; /* in sectors */
    uint32_t size_max, seg_max;
    uint16_t cylinders;
    uint8_t heads, sectors;
    uint32_t blk_size;
    uint8_t physical_block_exp, alignment_offset;
    uint16_t min_io_size;
    uint32_t opt_io_size;
    uint8_t writeback, unused0;
    uint16_t num_queues;
    uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
    uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap, unused1[3];
} __attribute__((packed));

_Static_assert(sizeof(struct vblk_header) == 16, "wire");
_Static_assert(sizeof(struct vblk_segment) == 16, "wire");
_Static_assert(offsetof(struct vblk_config, writeback) == 32, "wire");
_Static_assert(offsetof(struct vblk_config, max_discard_sectors) == 36, "wire");
_Static_assert(sizeof(struct vblk_config) == 60, "wire");

#endif
