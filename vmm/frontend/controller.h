/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A storage controller as the vmm has it: a PCI function whose registers a device process answers
 * (ipc/abi/device-page.h), and the links from that process to its drives' block processes. Decides
 * what is decoded where and which interrupt is whose; must never look into a register or a ring.
 */
#ifndef BULKHEAD_VMM_FRONTEND_CONTROLLER_H
#define BULKHEAD_VMM_FRONTEND_CONTROLLER_H

#include "ipc/abi/device-page.h"
#include "ipc/abi/disk-link.h"
#include "vhost-user/vu-frontend.h"
#include "vmm/machine/pci.h"
#include "vmm/vm.h"

struct controller;
struct controller_port { /* ports decoded while the function's I/O decoding is on */
    uint16_t first, count;
    uint8_t region;
};
struct controller_type {
    const char *class_name; /* NULL: no function of its own, a virtio function is in front of it */
    uint16_t vendor, device;
    uint32_t pci_class;
    uint8_t revision;
    struct {
        enum pci_bar_kind kind;
        uint32_t size;
    } bar[PCI_BARS];
    struct controller_port port[4]; /* count 0 ends the list */
    unsigned lines;
    uint8_t line_gsi[ABI_DEV_LINES]; /* 0: INTA# of its slot */
    unsigned vectors, msix_bar;      /* MSI-X; 0 = none. Vector v is call eventfd lines + v */
};
struct disk_link {
    struct controller *ctl;
    unsigned unit;
    const struct plan_disk *disk; /* NULL = nothing there */
    struct vu_frontend fe;
    struct abi_disk_link *shm;
    int fd, kick, call, be_req_fd;
};
struct controller {
    struct pci_dev pci;
    struct vm *vm;
    const struct controller_type *type;
    const struct plan_ctl *plan;
    unsigned index; /* in plan.ctl[], the machine page's dev[] and the map's slots */
    struct abi_devpage *page;
    int page_fd;
    bool up; /* its process serves */
    unsigned kick, call0, n_call, isr0;
    uint32_t timeouts; /* of the page, last seen */
    struct abi_irq_route route[PCI_MSIX_MAX]; /* of the vectors, as published */
    struct disk_link link[PLAN_UNITS_MAX];
};

struct controller_place {
    int slot, fn;
    unsigned isr_slot; /* the first of type->lines */
    uint8_t gsi;       /* of INTA# of its slot */
    const struct vu_fe_region *ram;
    unsigned n_ram;
};
/* Builds the function, its page and its links. 0 or -errno with a line in err. */
int controller_add(struct controller *c, struct vm *vm, struct pci_bus *bus, unsigned index,
                   const struct controller_place *at, char *err, size_t errlen);
/* The process came, went, or was given up. */
void controller_ready(struct controller *c);
void controller_down(struct controller *c);
void controller_failed(struct controller *c);
/* The worker says somebody did not answer: has the process restarted. */
void controller_timeouts_look(struct controller *c);
void controller_doorbell(struct controller *c);
void controller_units_publish(struct controller *c);

/* controller-irq.c: lines and vectors. */
void controller_line_connect(struct controller *c, unsigned i, uint8_t gsi);
void controller_irq_changed(struct pci_dev *p);
bool controller_vector_pending(struct pci_dev *p, unsigned vector);

/* disk-link.c */
int disk_link_build(struct disk_link *k, struct controller *c, unsigned unit,
                    const struct controller_place *at);
struct disk_link *disk_link_find(struct controller *c, const char *id);
int disk_link_up(struct disk_link *k, int fd);
void disk_link_down(struct disk_link *k);
void disk_link_drain(struct disk_link *k); /* nothing of it reaches guest memory after this */

extern const struct controller_type controller_types[CTL_KINDS];

#endif
