/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room and index of the code cache; see cache.h. When a half is full the epoch goes on, each vCPU lets go of the
 * half before last, and only then is that one written again: nobody is stopped and nobody waits.
 */
#include "vmm/translator/process/cache.h"

#include <errno.h>

static uint64_t *index_of(const struct cache *c)
{
    return (uint64_t *)((uint8_t *)c->head + c->head->index_at);
}
static struct xl_tb *tb_at(const struct cache *c, uint64_t at)
{
    return (struct xl_tb *)((uint8_t *)c->head + at);
}
static unsigned half_now(const struct cache *c)
{
    return c->head->epoch % XL_HALVES;
}

static uint32_t index_size(uint64_t size)
{
    uint32_t n = 1024;
    while (n < XL_INDEX_MAX && (uint64_t)n * 512 < size)
        n *= 2;
    return n;
}
#define PART (1u << XL_PART_SHIFT)
/* Head and index come out of the size alone, so that a successor can tell whether they were tampered with. */
static void layout(struct xl_cache *h, uint64_t size)
{
    h->magic = XL_MAGIC;
    h->version = XL_VERSION;
    h->size = size;
    h->index_at = 4096;
    h->index_n = index_size(size);
    uint64_t code = (h->index_at + 8ull * h->index_n + PART - 1) & ~(uint64_t)(PART - 1);
    h->half_size = ((size - code) / XL_HALVES) & ~(uint64_t)(PART - 1);
    h->hot_size = (h->half_size / 4) & ~(uint64_t)(PART - 1); /* hot code is seven times the guest's, all together 25 times */
    for (unsigned i = 0; i < XL_HALVES; i++)
        h->half[i] = code + i * h->half_size;
}
static bool same_layout(const struct xl_cache *a, const struct xl_cache *b)
{
    bool same = a->magic == b->magic && a->version == b->version && a->size == b->size &&
                a->index_at == b->index_at && a->index_n == b->index_n && a->half_size == b->half_size &&
                a->hot_size == b->hot_size;
    for (unsigned i = 0; i < XL_HALVES; i++)
        same = same && a->half[i] == b->half[i] && a->used[i] <= a->half_size - a->hot_size &&
               a->used[i] % XL_ALIGN == 0 && a->hot_used[i] <= a->hot_size && a->slots_used[i] <= XL_SLOTS;
    return same && a->epoch >= 1;
}

int cache_attach(struct cache *c, void *mem, uint64_t size, const struct xl_ring *ring, unsigned vcpus)
{
    struct xl_cache want = {0};
    *c = (struct cache){.head = mem, .size = size, .ring = ring, .vcpus = vcpus};
    if (size < CACHE_SIZE_MIN || size > CACHE_SIZE_MAX || size / XL_ALIGN > UINT32_MAX || !vcpus || vcpus > XL_VCPU_MAX)
        return -EINVAL;
    layout(&want, size);
    if (!c->head->magic) {
        want.epoch = 1;
        *c->head = want;
    } else if (!same_layout(c->head, &want)) {
        return -EPROTO;
    }
    c->head->incarnation++;
    return 0;
}

static bool tb_inside(const struct cache *c, uint64_t at, const struct xl_tb *t)
{
    return at >= c->head->half[0] && at + sizeof(*t) <= c->size && t->size <= c->size - at &&
           t->bytes <= t->size && t->len <= t->size - t->bytes;
}
const struct xl_tb *cache_find(const struct cache *c, const struct xl_ask *a, uint64_t hash)
{
    const uint64_t *index = index_of(c);
    uint32_t mask = c->head->index_n - 1;
    for (unsigned p = 0; p < XL_PROBES; p++) {
        uint64_t e = index[(hash + p) & mask], at = xl_entry_at(e);
        const struct xl_tb *t = tb_at(c, at);
        if (!e || (e ^ hash) >> 32 || at >= c->size || !tb_inside(c, at, t))
            continue;
        if (t->ram_off == a->ram_off && t->mode == a->mode && t->len == a->len &&
            !memcmp((const uint8_t *)t + t->bytes, a->bytes, a->len))
            return t;
    }
    return NULL;
}

/* Has every vCPU let go of what is older than the epoch before this one? */
static bool others_let_go(const struct cache *c)
{
    for (unsigned i = 0; i < c->vcpus; i++) {
        const struct xl_ring *r = &c->ring[i];
        if (!__atomic_load_n(&r->away, __ATOMIC_SEQ_CST) &&
            __atomic_load_n(&r->epoch, __ATOMIC_SEQ_CST) != c->head->epoch)
            return false;
    }
    return true;
}
static void index_purge(struct cache *c, unsigned half)
{
    uint64_t *index = index_of(c), lo = c->head->half[half], hi = lo + c->head->half_size;
    for (uint32_t i = 0; i < c->head->index_n; i++) {
        uint64_t at = xl_entry_at(index[i]);
        if (at >= lo && at < hi)
            __atomic_store_n(&index[i], 0, __ATOMIC_RELEASE);
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
/* To the other half, as soon as it is free. */
static bool turn(struct cache *c)
{
    struct xl_cache *h = c->head;
    if (!c->turning) {
        __atomic_store_n(&h->epoch, h->epoch + 1, __ATOMIC_SEQ_CST);
        c->turning = true;
        h->n.turns++;
    }
    if (!others_let_go(c))
        return false;
    unsigned half = half_now(c);
    index_purge(c, half);
    h->used[half] = h->hot_used[half] = 0;
    h->slots_used[half] = 0;
    c->turning = false;
    return true;
}

static uint64_t hot_place(const struct xl_cache *h, unsigned half)
{
    return (h->hot_used[half] + 4 + XL_CODE_ALIGN - 1) & ~(uint64_t)(XL_CODE_ALIGN - 1);
}
static bool fits(const struct xl_cache *h, unsigned half, uint32_t code, uint32_t size, uint32_t slots)
{
    return h->used[half] + size <= h->half_size - h->hot_size && hot_place(h, half) + code <= h->hot_size &&
           h->slots_used[half] + slots <= XL_SLOTS;
}
struct xl_tb *cache_room(struct cache *c, uint32_t code, uint32_t size, uint32_t slots)
{
    struct xl_cache *h = c->head;
    if (c->turning && !turn(c))
        return NULL;
    unsigned half = half_now(c);
    if (!fits(h, half, code, size, slots)) {
        if (!turn(c))
            return NULL;
        half = half_now(c);
    }
    struct xl_tb *t = tb_at(c, h->half[half] + h->hot_size + h->used[half]);
    memset(t, 0, sizeof(*t));
    t->code_at = h->half[half] + hot_place(h, half);
    t->epoch = h->epoch;
    t->slot_base = half * XL_SLOTS + h->slots_used[half];
    return t;
}

/* The place is taken before anybody can see it: a successor does not write over what a predecessor published. */
void cache_commit(struct cache *c, struct xl_tb *t, uint64_t hash)
{
    struct xl_cache *h = c->head;
    unsigned half = half_now(c);
    uint64_t *index = index_of(c), at = (uint64_t)((uint8_t *)t - (uint8_t *)h);
    uint32_t mask = h->index_n - 1, place = (uint32_t)hash & mask;
    h->used[half] += (t->size + XL_ALIGN - 1) & ~(XL_ALIGN - 1);
    h->slots_used[half] += t->n_exits;
    if (t->code_len) {
        *(uint32_t *)((uint8_t *)h + t->code_at - 4) = (uint32_t)(at / XL_ALIGN);
        h->hot_used[half] = t->code_at + t->code_len - h->half[half];
    }
    for (unsigned p = 0; p < XL_PROBES; p++) {
        if (!index[(hash + p) & mask]) {
            place = (uint32_t)(hash + p) & mask;
            break;
        }
    }
    __atomic_store_n(&index[place], xl_entry(hash, at), __ATOMIC_RELEASE);
}
