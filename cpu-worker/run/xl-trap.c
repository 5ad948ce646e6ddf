/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host faults in translated code (#DE, #XM, and #GP of an address or alignment) become a way out of it, by the
 * translation's fault table. Must never swallow a fault of the worker's own code.
 */
#include "cpu-worker/run/xl.h"

#include <string.h>
#include "cpu-worker/run/xl-trap.h"

static struct xl_memory memory; /* of the process; set before guest code runs */

/* A copy of the structure at this place, if there can be one. */
static bool head_at(const struct xl *x, uint64_t at, struct xl_tb *t)
{
    if (at > x->mem.size - sizeof(*t))
        return false;
    memcpy(t, x->mem.cache + at, sizeof(*t));
    return t->size >= sizeof(*t) && t->size <= x->mem.size - at && t->faults <= t->size &&
           t->n_faults * sizeof(struct abi_xl_fault) <= t->size - t->faults && t->code_at <= x->mem.size;
}
/* Where the translation goes on after a fault at this place of the cache, 0: that is no place it may happen at. */
static uint64_t resume_of(const struct xl *x, uint64_t tb_at, const struct xl_tb *t, uint64_t at)
{
    const struct abi_xl_fault *f = (const struct abi_xl_fault *)(x->mem.cache + tb_at + t->faults);
    uint32_t host = (uint32_t)(at - t->code_at);
    for (unsigned i = 0; i < t->n_faults; i++)
        if (f[i].host == host && f[i].resume < x->mem.size - t->code_at)
            return t->code_at + f[i].resume;
    return 0;
}
/* Hot code lies one behind the other: from a known one on to the one that holds `at`. */
static uint64_t resume_hot(const struct xl *x, uint64_t code_at, uint64_t at)
{
    struct xl_tb t;
    uint32_t where;
    while (code_at <= at && code_at >= 4) {
        memcpy(&where, x->mem.cache + code_at - 4, 4);
        if (!head_at(x, (uint64_t)where * XL_ALIGN, &t) || t.code_at != code_at || !t.code_len)
            return 0;
        if (at < code_at + t.code_len)
            return resume_of(x, (uint64_t)where * XL_ALIGN, &t, at);
        code_at = (code_at + t.code_len + 4 + XL_CODE_ALIGN - 1) & ~(uint64_t)(XL_CODE_ALIGN - 1);
    }
    return 0;
}
/* The same for cold code, behind its structure. */
static uint64_t resume_cold(const struct xl *x, uint64_t tb_at, uint64_t at)
{
    struct xl_tb t;
    for (; tb_at <= at && head_at(x, tb_at, &t); tb_at += (t.size + XL_ALIGN - 1) & ~(XL_ALIGN - 1))
        if (at < tb_at + t.size)
            return resume_of(x, tb_at, &t, at);
    return 0;
}
static uint64_t resume_at(const struct xl *x, uint64_t at)
{
    unsigned half = at >= x->half[1];
    bool hot = at - x->half[half] < x->hot_size;
    uint64_t k = at >> XL_CHUNK_SHIFT;
    for (unsigned back = 0; back < 2 && back <= k; back++) {
        uint32_t first = x->chunk[k - back];
        uint64_t from = ((k - back) << XL_CHUNK_SHIFT) + first - 1;
        uint64_t to = !first ? 0 : hot ? resume_hot(x, from, at) : resume_cold(x, from, at);
        if (to)
            return to;
    }
    return 0;
}

bool xl_trap_resume(uintptr_t *pc)
{
    uint64_t at = *pc - (uintptr_t)memory.cache;
    struct cpu *c;
    if (!memory.cache || at >= memory.size)
        return false;
    __asm__("rdgsbase %0" : "=r"(c));
    uint64_t to = resume_at(c->xl, at);
    if (!to)
        return false;
    c->xl->ring->n[XL_N_TRAP]++;
    *pc = (uintptr_t)memory.cache + to;
    return true;
}
void xl_traps_init(const struct xl_memory *m)
{
    memory = *m;
    xl_signals_init();
}
