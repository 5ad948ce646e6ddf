/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of virtio device this machine can have: identity, shape and the feature bits the front
 * end lets through. A bit is listed only when everything it needs (queues, config fields) is here.
 */
#include "vmm/frontend/virtio-pci.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_scsi.h>
#include <stddef.h>

#define BIT(n) (1ull << (n))

/* One queue: no MQ. Configuration up to and including write_zeroes_may_unmap. */
const struct virtio_type virtio_type_blk = {
    .id = VIRTIO_ID_BLOCK,
    .legacy_pci_id = 0x1001,
    .pci_class = 0x010000,
    .class_name = "SCSI controller",
    .queues = 1,
    .vectors = 2,
    .queue_size = 256,
    .config_len = offsetof(struct virtio_blk_config, write_zeroes_may_unmap) + 4,
    .features = BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) |
                BIT(VIRTIO_BLK_F_GEOMETRY) | BIT(VIRTIO_BLK_F_RO) | BIT(VIRTIO_BLK_F_BLK_SIZE) |
                BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_TOPOLOGY) |
                BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_DISCARD) |
                BIT(VIRTIO_BLK_F_WRITE_ZEROES),
};

/* Receive and transmit queue: no CTRL_VQ and nothing that depends on it. Configuration: mac,
 * status, max_virtqueue_pairs, mtu. */
const struct virtio_type virtio_type_net = {
    .id = VIRTIO_ID_NET,
    .legacy_pci_id = 0x1000,
    .pci_class = 0x020000,
    .class_name = "Ethernet controller",
    .queues = 2,
    .vectors = 3,
    .queue_size = 256,
    .config_len = offsetof(struct virtio_net_config, mtu) + 2,
    .features = BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_MTU) |
                BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_GUEST_TSO4) |
                BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN) |
                BIT(VIRTIO_NET_F_GUEST_UFO) | BIT(VIRTIO_NET_F_HOST_TSO4) |
                BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN) |
                BIT(VIRTIO_NET_F_HOST_UFO) | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_STATUS),
};

/* Control, event and one request queue. No hotplug or change events, no protection information. */
const struct virtio_type virtio_type_scsi = {
    .id = VIRTIO_ID_SCSI,
    .legacy_pci_id = 0x1004,
    .pci_class = 0x010000,
    .class_name = "SCSI controller",
    .queues = 3,
    .vectors = 4,
    .queue_size = 128,
    .config_len = sizeof(struct virtio_scsi_config),
};
