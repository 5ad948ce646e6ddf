/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts of controllers: which ISR slot a line of the device page is, which message a vector. A device process
 * rings an eventfd and chooses neither. Must never deliver an interrupt itself.
 */
#include "vmm/frontend/controller.h"

#include <linux/pci_regs.h>
#include <string.h>
#include "ipc/fds.h"

void controller_line_connect(struct controller *c, unsigned i, uint8_t gsi)
{
    unsigned slot = c->isr0 + i;
    struct abi_isr *isr = &c->vm->page->isr[slot];
    struct abi_irq_route *r = &c->vm->page->route[c->call0 + i];

    isr->gsi = gsi;
    isr->source = 1 + c->index * ABI_DEV_LINES + i;
    c->vm->page->dev[c->index].isr[i] = slot + 1;
    r->isr_slot = slot;
    r->isr_bits = 0;
    r->flags = ABI_ROUTE_VALID;
}

static struct abi_irq_route *shared_route(struct controller *c, unsigned v)
{
    return &c->vm->page->route[c->call0 + c->type->lines + v];
}

static void route_compute(const struct pci_dev *p, unsigned v, struct abi_irq_route *r)
{
    memset(r, 0, sizeof(*r));
    if (!pci_msix_enabled(p))
        return;
    r->flags = ABI_ROUTE_VALID | ABI_ROUTE_MSI;
    r->msi_addr = p->msix.entry[v][0] | (uint64_t)p->msix.entry[v][1] << 32;
    r->msi_data = p->msix.entry[v][2];
    if (pci_msix_masked(p, v) || !pci_bus_master(p))
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
    __atomic_store_n(&s->seq, seq + 1, __ATOMIC_SEQ_CST);
}

/* A message that was masked is sent when it no longer is (the worker's side: irq/route.c). */
static void vector_update(struct controller *c, unsigned v)
{
    struct abi_irq_route r, *s = shared_route(c, v);

    route_compute(&c->pci, v, &r);
    if (memcmp(&r, &c->route[v], sizeof(r))) {
        c->route[v] = r;
        route_publish(s, &r);
    }
    if (!(r.flags & ABI_ROUTE_MASKED) && __atomic_exchange_n(&s->pending, 0, __ATOMIC_SEQ_CST) && r.flags)
        ipc_eventfd_signal(c->vm->call_fd[c->call0 + c->type->lines + v]);
}

void controller_irq_changed(struct pci_dev *p)
{
    struct controller *c = p->opaque;
    uint32_t off = pci_intx_disabled(p) || pci_msix_enabled(p);

    __atomic_store_n(&c->page->command, pci_get16(p->cfg + PCI_COMMAND), __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < c->type->lines; i++)
        if (!c->type->line_gsi[i])
            __atomic_store_n(&c->vm->page->isr[c->isr0 + i].disabled, off, __ATOMIC_SEQ_CST);
    for (unsigned v = 0; v < c->type->vectors; v++)
        vector_update(c, v);
    ipc_eventfd_signal(c->vm->doorbell_worker);
}

bool controller_vector_pending(struct pci_dev *p, unsigned vector)
{
    struct controller *c = p->opaque;

    return vector < c->type->vectors &&
           __atomic_load_n(&shared_route(c, vector)->pending, __ATOMIC_SEQ_CST);
}
