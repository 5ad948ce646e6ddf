/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The address map the cpu-worker reads: collected in private memory, published in the machine page
 * under its seqlock. Owns sorting, overlap and room checks; must never decide what is mapped where.
 */
#include "vmm/machine/addr-map.h"

#include <errno.h>
#include <string.h>

void addr_map_clear(struct addr_map *m)
{
    m->count = m->io_count = m->smram_count = 0;
}

static int entry_insert(struct abi_map_entry *tab, unsigned *count, unsigned max,
                        const struct abi_map_entry *e)
{
    unsigned at = 0;

    if (!e->size || e->gpa + e->size < e->gpa)
        return -EINVAL;
    while (at < *count && tab[at].gpa + tab[at].size <= e->gpa)
        at++;
    if (at < *count && tab[at].gpa < e->gpa + e->size)
        return -EEXIST;
    if (*count == max)
        return -ENOSPC;
    memmove(&tab[at + 1], &tab[at], (*count - at) * sizeof(*tab));
    tab[at] = *e;
    (*count)++;
    return 0;
}

int addr_map_mem_add(struct addr_map *m, uint64_t gpa, uint64_t size, enum abi_map_kind kind,
                     uint32_t slot, uint64_t offset)
{
    struct abi_map_entry e = {gpa, size, kind, slot, offset};

    return entry_insert(m->mem, &m->count, ABI_MAP_MAX, &e);
}

int addr_map_io_add(struct addr_map *m, uint64_t port, uint64_t size, enum abi_map_kind kind,
                    uint32_t slot, uint64_t offset)
{
    struct abi_map_entry e = {port, size, kind, slot, offset};

    if (port + size > 0x10000)
        return -EINVAL;
    return entry_insert(m->io, &m->io_count, ABI_IO_MAX, &e);
}

int addr_map_smram_add(struct addr_map *m, uint64_t gpa, uint64_t size, uint64_t offset)
{
    struct abi_map_entry e = {gpa, size, ABI_MAP_RAM, 0, offset};

    return entry_insert(m->smram, &m->smram_count, ABI_SMRAM_MAX, &e);
}

static bool same(const struct addr_map *m, const struct abi_addr_map *s)
{
    return s->seq && m->count == s->count && m->io_count == s->io_count &&
           m->smram_count == s->smram_count &&
           !memcmp(m->smram, s->smram, m->smram_count * sizeof(m->smram[0])) &&
           !memcmp(m->mem, s->mem, m->count * sizeof(m->mem[0])) &&
           !memcmp(m->io, s->io, m->io_count * sizeof(m->io[0]));
}

void addr_map_publish(const struct addr_map *m, struct abi_addr_map *shared)
{
    /* The worker only reads this table, but it could write it: the low bit is set, not inherited.
     */
    uint32_t seq = __atomic_load_n(&shared->seq, __ATOMIC_RELAXED) | 1u;

    if (same(m, shared))
        return;
    __atomic_store_n(&shared->seq, seq, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    shared->count = m->count;
    shared->io_count = m->io_count;
    shared->smram_count = m->smram_count;
    memcpy(shared->smram, m->smram, m->smram_count * sizeof(m->smram[0]));
    memcpy(shared->mem, m->mem, m->count * sizeof(m->mem[0]));
    memcpy(shared->io, m->io, m->io_count * sizeof(m->io[0]));
    __atomic_store_n(&shared->seq, seq + 1, __ATOMIC_RELEASE);
}
