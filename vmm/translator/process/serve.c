/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an ask to a translation in the cache; see serve.h. An ask is copied out of the ring before it is looked
 * at, and says nothing but bytes: wrong ones give a translation nobody can bind.
 */
#include "vmm/translator/process/serve.h"

#include <stddef.h>
#include "vmm/translator/xl.h"

static uint32_t head_of(const struct serve *s, unsigned i)
{
    return __atomic_load_n(&s->cache.ring[i].head, __ATOMIC_ACQUIRE);
}
static uint32_t tail_of(const struct serve *s, unsigned i)
{
    return s->cache.head->tail[i];
}
static void tail_set(struct serve *s, unsigned i, uint32_t v)
{
    __atomic_store_n(&s->cache.head->tail[i], v, __ATOMIC_RELEASE);
}

static uint32_t aligned(uint32_t n)
{
    return (n + 7) & ~7u;
}
#define TB_WORST                                                                                             \
    (uint32_t)(sizeof(struct xl_tb) + XL_BYTES_MAX + 8 + ABI_XL_SLOT_MAX * 4 +                               \
               ABI_XL_FAULT_MAX * sizeof(struct abi_xl_fault) + ABI_XL_CODE_MAX + 64)

/* The cold code comes right behind the structure, where it was generated; the rest follows. */
static void tb_fill(struct xl_tb *t, const struct xl_ask *a, const struct abi_xl_out *out)
{
    uint8_t *base = (uint8_t *)t;
    t->ram_off = a->ram_off;
    t->mode = a->mode;
    t->len = (uint16_t)a->len;
    t->src_len = (uint16_t)out->src_len;
    t->insns = out->insns;
    t->n_exits = (uint16_t)out->slots;
    t->n_faults = (uint16_t)out->faults;
    t->code_len = out->code_len;
    t->cold_len = out->cold_len;
    t->exits = aligned(t->cold + out->cold_len);
    t->faults = aligned(t->exits + t->n_exits * 4u);
    t->bytes = t->faults + t->n_faults * (uint32_t)sizeof(struct abi_xl_fault);
    t->size = t->bytes + t->len;
    memcpy(base + t->exits, out->slot, t->n_exits * 4u);
    memcpy(base + t->faults, out->fault, t->n_faults * sizeof(struct abi_xl_fault));
    memcpy(base + t->bytes, a->bytes, t->len);
}
static void count(struct serve *s, const struct abi_xl_out *out)
{
    struct xl_counts *n = &s->cache.head->n;
    if (!out->code_len) {
        n->none++;
        return;
    }
    n->made++;
    n->guest_bytes += out->src_len;
    n->host_bytes += out->code_len + out->cold_len;
}
/* False: no room now. */
static bool make(struct serve *s, const struct xl_ask *a, uint64_t hash)
{
    static struct abi_xl_out out;
    struct xl_tb *t = cache_room(&s->cache, ABI_XL_CODE_MAX, TB_WORST, ABI_XL_SLOT_MAX);
    if (!t)
        return false;
    struct abi_xl_in in = {.mode = a->mode, .page_off = a->ram_off & 0xfff, .len = a->len,
                           .insns = ABI_XL_INSN_MAX, .slot_base = t->slot_base, .vendor = s->vendor};
    memcpy(in.feat, s->feat, sizeof(in.feat));
    t->cold = (sizeof(*t) + XL_CODE_ALIGN - 1) & ~(XL_CODE_ALIGN - 1);
    if (!xl_translate_split(&in, a->bytes, (uint8_t *)s->cache.head + t->code_at, ABI_XL_CODE_MAX, (uint8_t *)t + t->cold,
                            ABI_XL_CODE_MAX, &out))
        out = (struct abi_xl_out){0};
    tb_fill(t, a, &out);
    cache_commit(&s->cache, t, hash);
    count(s, &out);
    return true;
}

static bool ask_ok(const struct xl_ask *a)
{
    return a->len && a->len <= XL_BYTES_MAX && (a->ram_off & 0xfff) + a->len <= 4096;
}
/* 1: one ask less; 0: none waits; -1: cannot be served now. */
static int serve_ring(struct serve *s, unsigned i)
{
    struct xl_counts *n = &s->cache.head->n;
    uint32_t head = head_of(s, i), tail = tail_of(s, i);
    if (head == tail)
        return 0;
    if (head - tail > XL_RING_SLOTS) { /* the writer is out of its mind: begin where it says it is */
        n->refused++;
        tail_set(s, i, head);
        return 0;
    }
    s->ask = s->cache.ring[i].ask[tail % XL_RING_SLOTS];
    uint64_t hash;
    n->asked++;
    if (!ask_ok(&s->ask)) {
        n->refused++;
    } else if (cache_find(&s->cache, &s->ask, hash = xl_hash(s->ask.ram_off, s->ask.mode, s->ask.bytes, s->ask.len))) {
        n->known++;
    } else if (!make(s, &s->ask, hash)) {
        n->asked--;
        return -1;
    }
    tail_set(s, i, tail + 1);
    return 1;
}

unsigned serve_some(struct serve *s, unsigned max)
{
    unsigned done = 0, idle = 0;
    while (done < max && idle < s->cache.vcpus) {
        unsigned i = s->next;
        s->next = (s->next + 1) % s->cache.vcpus;
        int r = serve_ring(s, i);
        if (r > 0)
            done++, idle = 0;
        else
            idle++;
    }
    return done;
}
bool serve_waiting(const struct serve *s)
{
    for (unsigned i = 0; i < s->cache.vcpus; i++)
        if (head_of(s, i) != tail_of(s, i))
            return true;
    return false;
}
