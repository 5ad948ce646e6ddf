/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pages hold decoded code of which vCPU, and how a store reaches the blocks made from it. Owns
 * the masks, HAS_CODE in the code-page map and the lists of stale bytes; must never kill a block of
 * another vCPU: it leaves the bytes on that vCPU's list. Rules in docs/decisions/0005-code-coherence.md.
 */
#include "cpu-worker/run/team.h"

#include <string.h>
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/run/run.h"
#include "cpu-worker/run/watch.h"

static uint64_t bit_of(const struct cpu *c)
{
    return 1ull << c->index;
}
static uint64_t *mask_of(struct team *t, uint64_t page)
{
    return &t->mask[page];
}

uint64_t team_mark_page(struct cpu *c, uint64_t page)
{
    struct team *t = c->team;
    uint64_t mark = t->marks;
    __atomic_fetch_or(&t->cp->map[page], ABI_CODEPAGE_HAS_CODE, __ATOMIC_SEQ_CST);
    t->ring[mark % TEAM_RING] = page;
    __atomic_store_n(&t->marks, mark + 1, __ATOMIC_SEQ_CST);
    return mark + 1;
}
void team_mark_ask(struct cpu *c, uint64_t page)
{
    struct team *t = c->team;
    tlb_protect_code(c, c->mem->ram + (page << 12));
    for (unsigned i = 0; i < t->n; i++)
        if (i != c->index && t->cpu[i])
            __atomic_store_n(&t->cpu[i]->exit_request, 1, __ATOMIC_SEQ_CST);
}
void team_mark_code(struct cpu *c, uint64_t off)
{
    struct team *t = c->team;
    uint64_t page = off >> 12, *m = mask_of(t, page);
    if (*m & bit_of(c)) /* only this thread changes its own bit */
        return;
    pthread_mutex_lock(&t->code_lock);
    __atomic_fetch_or(m, bit_of(c), __ATOMIC_SEQ_CST);
    c->unsettled = team_mark_page(c, page);
    pthread_mutex_unlock(&t->code_lock);
    team_mark_ask(c, page);
}

void team_unmark_code(struct cpu *c, uint64_t page)
{
    struct team *t = c->team;
    uint64_t *m = mask_of(t, page);
    if (!(*m & bit_of(c)))
        return;
    pthread_mutex_lock(&t->code_lock);
    if (!__atomic_and_fetch(m, ~bit_of(c), __ATOMIC_SEQ_CST) && !t->watched[page])
        __atomic_fetch_and(&t->cp->map[page], (uint8_t)~ABI_CODEPAGE_HAS_CODE, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&t->code_lock);
}

/* Own thread, holding no host address: no fast stores any more to the pages marked meanwhile. */
void team_marks_obey(struct cpu *c)
{
    struct team *t = c->team;
    struct team_seat *s = &t->seat[c->index];
    uint64_t to = __atomic_load_n(&t->marks, __ATOMIC_SEQ_CST), from = s->ack;
    if (from == to)
        return;
    pthread_mutex_lock(&t->code_lock);
    to = t->marks;
    if (to - from > TEAM_RING)
        tlb_protect_all(c);
    else
        for (; from != to; from++)
            tlb_protect_code(c, c->mem->ram + (t->ring[from % TEAM_RING] << 12));
    pthread_mutex_unlock(&t->code_lock);
    __atomic_store_n(&s->ack, to, __ATOMIC_SEQ_CST);
}

bool team_settled(const struct cpu *c, uint64_t mark)
{
    const struct team *t = c->team;
    for (unsigned i = 0; i < t->n; i++)
        if (i != c->index && __atomic_load_n(&t->seat[i].inside, __ATOMIC_SEQ_CST) &&
            __atomic_load_n(&t->seat[i].ack, __ATOMIC_SEQ_CST) < mark)
            return false;
    return true;
}
uint64_t team_unsettled(struct cpu *c)
{
    if (c->unsettled && team_settled(c, c->unsettled))
        c->unsettled = 0;
    return c->unsettled;
}

/* Stores to one page run together: rep stos over code would fill the list otherwise. */
static void stale_add(struct team *t, unsigned i, uint64_t off, unsigned len)
{
    struct team_seat *s = &t->seat[i];
    pthread_mutex_lock(&s->lock);
    struct team_stale *last = s->n_stale ? &s->stale[s->n_stale - 1] : NULL;
    if (last && last->off >> 12 == off >> 12) {
        uint64_t lo = off < last->off ? off : last->off;
        uint64_t hi = off + len > last->off + last->len ? off + len : last->off + last->len;
        *last = (struct team_stale){lo, (uint32_t)(hi - lo)};
    } else if (s->n_stale < TEAM_STALE) {
        s->stale[s->n_stale] = (struct team_stale){off, len};
        __atomic_store_n(&s->n_stale, s->n_stale + 1, __ATOMIC_SEQ_CST);
    } else {
        s->overflow = true;
    }
    pthread_mutex_unlock(&s->lock);
    __atomic_store_n(&t->cpu[i]->exit_request, 1, __ATOMIC_SEQ_CST);
}
static void stale_spread(struct cpu *c, uint64_t mask, uint64_t off, unsigned len)
{
    for (mask &= ~bit_of(c); mask; mask &= mask - 1)
        stale_add(c->team, (unsigned)__builtin_ctzll(mask), off, len);
}

void team_stale_drop(struct cpu *c)
{
    struct team_seat *s = &c->team->seat[c->index];
    if (!__atomic_load_n(&s->n_stale, __ATOMIC_SEQ_CST))
        return;
    struct team_stale list[TEAM_STALE];
    pthread_mutex_lock(&s->lock); /* copied: dropping takes code_lock, under which others take this one */
    unsigned n = s->n_stale;
    bool overflow = s->overflow;
    memcpy(list, s->stale, n * sizeof(*list));
    s->overflow = false;
    __atomic_store_n(&s->n_stale, 0, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&s->lock);
    if (overflow)
        block_flush_all(c);
    else
        for (unsigned i = 0; i < n; i++)
            block_store_hit(c, &cpu_no_op, list[i].off, list[i].len);
}

/* Store, fence, look: the other half of "mark, fence, read" in team_mark_code. */
void team_code_written(struct cpu *c, const struct op *o, uint64_t off, unsigned len)
{
    struct team *t = c->team;
    if (off >> 12 >= t->pages)
        return;
    if (t->n > 1)
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    watch_stored(c, off, len);
    uint64_t mask = __atomic_load_n(mask_of(t, off >> 12), __ATOMIC_RELAXED);
    if (!mask)
        return;
    stale_spread(c, mask, off, len);
    if (mask & bit_of(c))
        block_store_hit(c, o, off, len);
}

void team_dma_sync(struct cpu *c)
{
    struct team *t = c->team;
    pthread_mutex_lock(&t->code_lock);
    uint32_t seq = __atomic_load_n(&t->cp->seq, __ATOMIC_ACQUIRE);
    if (seq != t->dma_seq) {
        for (uint64_t i = 0; i < t->pages; i++) {
            if (!(__atomic_load_n(&t->cp->map[i], __ATOMIC_RELAXED) & ABI_CODEPAGE_DIRTY))
                continue;
            __atomic_fetch_and(&t->cp->map[i], (uint8_t)~ABI_CODEPAGE_DIRTY, __ATOMIC_SEQ_CST);
            uint64_t mask = __atomic_load_n(mask_of(t, i), __ATOMIC_RELAXED);
            for (; mask; mask &= mask - 1)
                stale_add(t, (unsigned)__builtin_ctzll(mask), i << 12, 4096);
        }
        t->dma_seq = seq;
    }
    pthread_mutex_unlock(&t->code_lock);
    cp_seq_set(c, seq);
    team_stale_drop(c);
}
