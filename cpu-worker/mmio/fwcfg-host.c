/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The accesses the firmware configuration device makes: guest memory as a bus master sees it (no SMRAM, no
 * A20 mask), and questions to the vmm. Own thread of the vCPU that touched the device.
 */
#include "cpu-worker/mmio/fwcfg-host.h"

#include <string.h>
#include "cpu-worker/mmio/mailbox.h"
#include "cpu-worker/mmio/map.h"
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/run/run.h"

static bool guest_copy(void *opaque, uint64_t gpa, void *buf, uint64_t len, bool to_guest)
{
    struct cpu *c = opaque;
    struct mmu_host *m = c->mem;
    uint8_t *p = buf;
    for (uint64_t n; len; gpa += n, p += n, len -= n) {
        const struct abi_map_entry *e = map_find(m->mem, m->n_mem, gpa);
        if (!e || e->kind > ABI_MAP_ROM)
            return false;
        uint64_t left = e->size - (gpa - e->gpa), off = m->slot[e->slot].base + e->offset + (gpa - e->gpa);
        n = len < left ? len : left;
        if (!to_guest) {
            memcpy(p, m->ram + off, n);
        } else if (e->kind == ABI_MAP_RAM) {
            memcpy(m->ram + off, p, n);
            abi_codepage_dma_written(c->cp, m->ram_size / 4096, off, n);
        }
    }
    return true;
}

static void vmm_ask(void *opaque, enum abi_mbox_op op, uint16_t key)
{
    mailbox_call(opaque, op, key, 4, 0);
}

struct fwcfg_host fwcfg_host_of(struct cpu *c)
{
    const struct mmu_slot *s = &c->mem->slot[ABI_SLOT_BOARD];
    return (struct fwcfg_host){.opaque = c, .board = c->mem->ram + s->base, .board_size = s->size,
                               .copy = guest_copy, .ask = vmm_ask};
}
