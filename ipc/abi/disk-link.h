/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk link: the virtqueue between a controller's process and the block process behind one of its
 * drives, in a memfd both map. The vmm makes the vhost-user connection and keeps the in-flight
 * journal; requests and data pass between the two processes alone. Data segments name guest memory
 * by its physical addresses, or the buffer at the end of the link. Owns layouts only.
 */
#ifndef BULKHEAD_IPC_ABI_DISK_LINK_H
#define BULKHEAD_IPC_ABI_DISK_LINK_H

#include <stdint.h>

/* Where the link appears in the back end's memory table: no guest has memory there. */
#define ABI_LINK_GPA    (1ull << 46)
#define ABI_LINK_TAGS   64u   /* queue size; tag n uses descriptor n, which is indirect */
#define ABI_LINK_SEGS   256u  /* data segments of one request */
#define ABI_LINK_BUFFER (256u << 10)

struct abi_link_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};
struct abi_link_tag {
    uint32_t type, reserved; /* virtio_blk_outhdr */
    uint64_t sector;
    uint8_t status, pad[47];
};
struct abi_disk_link {
    struct abi_link_desc desc[ABI_LINK_TAGS];
    struct { /* virtio 1.2 section 2.7.6 */
        uint16_t flags, idx, ring[ABI_LINK_TAGS], used_event;
    } avail __attribute__((aligned(64)));
    struct { /* section 2.7.8 */
        uint16_t flags, idx;
        struct {
            uint32_t id, len;
        } ring[ABI_LINK_TAGS];
        uint16_t avail_event;
    } used __attribute__((aligned(4096)));
    struct abi_link_tag tag[ABI_LINK_TAGS] __attribute__((aligned(4096)));
    struct abi_link_desc table[ABI_LINK_TAGS][ABI_LINK_SEGS + 2] __attribute__((aligned(4096)));
    uint8_t buffer[ABI_LINK_BUFFER] __attribute__((aligned(4096)));
};

_Static_assert(sizeof(struct abi_link_desc) == 16, "virtio");
_Static_assert(sizeof(struct abi_link_tag) == 64, "ABI");
_Static_assert(sizeof(struct abi_disk_link) % 4096 == 0, "ABI");

#endif
