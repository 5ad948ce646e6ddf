/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a call eventfd to an interrupt: reads the route the vmm published and delivers an MSI,
 * marks it pending while masked, or raises the function's INTx line. Owns abi_irq_route.pending
 * (the worker's half) and the setting of abi_isr.bits; a device can choose neither vector nor CPU.
 */
#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/irq/pump.h"

#define SEQ_TRIES 1000

struct route {
    uint32_t flags, msi_data, isr_slot, isr_bits;
    uint64_t msi_addr;
};

static bool route_copy(const struct abi_irq_route *src, struct route *r)
{
    for (unsigned i = 0; i < SEQ_TRIES; i++) {
        uint32_t seq = __atomic_load_n(&src->seq, __ATOMIC_ACQUIRE);
        if (seq & 1) {
            __builtin_ia32_pause();
            continue;
        }
        r->flags = __atomic_load_n(&src->flags, __ATOMIC_RELAXED);
        r->msi_data = __atomic_load_n(&src->msi_data, __ATOMIC_RELAXED);
        r->msi_addr = __atomic_load_n(&src->msi_addr, __ATOMIC_RELAXED);
        r->isr_slot = __atomic_load_n(&src->isr_slot, __ATOMIC_RELAXED);
        r->isr_bits = __atomic_load_n(&src->isr_bits, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&src->seq, __ATOMIC_RELAXED) == seq)
            return true;
    }
    return false;
}

static bool route_is_msi(const struct route *r)
{
    return (r->flags & ABI_ROUTE_VALID) && (r->flags & ABI_ROUTE_MSI);
}

static void intx_fire(struct abi_machine_page *page, struct chipset *cs, const struct route *r)
{
    if (r->isr_slot >= ABI_ISR_MAX)
        return;
    __atomic_fetch_or(&page->isr[r->isr_slot].bits, r->isr_bits & 0xff, __ATOMIC_SEQ_CST);
    chipset_isr_update(cs, r->isr_slot);
}

/* Masked: leave a note for the vmm. If it unmasked meanwhile it may have looked before the note was
 * there; whoever takes the note back delivers. */
static void masked_fire(struct abi_irq_route *src, struct chipset *cs)
{
    struct route r;
    __atomic_store_n(&src->pending, 1, __ATOMIC_SEQ_CST);
    if (!route_copy(src, &r) || !route_is_msi(&r) || (r.flags & ABI_ROUTE_MASKED))
        return;
    if (__atomic_exchange_n(&src->pending, 0, __ATOMIC_SEQ_CST))
        chipset_msi(cs, r.msi_addr, r.msi_data);
}

bool route_fire(struct abi_machine_page *page, struct chipset *cs, unsigned slot)
{
    struct abi_irq_route *src = &page->route[slot];
    struct route r;
    if (!route_copy(src, &r))
        return false;
    if (!(r.flags & ABI_ROUTE_VALID))
        return true;
    if (!(r.flags & ABI_ROUTE_MSI))
        intx_fire(page, cs, &r);
    else if (r.flags & ABI_ROUTE_MASKED)
        masked_fire(src, cs);
    else
        chipset_msi(cs, r.msi_addr, r.msi_data);
    return true;
}
