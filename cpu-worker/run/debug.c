/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See debug.h.
 */
#include "cpu-worker/run/debug.h"
#include "cpu-worker/run/run.h"

#define CR4_DE 8u
enum { RW_CODE, RW_WRITE, RW_IO, RW_ACCESS };

static unsigned rw_of(const struct cpu *c, unsigned i)
{
    return (c->s->dr[7] >> (16 + 4 * i)) & 3;
}
static bool enabled(const struct cpu *c, unsigned i)
{
    return (c->s->dr[7] >> (2 * i)) & 3;
}
/* 18.2.5: LEN 2 is eight bytes; the address is aligned to the length. */
static unsigned len_of(const struct cpu *c, unsigned i)
{
    static const uint8_t len[] = {1, 2, 8, 4};
    return len[(c->s->dr[7] >> (18 + 4 * i)) & 3];
}
static bool overlaps(const struct cpu *c, unsigned i, uint64_t at, unsigned len)
{
    uint64_t n = len_of(c, i), first = c->s->dr[i] & ~(n - 1);
    if (!(c->mode & MODE_64))
        first = (uint32_t)first;
    return at < first + n && first < at + len;
}

void debug_update(struct cpu *c)
{
    uint32_t armed = 0, was = c->dbg_armed;
    for (unsigned i = 0; i < 4; i++) {
        unsigned rw = rw_of(c, i);
        if (!enabled(c, i))
            continue;
        if (rw == RW_CODE)
            armed |= DBG_CODE;
        else if (rw != RW_IO)
            armed |= DBG_DATA;
        else if (c->s->cr4 & CR4_DE)
            armed |= DBG_IO;
    }
    c->dbg_armed = armed;
    if ((was | armed) & DBG_DATA) /* watched pages leave the TLB, others may come back */
        tlb_flush_all(c);
}

uint32_t debug_code_hits(const struct cpu *c, uint64_t lip)
{
    uint32_t hits = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t at = c->mode & MODE_64 ? c->s->dr[i] : (uint32_t)c->s->dr[i];
        if (enabled(c, i) && rw_of(c, i) == RW_CODE && at == lip)
            hits |= 1u << i;
    }
    return hits;
}
bool debug_page_watched(const struct cpu *c, uint64_t va)
{
    for (unsigned i = 0; i < 4; i++)
        if (enabled(c, i) && (rw_of(c, i) & 1) && (c->s->dr[i] ^ va) >> 12 == 0)
            return true;
    return false;
}
void debug_access_note(struct cpu *c, uint64_t va, unsigned len, bool write)
{
    for (unsigned i = 0; i < 4; i++) {
        unsigned rw = rw_of(c, i);
        if (enabled(c, i) && (rw == RW_ACCESS || (rw == RW_WRITE && write)) && overlaps(c, i, va, len))
            c->dbg_hit |= 1u << i;
    }
}
void debug_io_note(struct cpu *c, uint16_t port, unsigned size)
{
    for (unsigned i = 0; i < 4; i++)
        if (enabled(c, i) && rw_of(c, i) == RW_IO && overlaps(c, i, port, size))
            c->dbg_hit |= 1u << i;
}
