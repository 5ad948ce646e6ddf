/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vhost-user protocol and the split ring as laid down by their specifications: identifiers,
 * feature bits, wire and ring layouts. Owns layouts only; must never hold behaviour.
 */
#ifndef BULKHEAD_VHOST_USER_VU_SPEC_H
#define BULKHEAD_VHOST_USER_VU_SPEC_H

#include <stddef.h>
#include <stdint.h>

/* Header of every message, native byte order. */
struct vu_header {
    uint32_t request;
    uint32_t flags;
    uint32_t size; /* of the payload */
};
#define VU_FLAG_VERSION_MASK 0x3u
#define VU_FLAG_VERSION      0x1u
#define VU_FLAG_REPLY        0x4u
#define VU_FLAG_NEED_REPLY   0x8u

#define VU_MSG_FDS_MAX     8
#define VU_CONFIG_SIZE_MAX 256

/* Virtio feature bits that concern the transport (virtio 1.2, chapter 6). */
#define VIRTIO_F_ANY_LAYOUT       (1ull << 27)
#define VIRTIO_F_INDIRECT_DESC    (1ull << 28)
#define VIRTIO_F_EVENT_IDX        (1ull << 29)
#define VHOST_USER_F_PROTOCOL     (1ull << 30) /* never shown to the guest */
#define VIRTIO_F_VERSION_1        (1ull << 32)
#define VIRTIO_F_IN_ORDER         (1ull << 35)

/* Protocol features. */
#define VU_PROTO_MQ             (1ull << 0)
#define VU_PROTO_REPLY_ACK      (1ull << 3)
#define VU_PROTO_BACKEND_REQ    (1ull << 5)
#define VU_PROTO_CONFIG         (1ull << 9)
#define VU_PROTO_INFLIGHT_SHMFD (1ull << 12)
#define VU_PROTO_RESET_DEVICE   (1ull << 13)
#define VU_PROTO_MEM_SLOTS      (1ull << 15)
#define VU_PROTO_STATUS         (1ull << 16)

#define VIRTIO_STATUS_RUNNING 0x0fu /* ACKNOWLEDGE | DRIVER | DRIVER_OK | FEATURES_OK */

struct vu_payload_region {
    uint64_t gpa, size, uva, mmap_off;
};
#define VU_MEM_TABLE_MAX 8
struct vu_payload_mem {
    uint32_t n, pad;
    struct vu_payload_region r[VU_MEM_TABLE_MAX];
};
struct vu_payload_slot { /* ADD_MEM_REG, REM_MEM_REG */
    uint64_t pad;
    struct vu_payload_region r;
};
struct vu_payload_state {
    uint32_t index, num;
};
struct vu_payload_addr {
    uint32_t index, flags;
    uint64_t desc, used, avail, log;
};
struct vu_payload_config {
    uint32_t offset, size, flags;
    uint8_t data[VU_CONFIG_SIZE_MAX];
};
struct vu_payload_inflight {
    uint64_t mmap_size, mmap_off;
    uint16_t queues, queue_size;
    uint32_t pad; /* not on the wire of older peers: see VU_INFLIGHT_WIRE */
};
#define VU_INFLIGHT_WIRE 20 /* bytes that carry meaning; peers send 20 or, padded, 24 */

/* Payload of SET_VRING_KICK, _CALL and _ERR. */
#define VU_VRING_INDEX_MASK 0xffull
#define VU_VRING_NOFD       0x100ull

union vu_payload {
    uint64_t u64;
    struct vu_payload_mem mem;
    struct vu_payload_slot slot;
    struct vu_payload_state state;
    struct vu_payload_addr addr;
    struct vu_payload_config config;
    struct vu_payload_inflight inflight;
};

/* Inflight region, split ring: one of these per queue, each rounded up to VU_INFLIGHT_ALIGN. The
 * distance between queues is not in the specification, so a region never goes from one
 * implementation to another. attempts lives in what the specification calls padding. */
#define VU_INFLIGHT_ALIGN   64u
#define VU_INFLIGHT_VERSION 1
struct vu_inflight_desc {
    uint8_t inflight;
    uint8_t attempts; /* times this chain was being handled when the process died, plus now */
    uint8_t pad[4];
    uint16_t next;
    uint64_t counter;
};
struct vu_inflight_split {
    uint64_t features;
    uint16_t version; /* 0: not initialised */
    uint16_t desc_num;
    uint16_t last_batch_head;
    uint16_t used_idx;
    struct vu_inflight_desc desc[];
};

/* Split ring (virtio 1.2 section 2.7). */
#define VRING_DESC_NEXT       1u
#define VRING_DESC_WRITE      2u
#define VRING_DESC_INDIRECT   4u
#define VRING_AVAIL_NO_CALL   1u
#define VRING_USED_NO_KICK    1u
struct vring_desc_s {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};
struct vring_used_elem_s {
    uint32_t id, len;
};
struct vring_avail_s { /* followed by used_event behind ring[num] */
    uint16_t flags, idx, ring[];
};
struct vring_used_s { /* followed by avail_event behind ring[num] */
    uint16_t flags, idx;
    struct vring_used_elem_s ring[];
};

_Static_assert(sizeof(struct vu_header) == 12, "wire");
_Static_assert(sizeof(struct vu_payload_region) == 32, "wire");
_Static_assert(sizeof(struct vu_payload_mem) == 8 + 8 * 32, "wire");
_Static_assert(sizeof(struct vu_payload_slot) == 40, "wire");
_Static_assert(sizeof(struct vu_payload_addr) == 40, "wire");
_Static_assert(sizeof(struct vu_payload_config) == 12 + VU_CONFIG_SIZE_MAX, "wire");
_Static_assert(offsetof(struct vu_payload_inflight, queue_size) + 2 == VU_INFLIGHT_WIRE, "wire");
_Static_assert(sizeof(struct vu_inflight_desc) == 16, "region");
_Static_assert(offsetof(struct vu_inflight_split, desc) == 16, "region");
_Static_assert(sizeof(struct vring_desc_s) == 16, "ring");
_Static_assert(sizeof(struct vring_used_elem_s) == 8, "ring");

#endif
