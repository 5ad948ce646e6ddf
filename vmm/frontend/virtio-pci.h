/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device as the guest sees it: a PCI function (virtio 1.2 section 4.1, modern and legacy)
 * in front of a vhost-user back end that may die and be replaced. Status, features, queue addresses
 * and vectors live here and survive the back end; ring contents and device work never pass here.
 */
#ifndef BULKHEAD_VMM_FRONTEND_VIRTIO_PCI_H
#define BULKHEAD_VMM_FRONTEND_VIRTIO_PCI_H

#include <stdbool.h>
#include <stdint.h>
#include "ipc/log.h"
#include "vhost-user/vu-frontend.h"
#include "vmm/machine/pci.h"
#include "vmm/vm.h"

#define VIRTIO_DEV_QUEUES 4
#define VIRTIO_DEV_CONFIG 64
#define VIRTIO_NO_VECTOR  0xffffu

/* BARs: 0 = legacy registers, 1 = MSI-X, 4 = modern registers, one page per structure. */
#define VIRTIO_BAR_LEGACY  0
#define VIRTIO_BAR_MSIX    1
#define VIRTIO_BAR_MODERN  4
#define VIRTIO_AT_COMMON   0x0000u
#define VIRTIO_AT_ISR      0x1000u
#define VIRTIO_AT_DEVICE   0x2000u
#define VIRTIO_AT_NOTIFY   0x3000u
#define VIRTIO_MODERN_SIZE 0x4000u
#define VIRTIO_NOTIFY_STEP 4u

struct virtio_type { /* what a kind of device is made of */
    uint16_t id;     /* virtio device ID */
    uint16_t legacy_pci_id;
    uint32_t pci_class;
    const char *class_name;
    unsigned queues, vectors;
    uint16_t queue_size;
    uint8_t config_len;
    uint64_t features; /* device-specific bits that may be passed on from the back end */
};
extern const struct virtio_type virtio_type_blk, virtio_type_net, virtio_type_scsi;

struct virtio_queue {
    uint16_t size;
    uint16_t vector;
    bool enabled;
    uint64_t desc, avail, used;
};
struct virtio_dev {
    struct pci_dev pci;
    struct vm *vm;
    const struct virtio_type *type;
    char id[64]; /* role id: names the back end */
    char qdev_id[64];
    bool legacy, modern;

    struct vu_frontend fe;
    int be_req_fd;  /* BACKEND_REQ descriptor in the loop, -1 none */
    uint64_t offer; /* features shown to the driver */
    bool failed;    /* the back end was given up */

    uint8_t status, generation;
    bool live; /* DRIVER_OK and the rings are valid: a back end must be running them */
    uint64_t driver_features;
    uint32_t offer_select, driver_select;
    uint16_t queue_select, config_vector;
    struct virtio_queue q[VIRTIO_DEV_QUEUES];
    uint8_t config[VIRTIO_DEV_CONFIG]; /* last known, so that a dead back end stalls nobody */

    unsigned kick0, call0; /* slots: kick0 + queue, call0 + queue; call0 + queues = configuration */
    unsigned isr_slot;
    struct abi_irq_route route[VIRTIO_DEV_QUEUES + 1]; /* as published */
    uint8_t cfg_cap; /* VIRTIO_PCI_CAP_PCI_CFG in configuration space */
    struct ipc_ratelimit rl;
};

/* virtio-pci.c: builds the function and puts it on the bus. 0 or -errno with one line in err. */
struct virtio_place {
    int slot, fn; /* slot -1: first free */
    bool disable_legacy, disable_modern;
    unsigned isr_slot;
    uint64_t rom_off; /* expansion ROM in board memory, rom_size 0 = none */
    uint32_t rom_size;
    uint8_t gsi[4]; /* of INTA#, by slot modulo 4 */
};
int virtio_pci_add(struct virtio_dev *d, struct vm *vm, struct pci_bus *bus,
                   const struct virtio_type *type, const char *id, const char *qdev_id,
                   const struct virtio_place *at, char *err, size_t errlen);
void *virtio_guest_memory(struct virtio_dev *d, uint64_t gpa, uint64_t len);
void virtio_kick(struct virtio_dev *d,
                 unsigned queue);              /* notify register reached through the vmm */
uint8_t virtio_isr_take(struct virtio_dev *d); /* read and clear */

/* virtio-modern.c, virtio-legacy.c: the two register layouts. */
uint64_t virtio_common_read(struct virtio_dev *d, uint64_t off, unsigned size);
void virtio_common_write(struct virtio_dev *d, uint64_t off, unsigned size, uint64_t value);
uint64_t virtio_legacy_read(struct virtio_dev *d, uint64_t off, unsigned size);
void virtio_legacy_write(struct virtio_dev *d, uint64_t off, unsigned size, uint64_t value);
uint32_t virtio_legacy_io_size(const struct virtio_dev *d);

/* virtio-device.c: the status machine (section 2.1). */
void virtio_status_set(struct virtio_dev *d, uint8_t status, bool legacy);
void virtio_reset(struct virtio_dev *d);
void virtio_needs_reset(struct virtio_dev *d,
                        const char *why); /* the guest's fault, or device lost */
uint64_t virtio_offer(const struct virtio_dev *d);
uint64_t virtio_config_read(struct virtio_dev *d, uint64_t off, unsigned size);
void virtio_config_write(struct virtio_dev *d, uint64_t off, unsigned size, uint64_t value);

/* virtio-irq.c: vectors and interrupt routes. */
void virtio_routes_init(struct virtio_dev *d);
void virtio_routes_update(struct virtio_dev *d);
bool virtio_vector_pending(struct virtio_dev *d, unsigned vector);
void virtio_config_interrupt(struct virtio_dev *d);
uint16_t virtio_vector_check(const struct virtio_dev *d, uint64_t vector);

/* backend.c: the back end's life. */
void virtio_backend_start(struct virtio_dev *d); /* the driver is live; start it if it is there */
void virtio_backend_lost(struct virtio_dev *d, const char *what, int error); /* have it restarted */
void virtio_backend_gone(struct virtio_dev *d);                              /* it died */
void virtio_backend_serve(struct virtio_dev *d); /* requests of the back end, also noted ones */

#endif
