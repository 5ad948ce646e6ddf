/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block cache; see block.h. Invalidation marks blocks dead, takes them out of the hash and cuts
 * their links, so that nothing reaches them again; their memory goes with the next full flush.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/run/run.h"
#include "cpu-worker/run/team.h"
#include "cpu-worker/run/xl.h"

/* Each vCPU decodes for itself; together they take no more than a few hundred MiB. */
static size_t arena_size(const struct cpu *c)
{
    unsigned n = c->team->n;
    return (n <= 2 ? 96u : n <= 8 ? 48u : 16u) << 20;
}
#define HASH_SIZE  (1u << 16)
#define BLOCK_BYTES_MAX (BLOCK_OPS_MAX * 15u + 15u)

struct block_cache {
    uint8_t *arena;
    size_t used, size;
    uint64_t pages;
    uint64_t layout; /* of memory, as it was when the blocks were decoded */
    struct block **page; /* heads of the lists of blocks per RAM page */
    struct block *hash[HASH_SIZE];
};

static void *map_anon(size_t len)
{
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}
int block_cache_init(struct cpu *c, uint64_t ram_size)
{
    struct block_cache *bc = map_anon(sizeof(*bc));
    if (!bc)
        return -ENOMEM;
    bc->pages = ram_size >> 12;
    bc->size = arena_size(c);
    bc->arena = map_anon(bc->size);
    bc->page = map_anon(bc->pages * sizeof(*bc->page));
    if (!bc->arena || !bc->page)
        return -ENOMEM;
    c->blocks = bc;
    return 0;
}

static unsigned hash_of(uint64_t gpa, uint32_t mode)
{
    return (unsigned)((gpa ^ (gpa >> 14) ^ ((uint64_t)mode << 5)) & (HASH_SIZE - 1));
}
void block_flush_all(struct cpu *c)
{
    struct block_cache *bc = c->blocks;
    bc->used = 0;
    memset(bc->hash, 0, sizeof(bc->hash));
    for (uint64_t i = 0; i < bc->pages; i++) {
        if (bc->page[i]) {
            bc->page[i] = NULL;
            team_unmark_code(c, i);
        }
    }
    c->link_slot = NULL;
    jc_flush(c);
}

void block_layout_check(struct cpu *c)
{
    uint64_t now = c->mem->layout ^ __atomic_load_n(&c->mem->a20_mask, __ATOMIC_RELAXED);
    if (now == c->blocks->layout)
        return;
    c->blocks->layout = now;
    block_flush_all(c);
}

struct block *block_find(struct cpu *c, uint64_t gpa)
{
    for (struct block *b = c->blocks->hash[hash_of(gpa, c->mode)]; b; b = b->hash_next)
        if (b->gpa == gpa && b->mode == c->mode)
            return b;
    return NULL;
}

static void unhash(struct cpu *c, struct block *b)
{
    struct block **p = &c->blocks->hash[hash_of(b->gpa, b->mode)];
    while (*p && *p != b)
        p = &(*p)->hash_next;
    if (*p)
        *p = b->hash_next;
}
static void block_kill(struct cpu *c, struct block *b)
{
    if (b->dead)
        return;
    b->dead = true;
    unhash(c, b);
    xl_kill(c, b);
    b->ops[0].fn = op_dead; /* jump cache entries lead here until something else takes their place */
}
/* Which of a block's two page lists is the one of page number p. */
static unsigned page_side(const struct block *b, uint64_t p)
{
    return b->ram_off[0] != ~0ull && b->ram_off[0] >> 12 == p ? 0 : 1;
}
/* Links into dead blocks come only from blocks of the same page: cut all of that page's links. */
static void page_unlink(struct cpu *c, uint64_t p)
{
    for (struct block *b = c->blocks->page[p]; b; b = b->page_next[page_side(b, p)]) {
        if (b->term) {
            b->term[0].imm = 0;
            b->term[1].imm = 0;
        }
        xl_unlink(c, b);
    }
    c->link_slot = NULL;
}
static void page_register(struct cpu *c, struct block *b, unsigned side)
{
    if (b->ram_off[side] == ~0ull)
        return;
    uint64_t p = b->ram_off[side] >> 12;
    b->page_next[side] = c->blocks->page[p];
    c->blocks->page[p] = b;
}

void block_invalidate_page(struct cpu *c, uint64_t off)
{
    uint64_t p = off >> 12;
    page_unlink(c, p);
    for (struct block *b = c->blocks->page[p], *next; b; b = next) {
        next = b->page_next[page_side(b, p)];
        block_kill(c, b);
    }
    c->blocks->page[p] = NULL;
    team_unmark_code(c, p);
}

/* Bytes [lo, hi) of page p against the parts of the block that lie in that page: both of them when two
 * linear pages are the same frame. */
static bool block_overlaps(const struct block *b, uint64_t p, uint64_t lo, uint64_t hi)
{
    uint64_t first = b->ram_off[0] & 0xfff, in_first = 0x1000 - first;
    uint64_t n = b->len < in_first ? b->len : in_first;
    if (b->ram_off[0] >> 12 == p && lo < first + n && hi > first)
        return true;
    return b->ram_off[1] >> 12 == p && lo < b->len - in_first;
}
static bool hit_page(struct cpu *c, const struct op *o, uint64_t p, uint64_t lo, uint64_t hi)
{
    bool hit = false, live = false;
    for (struct block *b = c->blocks->page[p]; b; b = b->page_next[page_side(b, p)]) {
        if (b->dead)
            continue;
        if (!block_overlaps(b, p, lo, hi)) {
            live = true;
            continue;
        }
        hit = true;
        block_kill(c, b);
        if (o >= b->ops && o < b->ops + b->n && o->fn != op_resync) {
            struct op *next = (struct op *)o + 1; /* the running block: leave it after this one */
            next->off = (uint16_t)o->next_off;
            next->fn = op_resync;
        }
    }
    if (!live)
        block_invalidate_page(c, p << 12);
    return hit;
}
void block_store_hit(struct cpu *c, const struct op *o, uint64_t off, unsigned len)
{
    uint64_t p = off >> 12, lo = off & 0xfff;
    if (p < c->blocks->pages && hit_page(c, o, p, lo, lo + len))
        page_unlink(c, p);
}

struct fetcher { /* bytes of a block under construction */
    const uint8_t *host;
    unsigned in_page; /* bytes from host to the page's end */
    uint8_t straddle[16];
};

/* Decode the instruction that starts at byte `at` of the block and runs over the page's end. */
static enum decode_result decode_straddle(struct cpu *c, struct block *b, struct op *o, uint64_t lip,
                                          struct fetcher *f, unsigned at)
{
    const uint8_t *host2;
    uint64_t gpa2, off2;
    unsigned have = f->in_page - at;
    uint64_t page2 = (lip & ~0xfffull) + 4096;

    if (!(c->mode & MODE_64))
        page2 = (uint32_t)page2;
    if (at == 0) /* the fault, if any, belongs to this instruction */
        mmu_fetch(c, page2, &gpa2, NULL);
    if (!mmu_fetch_probe(c, page2, &host2, &gpa2, &off2) || !host2)
        return DECODE_MORE;
    team_mark_code(c, off2);
    uint64_t mark = team_unsettled(c); /* before the bytes are read */
    b->settle = mark ? mark : b->settle;
    memcpy(f->straddle, f->host + at, have);
    memcpy(f->straddle + have, host2, 15 - have);
    struct decode_in in = {f->straddle, 15, c->mode, at, c->feat, c->vendor};
    enum decode_result r = decode_one(o, &in);
    b->gpa2 = gpa2;
    b->ram_off[1] = off2;
    return r;
}

static void term_goto(struct op *o, unsigned len)
{
    memset(o, 0, 2 * sizeof(*o));
    o->fn = op_goto_next;
    o->off = (uint16_t)len;
    o->next_off = len;
}
static bool op_has_links(const struct op *o)
{
    if (o->fn == op_jmp_rel || o->fn == op_call_rel64 || o->fn == op_call_rel || o->fn == op_goto_next)
        return true;
    for (unsigned i = 0; i < 16; i++)
        if (o->fn == jcc_table[i])
            return true;
    for (unsigned i = 0; i < 4; i++)
        if (o->fn == loop_table[i])
            return true;
    return false;
}

static struct block *block_alloc(struct cpu *c)
{
    struct block_cache *bc = c->blocks;
    size_t worst = sizeof(struct block) + (BLOCK_OPS_MAX + 4) * sizeof(struct op) + BLOCK_BYTES_MAX;
    if (bc->used + worst > bc->size)
        block_flush_all(c);
    struct block *b = (struct block *)(bc->arena + bc->used);
    memset(b, 0, sizeof(*b));
    return b;
}

/* Append instructions until a terminator, the page's end or the limit. */
static void block_fill(struct cpu *c, struct block *b, uint64_t lip, struct fetcher *f)
{
    struct op *o = b->ops;
    unsigned max = b->mode & MODE_TF ? 1 : BLOCK_OPS_MAX;
    enum decode_result r = DECODE_OK;
    unsigned len = 0;

    while (b->n < max && len < f->in_page && r == DECODE_OK) {
        struct decode_in in = {f->host + len, f->in_page - len, c->mode, len, c->feat,
                               c->vendor};
        r = decode_one(o, &in);
        if (r == DECODE_MORE) {
            if (b->n) /* a straddling instruction gets a block of its own */
                break;
            r = decode_straddle(c, b, o, lip, f, len);
            if (r == DECODE_OK)
                r = DECODE_END, len += o->len, b->n++, o++, term_goto(o, len);
            else if (r == DECODE_END)
                len += o->len, b->n++;
            break;
        }
        len += o->len;
        b->n++;
        if (r == DECODE_OK)
            o++;
    }
    if (!b->n) { /* the code runs into something that is not memory */
        term_goto(o, len);
        o->fn = op_ud;
    } else if (r != DECODE_END) {
        term_goto(o, len);
    }
    if (r == DECODE_END) { /* a terminator whose handler goes on to its successor finds the way out */
        o[1].fn = op_resync;
        o[1].off = (uint16_t)len;
    }
    b->len = (uint16_t)len;
    b->term = op_has_links(o) ? o : NULL;
    c->blocks->used += sizeof(*b) + (size_t)((o + 2) - b->ops) * sizeof(*o);
}

/* Keeps the bytes that were decoded, behind the operations. */
static void copy_keep(struct cpu *c, struct block *b, const struct fetcher *f)
{
    b->copy = c->blocks->arena + c->blocks->used;
    memcpy(b->copy, b->ram_off[1] != ~0ull ? f->straddle : f->host, b->len);
    c->blocks->used += (b->len + 7u) & ~7u;
}

bool block_settle(struct cpu *c, struct block *b)
{
    bool over = team_settled(c, b->settle); /* before looking: stores after this are noticed */
    unsigned first = 0x1000 - (unsigned)(b->ram_off[0] & 0xfff);
    first = b->len < first ? b->len : first;
    bool same = !memcmp(b->copy, c->mem->ram + b->ram_off[0], first) &&
                (b->len == first || !memcmp(b->copy + first, c->mem->ram + b->ram_off[1], b->len - first));
    if (!same)
        block_kill(c, b);
    else if (over)
        b->settle = 0;
    return same;
}

void block_split(struct cpu *c, struct block *b)
{
    if (b->n == 1 || b->settle)
        return;
    b->n = 1;
    b->len = b->ops[0].len;
    b->term = &b->ops[1];
    term_goto(b->term, b->len);
    c->link_slot = NULL; /* it may have been the old terminator's */
}

struct block *block_make(struct cpu *c, uint64_t lip)
{
    const uint8_t *host;
    uint64_t gpa, off;
    if (!mmu_fetch_probe(c, lip, &host, &gpa, &off) || !host)
        return NULL;
    struct block *b = block_alloc(c);
    team_mark_code(c, off); /* before reading the bytes; the allocation may have flushed everything */
    b->settle = team_unsettled(c);
    b->gpa = gpa;
    b->gpa2 = ~0ull;
    b->mode = c->mode;
    b->ram_off[0] = off;
    b->ram_off[1] = ~0ull;
    struct fetcher f = {host, 0x1000 - (unsigned)(lip & 0xfff), {0}};
    uint8_t still[BLOCK_BYTES_MAX];
    if (b->settle) { /* a vCPU may be storing there: decode what is then compared */
        f.in_page = f.in_page < sizeof(still) ? f.in_page : (unsigned)sizeof(still); /* enough for all */
        memcpy(still, host, f.in_page);
        f.host = still;
    }
    block_fill(c, b, lip, &f);
    if (b->settle)
        copy_keep(c, b, &f);
    unsigned h = hash_of(gpa, b->mode);
    b->hash_next = c->blocks->hash[h];
    c->blocks->hash[h] = b;
    page_register(c, b, 0);
    page_register(c, b, 1);
    b->first = b->ops[0].fn;
    xl_block_new(c, b);
    return b;
}
