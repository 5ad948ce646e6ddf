/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupt routes of a virtio function: one call eventfd per queue and one for the configuration,
 * each with the message (MSI-X) or ISR bit (INTx) it stands for. A device process writes its
 * eventfd and chooses neither. Must never deliver an interrupt but through an eventfd.
 */
#include "vmm/frontend/virtio-pci.h"

#include <linux/virtio_config.h>
#include <string.h>
#include <unistd.h>

#define ISR_QUEUE  1u
#define ISR_CONFIG 2u

static struct abi_irq_route *shared_route(struct virtio_dev *d, unsigned i)
{
    return &d->vm->page->route[d->call0 + i];
}

static void eventfd_add(int fd)
{
    uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof(one)); /* full counter: it is signalled already */

    (void)n;
}

static uint16_t vector_of(const struct virtio_dev *d, unsigned i)
{
    return i < d->type->queues ? d->q[i].vector : d->config_vector;
}

/* What route i must say now. A function that may not master the bus cannot send a message: it stays
 * pending until it may (PCI 3.0 section 6.2.2, bit 2). */
static void route_compute(const struct virtio_dev *d, unsigned i, struct abi_irq_route *r)
{
    uint16_t v = vector_of(d, i);

    memset(r, 0, sizeof(*r));
    if (!pci_msix_enabled(&d->pci)) {
        if (!(d->status & VIRTIO_CONFIG_S_DRIVER_OK))
            return;
        r->flags = ABI_ROUTE_VALID;
        r->isr_slot = d->isr_slot;
        r->isr_bits = i < d->type->queues ? ISR_QUEUE : ISR_CONFIG;
        return;
    }
    if (v >= d->pci.msix.n)
        return;
    r->flags = ABI_ROUTE_VALID | ABI_ROUTE_MSI;
    r->msi_addr = d->pci.msix.entry[v][0] | (uint64_t)d->pci.msix.entry[v][1] << 32;
    r->msi_data = d->pci.msix.entry[v][2];
    if (pci_msix_masked(&d->pci, v) || !pci_bus_master(&d->pci))
        r->flags |= ABI_ROUTE_MASKED;
}

static void route_publish(struct abi_irq_route *s, const struct abi_irq_route *r)
{
    uint32_t seq = __atomic_load_n(&s->seq, __ATOMIC_RELAXED) | 1u;

    __atomic_store_n(&s->seq, seq, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    s->flags = r->flags;
    s->msi_data = r->msi_data;
    s->msi_addr = r->msi_addr;
    s->isr_slot = r->isr_slot;
    s->isr_bits = r->isr_bits;
    __atomic_store_n(&s->seq, seq + 1, __ATOMIC_SEQ_CST);
}

/* The worker sets pending, then looks at the route again; we change the route, then look at
 * pending. One of the two sees the other, so a masked interrupt is never lost. */
static void pending_flush(struct virtio_dev *d, unsigned i)
{
    struct abi_irq_route *s = shared_route(d, i);

    if (d->route[i].flags & ABI_ROUTE_MASKED)
        return;
    if (__atomic_exchange_n(&s->pending, 0, __ATOMIC_SEQ_CST) && d->route[i].flags)
        eventfd_add(d->vm->call_fd[d->call0 + i]);
}

/* ISR bits, wiring and the INTx mask; the worker re-evaluates the lines when it is called. */
static void line_update(struct virtio_dev *d, bool clear)
{
    struct abi_isr *isr = &d->vm->page->isr[d->isr_slot];
    uint32_t off = pci_intx_disabled(&d->pci) || pci_msix_enabled(&d->pci);
    bool changed = __atomic_exchange_n(&isr->disabled, off, __ATOMIC_SEQ_CST) != off;

    if (clear)
        changed |= __atomic_exchange_n(&isr->bits, 0, __ATOMIC_SEQ_CST) != 0;
    if (changed)
        eventfd_add(d->vm->doorbell_worker);
}

void virtio_routes_update(struct virtio_dev *d)
{
    for (unsigned i = 0; i <= d->type->queues; i++) {
        struct abi_irq_route r;

        route_compute(d, i, &r);
        if (memcmp(&r, &d->route[i], sizeof(r))) {
            d->route[i] = r;
            route_publish(shared_route(d, i), &r);
        }
        pending_flush(d, i);
    }
    line_update(d, !(d->status & VIRTIO_CONFIG_S_DRIVER_OK));
}

void virtio_routes_init(struct virtio_dev *d)
{
    for (unsigned i = 0; i <= d->type->queues; i++) {
        memset(&d->route[i], 0, sizeof(d->route[i]));
        route_publish(shared_route(d, i), &d->route[i]);
        __atomic_store_n(&shared_route(d, i)->pending, 0, __ATOMIC_RELAXED);
    }
}

bool virtio_vector_pending(struct virtio_dev *d, unsigned vector)
{
    for (unsigned i = 0; i <= d->type->queues; i++)
        if (vector_of(d, i) == vector &&
            __atomic_load_n(&shared_route(d, i)->pending, __ATOMIC_SEQ_CST))
            return true;
    return false;
}

void virtio_config_interrupt(struct virtio_dev *d)
{
    if (d->status & VIRTIO_CONFIG_S_DRIVER_OK)
        eventfd_add(d->vm->call_fd[d->call0 + d->type->queues]);
}

/* Section 4.1.5.1.2: a vector that does not exist is answered with NO_VECTOR. */
uint16_t virtio_vector_check(const struct virtio_dev *d, uint64_t vector)
{
    return vector < d->pci.msix.n ? (uint16_t)vector : VIRTIO_NO_VECTOR;
}

/* #syscalls:vmm write */
void virtio_kick(struct virtio_dev *d, unsigned queue)
{
    if (queue < d->type->queues)
        eventfd_add(d->vm->kick_fd[d->kick0 + queue]);
}

uint8_t virtio_isr_take(struct virtio_dev *d)
{
    uint32_t bits = __atomic_exchange_n(&d->vm->page->isr[d->isr_slot].bits, 0, __ATOMIC_SEQ_CST);

    if (bits)
        eventfd_add(d->vm->doorbell_worker);
    return (uint8_t)bits;
}
