/* SPDX-License-Identifier: Apache-2.0 */
/* See watch.h. */
#include "cpu-worker/run/watch.h"

#include <string.h>
#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/run/run.h"

#define PATIENCE_NS 20000000ull /* a device's store is found by looking */

static struct team_seat *seat_of(const struct cpu *c)
{
    return &c->team->seat[c->index];
}

static void page_leave(struct team *t, uint64_t page)
{
    if (__atomic_sub_fetch(&t->watched[page], 1, __ATOMIC_SEQ_CST))
        return;
    if (!__atomic_load_n(&t->mask[page], __ATOMIC_SEQ_CST))
        __atomic_fetch_and(&t->cp->map[page], (uint8_t)~ABI_CODEPAGE_HAS_CODE, __ATOMIC_SEQ_CST);
}
/* The page stays watched after the wait: programs wait at the same address again and again, and only the
 * first time costs the others a trip to their event loops. */
static void page_watch(struct cpu *c, uint64_t page)
{
    struct team *t = c->team;
    if (c->watch_page == page + 1)
        return;
    pthread_mutex_lock(&t->code_lock);
    if (c->watch_page)
        page_leave(t, c->watch_page - 1);
    else
        __atomic_fetch_add(&t->watchers, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&t->watched[page], 1, __ATOMIC_SEQ_CST);
    c->watch_mark = team_mark_page(c, page);
    pthread_mutex_unlock(&t->code_lock);
    c->watch_page = page + 1;
    team_mark_ask(c, page);
}

void watch_arm(struct cpu *c, uint64_t off)
{
    struct team_seat *s = seat_of(c);
    page_watch(c, off >> 12);
    c->watch_armed = true;
    c->watch_exact = team_settled(c, c->watch_mark);
    __atomic_store_n(&s->watch_hit, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&s->watch, (off & ~(uint64_t)(WATCH_LINE - 1)) | 1, __ATOMIC_SEQ_CST);
}
void watch_disarm(struct cpu *c)
{
    c->mwait = 0;
    if (!c->watch_armed)
        return;
    c->watch_armed = false;
    __atomic_store_n(&seat_of(c)->watch, 0, __ATOMIC_SEQ_CST);
}
/* Not exact: another vCPU could still store past the monitor when it was armed. MWAIT may end for no reason
 * (SDM volume 2, MWAIT), and the program arms it again. */
bool watch_ready(struct cpu *c)
{
    struct team_seat *s = seat_of(c);
    uint64_t off = (s->watch & ~1ull);
    if (!c->watch_armed || !c->watch_exact || __atomic_load_n(&s->watch_hit, __ATOMIC_SEQ_CST)) {
        watch_disarm(c);
        return false;
    }
    memcpy(c->watch_line, c->mem->ram + off, sizeof(c->watch_line));
    return true;
}
bool watch_over(const struct cpu *c)
{
    const struct team_seat *s = seat_of(c);
    uint64_t off = s->watch & ~1ull;
    if (!c->mwait)
        return false;
    if (!c->watch_armed || __atomic_load_n(&s->watch_hit, __ATOMIC_SEQ_CST) ||
        memcmp(c->watch_line, c->mem->ram + off, sizeof(c->watch_line)))
        return true;
    if ((c->mwait & MWAIT_MASKED) && chipset_intr_pending(c->chipset, c->index))
        return true;
    return (c->mwait & MWAIT_TIMER) && (int64_t)(cpu_guest_tsc(c) - c->mwait_until) >= 0;
}
uint64_t watch_patience(const struct cpu *c)
{
    uint64_t ns = c->mwait & MWAIT_TIMER ? chipset_tsc_wait_ns(c->chipset, c->index, c->mwait_until) : PATIENCE_NS;
    return ns < PATIENCE_NS ? ns + 1 : PATIENCE_NS;
}

static bool line_hit(uint64_t watch, uint64_t off, unsigned len)
{
    uint64_t line = watch & ~1ull;
    return (watch & 1) && off < line + WATCH_LINE && line < off + len;
}
void watch_stored(struct cpu *c, uint64_t off, unsigned len)
{
    struct team *t = c->team;
    if (!team_page_watched(t, off) && !team_page_watched(t, off + len - 1))
        return;
    for (unsigned i = 0; i < t->n; i++) {
        struct team_seat *s = &t->seat[i];
        if (i == c->index || !line_hit(__atomic_load_n(&s->watch, __ATOMIC_SEQ_CST), off, len))
            continue;
        __atomic_store_n(&s->watch_hit, 1, __ATOMIC_SEQ_CST);
        cpu_kick(t->cpu[i]);
    }
}

void watch_store_done(struct cpu *c)
{
    if (!c->watch_store_len)
        return;
    watch_stored(c, c->watch_store, c->watch_store_len);
    c->watch_store_len = 0;
}
void watch_store_comes(struct cpu *c, uint64_t off, unsigned len)
{
    watch_store_done(c); /* of an earlier instruction of the block */
    c->watch_store = off;
    c->watch_store_len = len;
    c->exit_request = 1;
}
