/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host faults in translated code (#DE, #XM, and #GP of an address or alignment) become a way out of it, by the
 * translation's fault table. Must never swallow a fault of the worker's own code.
 */
#include "cpu-worker/run/xl.h"

#include <string.h>
#include "cpu-worker/run/xl-trap.h"

static struct xl_memory memory; /* of the process; set before guest code runs */

static const struct abi_xl_fault *fault_find(const uint8_t *tb, const struct xl_tb *t, uint32_t host)
{
    const struct abi_xl_fault *f = (const struct abi_xl_fault *)(tb + t->faults);
    for (unsigned i = 0; i < t->n_faults; i++)
        if (f[i].host == host && f[i].resume < t->code_len)
            return &f[i];
    return NULL;
}
/* Translations lie one behind the other: from a known one on to the one that holds `at`. */
static uint64_t resume_from(const struct xl *x, uint64_t tb_at, uint64_t at)
{
    struct xl_tb t;
    for (;; tb_at += (t.size + XL_ALIGN - 1) & ~(XL_ALIGN - 1)) {
        if (tb_at > at || tb_at + sizeof(t) > x->mem.size)
            return 0;
        memcpy(&t, x->mem.cache + tb_at, sizeof(t));
        if (t.size < sizeof(t) || t.size > x->mem.size - tb_at)
            return 0;
        if (at >= tb_at + t.code && at < tb_at + t.code + t.code_len) {
            const struct abi_xl_fault *f = fault_find(x->mem.cache + tb_at, &t, (uint32_t)(at - tb_at - t.code));
            return f ? tb_at + t.code + f->resume : 0;
        }
    }
}
static uint64_t resume_at(const struct xl *x, uint64_t at)
{
    uint64_t k = at >> XL_CHUNK_SHIFT;
    for (unsigned back = 0; back < 2 && back <= k; back++) {
        uint32_t first = x->chunk[k - back];
        uint64_t to = first ? resume_from(x, ((k - back) << XL_CHUNK_SHIFT) + first - 1, at) : 0;
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
