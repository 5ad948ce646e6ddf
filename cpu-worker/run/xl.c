/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking, finding and binding of translations; see xl.h. Everything the cache says is copied once and checked
 * against the block's bytes in memory and the bounds of its half.
 */
#include "cpu-worker/run/xl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/run/run.h"
#include "cpu-worker/run/team.h"
#include "cpu-worker/run/xl-run.h"

#define HEAT_LOOK 8u   /* entries after which the index is looked at: somebody may have had this code before */
#define HEAT_ASK  24u  /* and after which a translation is asked for */
#define HEAT_AGAIN 64u /* a request that was lost is made again */

#define SAME(FIELD, XL) _Static_assert(offsetof(struct cpu, FIELD) == offsetof(struct abi_xl_frame, XL), "frame")
SAME(gpr, gpr);
SAME(fl, fl);
SAME(exit_request, exit_request);
SAME(segbase, segbase);
SAME(eflags, eflags);
SAME(rip, rip);
SAME(ctx, ctx);
SAME(mode, mode);
SAME(pgbase, pgbase);
SAME(jc_key, jc_key);
SAME(cp, cp);
SAME(cp_seq, cp_seq);
SAME(cp_nseq, cp_nseq);
SAME(tlb_mask, tlb_mask);
SAME(jc_mask, jc_mask);
SAME(simd_dead, simd_dead);
SAME(xl_stub, stub);
SAME(xl_scratch, scratch);
SAME(df_mask, df_mask);
SAME(insns, spare);
SAME(xl_rtag, rtag);
SAME(xl_wtag, wtag);
SAME(xtag, xtag);
SAME(addend, addend);
SAME(page_mask, page_mask);
SAME(xl_wnpage, wnpage);
SAME(xl_waddend, waddend);
SAME(xl_jc, jc);
SAME(xl_slot, slot);
_Static_assert(offsetof(struct cpu, s) == 528, "xl-stub.S");
_Static_assert(offsetof(struct abi_vcpu_state, mxcsr) == 992, "xl-stub.S");
_Static_assert(offsetof(struct abi_vcpu_state, ymm) == 1216, "xl-stub.S");
_Static_assert(ABI_XL_MODE_64 == MODE_64 && ABI_XL_MODE_CS32 == MODE_CS32 && ABI_XL_MODE_PE == MODE_PE &&
               ABI_XL_MODE_VM86 == MODE_VM86 && ABI_XL_MODE_USER == MODE_USER && ABI_XL_MODE_EM == MODE_EM &&
               ABI_XL_MODE_TS == MODE_TS && ABI_XL_MODE_TF == MODE_TF && ABI_XL_MODE_OSFXSR == MODE_OSFXSR &&
               ABI_XL_MODE_AVX == MODE_AVX, "modes");
_Static_assert(BLOCK_OPS_MAX * 15 + 15 <= XL_BYTES_MAX, "a block fits a request");

/* ---- set-up ---- */

/* Only the code is executable, and all of it is read-only: the descriptor allows no more. */
int xl_memory_map(struct xl_memory *m, int fd_cache, uint64_t size, int fd_rings, unsigned vcpus)
{
    uint64_t rings = xl_rings_size(vcpus);
    int mode = fcntl(fd_cache, F_GETFL);
    if (mode < 0 || (mode & O_ACCMODE) != O_RDONLY)
        return -EACCES;
    void *cache = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd_cache, 0);
    void *ring = mmap(NULL, rings, PROT_READ | PROT_WRITE, MAP_SHARED, fd_rings, 0);
    if (cache == MAP_FAILED || ring == MAP_FAILED)
        return -errno;
    *m = (struct xl_memory){.cache = cache, .size = size, .ring = ring};
    for (unsigned i = 0; i < vcpus; i++)
        m->ring[i].away = 1;
    return 0;
}

/* What translated code uses of the host's processor, and of its kernel: gs set without a call. */
static bool host_can(void)
{
    return __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("avx2") && (getauxval(AT_HWCAP2) & 2);
}
static bool layout_take(struct xl *x)
{
    const struct xl_cache *h = (const struct xl_cache *)x->mem.cache;
    uint32_t n = h->index_n;
    if (h->magic != XL_MAGIC || h->version != XL_VERSION || h->size != x->mem.size || !n || n & (n - 1))
        return false;
    x->index_at = h->index_at;
    x->index_mask = n - 1;
    x->hot_size = h->hot_size;
    uint64_t half_size = h->half_size;
    if (x->index_at % 8 || x->index_at + 8ull * n > x->mem.size || half_size > x->mem.size || x->hot_size > half_size)
        return false;
    for (unsigned i = 0; i < XL_HALVES; i++) {
        x->half[i] = h->half[i];
        if (x->half[i] > x->mem.size - half_size)
            return false;
    }
    x->half_size = half_size; /* the last: ready() */
    return true;
}
static void frame_init(struct cpu *c)
{
    static const uint8_t *const stub[] = {
        [ABI_XL_LEAVE] = xl_stub_leave, [ABI_XL_POLL] = xl_stub_poll, [ABI_XL_MISS] = xl_stub_miss,
        [ABI_XL_SIMD] = xl_stub_simd, [ABI_XL_LINK] = xl_stub_link, [ABI_XL_JUMP] = xl_stub_jump,
    };
    for (unsigned i = 0; i < sizeof(stub) / sizeof(stub[0]); i++)
        c->xl_stub[i] = (uintptr_t)stub[i];
    c->tlb_mask = ABI_XL_TLB_MASK;
    c->jc_mask = ABI_XL_JC_MASK;
    c->df_mask = 0x400;
    c->page_mask = ~0xfffull;
    tlb_windows_close(c);
    c->simd_dead = 1;
    for (unsigned i = 0; i < ABI_XL_JC_SIZE; i++)
        c->xl_jc[i].nlip = abi_xl_jc_empty(i);
}
int xl_attach(struct cpu *c, const struct xl_memory *m)
{
    if (!host_can())
        return -ENOTSUP;
    struct xl *x = mmap(NULL, sizeof(*x), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (x == MAP_FAILED)
        return -ENOMEM;
    x->mem = *m;
    x->mem.heat_ask = m->heat_ask ? m->heat_ask : HEAT_ASK;
    x->ring = &m->ring[c->index];
    x->chunk = mmap(NULL, ((m->size >> XL_CHUNK_SHIFT) + 2) * sizeof(*x->chunk), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (x->chunk == MAP_FAILED)
        return -ENOMEM;
    frame_init(c);
    xl_traps_init(m);
    c->xl = x;
    return 0;
}
/* The translator lays the cache out when it starts, which nobody waits for. */
static bool ready(struct xl *x)
{
    return x->half_size || layout_take(x);
}

/* ---- the translator's epochs ---- */

static uint32_t epoch_now(const struct xl *x)
{
    return __atomic_load_n(&((const struct xl_cache *)x->mem.cache)->epoch, __ATOMIC_SEQ_CST);
}
static void epoch_obey(struct cpu *c)
{
    struct xl *x = c->xl;
    uint32_t now = epoch_now(x);
    if (now == x->ring->epoch)
        return;
    if (x->ring->epoch) {
        block_flush_all(c); /* what is bound hangs on blocks */
        memset(x->chunk, 0, ((x->mem.size >> XL_CHUNK_SHIFT) + 2) * sizeof(*x->chunk));
        x->ring->n[XL_N_DROP]++;
    }
    __atomic_store_n(&x->ring->epoch, now, __ATOMIC_SEQ_CST);
}
void xl_boundary(struct cpu *c)
{
    if (c->xl)
        epoch_obey(c);
}
void xl_enter_guest(struct cpu *c)
{
    if (!c->xl)
        return;
    __asm__ volatile("wrgsbase %0" : : "r"(c));
    __atomic_store_n(&c->xl->ring->away, 0, __ATOMIC_SEQ_CST);
    epoch_obey(c);
}
void xl_leave_guest(struct cpu *c)
{
    if (c->xl)
        __atomic_store_n(&c->xl->ring->away, 1, __ATOMIC_SEQ_CST);
}
/* Seen by one vCPU when it asks or looks: the others are to obey as well. */
static void epoch_spread(struct cpu *c)
{
    struct team *t = c->team;
    if (epoch_now(c->xl) == c->xl->ring->epoch)
        return;
    for (unsigned i = 0; i < t->n; i++)
        if (t->cpu[i])
            __atomic_store_n(&t->cpu[i]->exit_request, 1, __ATOMIC_SEQ_CST);
}

/* ---- finding and binding ---- */

static const uint8_t *bytes_of(const struct cpu *c, const struct block *b)
{
    return c->mem->ram + b->ram_off[0];
}
/* A copy of the translation's head, if it is this block's and lies in a half of the cache. */
static bool head_take(const struct cpu *c, const struct block *b, uint64_t at, struct xl_tb *t)
{
    const struct xl *x = c->xl;
    unsigned half = at >= x->half[1];
    uint64_t start = x->half[half] + x->hot_size, end = x->half[half] + x->half_size;
    if (at < start || at + sizeof(*t) > end)
        return false;
    memcpy(t, x->mem.cache + at, sizeof(*t));
    uint32_t room = (uint32_t)(end - at);
    if (t->ram_off != b->ram_off[0] || t->mode != b->mode || t->len != b->len || t->size > room)
        return false;
    if (t->code_at < x->half[half] + 4 || t->code_at > start || t->code_len > start - t->code_at)
        return false;
    if (t->bytes > t->size || t->len > t->size - t->bytes || t->cold > t->size || t->cold_len > t->size - t->cold ||
        t->exits > t->size || t->n_exits * 4u > t->size - t->exits || t->n_exits > ABI_XL_SLOT_MAX ||
        t->slot_base > ABI_XL_SLOTS - ABI_XL_SLOT_MAX || t->faults > t->size ||
        t->n_faults * sizeof(struct abi_xl_fault) > t->size - t->faults)
        return false;
    return !memcmp(x->mem.cache + at + t->bytes, bytes_of(c, b), t->len);
}
/* Where the block's translation is, 0: nowhere. The entry is read again afterwards: the translator takes it away
 * before it writes over what it names. */
static uint64_t find(struct cpu *c, const struct block *b, struct xl_tb *t)
{
    struct xl *x = c->xl;
    const uint64_t *index = (const uint64_t *)(x->mem.cache + x->index_at);
    uint64_t hash = xl_hash(b->ram_off[0], b->mode, bytes_of(c, b), b->len);
    for (unsigned p = 0; p < XL_PROBES; p++) {
        const uint64_t *place = &index[(hash + p) & x->index_mask];
        uint64_t e = __atomic_load_n(place, __ATOMIC_ACQUIRE);
        if (!e || (e ^ hash) >> 32 || !head_take(c, b, xl_entry_at(e), t))
            continue;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(place, __ATOMIC_ACQUIRE) == e)
            return xl_entry_at(e);
    }
    return 0;
}

static void chunk_note(struct xl *x, uint64_t at)
{
    uint32_t *k = &x->chunk[at >> XL_CHUNK_SHIFT], d = (uint32_t)(at & ((1u << XL_CHUNK_SHIFT) - 1)) + 1;
    if (!*k || *k > d)
        *k = d;
}
static void bind(struct cpu *c, struct block *b, uint64_t at, const struct xl_tb *t)
{
    struct xl *x = c->xl;
    b->xl_code = x->mem.cache + t->code_at;
    b->xl_exits = (const int32_t *)(x->mem.cache + at + t->exits);
    b->xl_slot = t->slot_base;
    b->xl_slots = t->n_exits;
    for (unsigned i = 0; i < t->n_exits; i++)
        x->owner[t->slot_base + i] = b;
    xl_unlink(c, b);
    chunk_note(x, at);
    chunk_note(x, t->code_at);
    b->xl_state = XL_BOUND;
    b->ops[0].fn = op_xl_enter;
    x->ring->n[XL_N_BIND]++;
}
/* True: the question is settled, one way or the other. */
static bool look(struct cpu *c, struct block *b)
{
    struct xl_tb t;
    if (!ready(c->xl))
        return false;
    uint64_t at = find(c, b, &t);
    epoch_spread(c);
    uint32_t epoch = c->xl->ring->epoch;
    if (!at || epoch != epoch_now(c->xl) || t.epoch + 1 < epoch)
        return false;
    if (t.code_len) {
        bind(c, b, at, &t);
    } else {
        b->xl_state = XL_OFF;
        b->ops[0].fn = b->first;
        c->xl->ring->n[XL_N_NONE]++;
    }
    return true;
}

/* ---- asking ---- */

static void ask(struct cpu *c, const struct block *b)
{
    struct xl *x = c->xl;
    const struct xl_cache *h = (const struct xl_cache *)x->mem.cache;
    struct xl_ring *r = x->ring;
    uint32_t head = r->head;
    if (head - __atomic_load_n(&h->tail[c->index], __ATOMIC_ACQUIRE) >= XL_RING_SLOTS) {
        r->n[XL_N_FULL]++;
        return;
    }
    struct xl_ask *a = &r->ask[head % XL_RING_SLOTS];
    a->ram_off = b->ram_off[0];
    a->mode = b->mode;
    a->len = b->len;
    memcpy(a->bytes, bytes_of(c, b), b->len);
    __atomic_store_n(&r->head, head + 1, __ATOMIC_SEQ_CST);
    r->n[XL_N_ASK]++;
    if (__atomic_load_n(&h->asleep, __ATOMIC_SEQ_CST))
        x->mem.bell(x->mem.opaque);
}

/* In front of a block that has no translation: counts, asks, looks. */
OP(op_xl_heat)
{
    struct block *b = (struct block *)((uintptr_t)o - offsetof(struct block, ops));
    unsigned heat = ++b->heat, hot = c->xl->mem.heat_ask;
    if (likely(heat != HEAT_LOOK && (heat < hot || heat & 7) && heat != hot) || b->settle)
        return b->first(c, o);
    bool known = look(c, b);
    if (!known && (heat == hot || !(heat & (HEAT_AGAIN - 1)))) {
        ask(c, b);
        known = look(c, b);
    }
    return known ? b->ops[0].fn(c, o) : b->first(c, o);
}

static bool may_translate(const struct cpu *c, const struct block *b)
{
    return (b->mode & (MODE_64 | MODE_PE | MODE_TF | MODE_VM86 | MODE_SMM)) == (MODE_64 | MODE_PE) &&
           b->gpa2 == ~0ull && b->ram_off[0] < c->mem->ram_size && b->len;
}
void xl_block_new(struct cpu *c, struct block *b)
{
    if (!c->xl || !may_translate(c, b))
        return;
    b->xl_state = XL_COLD;
    b->ops[0].fn = op_xl_heat;
}

/* ---- unbinding ---- */

void xl_unlink(struct cpu *c, struct block *b)
{
    for (unsigned i = 0; i < b->xl_slots; i++)
        c->xl_slot[b->xl_slot + i] = (uintptr_t)xl_stub_link;
}
/* A block is found at one offset of any page: four places, for the bits of the page in the index. */
void xl_kill(struct cpu *c, struct block *b)
{
    if (!b->xl_code)
        return;
    for (uint64_t page = 0; page < 4; page++) {
        unsigned i = abi_xl_jc_index(page << 12 | (b->gpa & 0xfff));
        if (c->xl_jc[i].tb == (uintptr_t)b->xl_code)
            c->xl_jc[i].nlip = abi_xl_jc_empty(i);
    }
}
void xl_page_drop(struct cpu *c, uint64_t va)
{
    struct xl *x = c->xl;
    unsigned page = (va >> 12) & 4095;
    if (!x || !(x->page_seen[page / 64] >> (page % 64) & 1))
        return;
    unsigned first = abi_xl_jc_index(va & ~0xfffull);
    bool others = false; /* another page with the same bit */
    for (unsigned i = first; i < first + 1024; i++) {
        struct abi_xl_jc *e = &c->xl_jc[i];
        if (e->page == (va & ~0xfffull))
            *e = (struct abi_xl_jc){.nlip = abi_xl_jc_empty(i)};
        else
            others |= e->tb && (e->page >> 12 & 4095) == page;
    }
    if (!others)
        x->page_seen[page / 64] &= ~(1ull << (page % 64));
}
