/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two passes over a decoded block. Accesses: registers have versions, a new one at each write that is not the
 * addition of a constant; accesses with the same base and index versions form a group that one check covers.
 * Flags: between an instruction that sets all of them from operands that stay and the next that sets all of them,
 * nobody looks at them but a way out, which can make them again. Must never group over a place that a loop
 * enters in the middle.
 */
#include "vmm/translator/plan.h"

#include <string.h>
#include "vmm/translator/gen.h"

struct walk {
    uint32_t version[16], next;
    int64_t delta[16];
};

static void all_new(struct walk *w)
{
    for (unsigned r = 0; r < 16; r++) {
        w->version[r] = ++w->next;
        w->delta[r] = 0;
    }
}
static void note(struct plan *p, const struct walk *w, unsigned insn, const struct gea *ea, unsigned size, bool write)
{
    if (p->n == ACCESS_MAX)
        return;
    struct access *a = &p->a[p->n];
    unsigned sub = p->n && p->a[p->n - 1].insn == insn ? p->a[p->n - 1].sub + 1u : 0;
    *a = (struct access){.insn = (uint8_t)insn, .sub = (uint8_t)sub, .size = (uint16_t)size, .write = write, .ea = *ea};
    a->off = ea->disp;
    if (ea->base >= 0) {
        a->version = w->version[ea->base];
        a->off += w->delta[ea->base];
    }
    if (ea->index >= 0) {
        a->version = a->version * 1000003u + w->version[ea->index];
        a->off += w->delta[ea->index] * ea->scale;
    }
    p->n++;
}
static void note_stack(struct plan *p, const struct walk *w, unsigned insn, int64_t disp, bool write)
{
    note(p, w, insn, &(struct gea){.base = G_RSP, .index = -1, .scale = 1, .seg = -1, .disp = disp}, 8, write);
}
/* In the order in which the emitter makes them. */
static void accesses_of(struct plan *p, const struct walk *w, unsigned k, const struct ginsn *g)
{
    static const struct gea si = {.base = G_RSI, .index = -1, .scale = 1, .seg = -1};
    static const struct gea di = {.base = G_RDI, .index = -1, .scale = 1, .seg = -1};
    static const struct gea bp = {.base = G_RBP, .index = -1, .scale = 1, .seg = -1};
    enum gen_kind kind = gen_classify(g);
    switch (kind) {
    case K_OPERATE: case K_MOFFS:
        if (g->mem)
            note(p, w, k, &g->ea, g->mem_size, g->mem_wr);
        break;
    case K_PUSH:
        if (g->mem)
            note(p, w, k, &g->ea, 8, false);
        note_stack(p, w, k, -8, true);
        break;
    case K_POP:
        note_stack(p, w, k, 0, false);
        break;
    case K_LEAVE:
        note(p, w, k, &bp, 8, false);
        break;
    case K_STRING:
        if (gen_string_from(g))
            note(p, w, k, &si, g->opsize / 8, false);
        if (gen_string_to(g))
            note(p, w, k, &di, g->opsize / 8, true);
        break;
    case K_BRANCH:
        if (g->mem)
            note(p, w, k, &g->ea, 8, false);
        if (g->mn == ZYDIS_MNEMONIC_CALL)
            note_stack(p, w, k, -8, true);
        if (g->mn == ZYDIS_MNEMONIC_RET)
            note_stack(p, w, k, 0, false);
        break;
    default:
        break;
    }
}
/* The instruction only adds a constant to one 64-bit register. */
static bool adds(const struct ginsn *g, unsigned *reg, int64_t *n)
{
    if (g->opsize != 64)
        return false;
    *reg = g->rm.num;
    *n = g->imm;
    switch (g->mn) {
    case ZYDIS_MNEMONIC_ADD:
        return g->rm.class == F_GPR && g->imm_len && g->modrm;
    case ZYDIS_MNEMONIC_SUB:
        *n = -g->imm;
        return g->rm.class == F_GPR && g->imm_len && g->modrm;
    case ZYDIS_MNEMONIC_INC: case ZYDIS_MNEMONIC_DEC:
        *n = g->mn == ZYDIS_MNEMONIC_INC ? 1 : -1;
        return g->rm.class == F_GPR;
    case ZYDIS_MNEMONIC_LEA:
        *reg = g->reg.num;
        *n = g->ea.disp;
        return g->reg.class == F_GPR && g->ea.base == (int)g->reg.num && g->ea.index < 0 && !g->ea.a32 && !g->ea.rip;
    case ZYDIS_MNEMONIC_PUSH: case ZYDIS_MNEMONIC_POP:
        *reg = G_RSP;
        *n = g->mn == ZYDIS_MNEMONIC_PUSH ? -8 : 8;
        return true;
    default:
        return false;
    }
}
static void step(struct walk *w, const struct ginsn *g)
{
    unsigned reg;
    int64_t n;
    uint16_t writes = g->writes;
    if (adds(g, &reg, &n)) {
        bool pop_sp = g->mn == ZYDIS_MNEMONIC_POP && (g->opreg.class == F_GPR ? g->opreg.num : g->rm.num) == G_RSP;
        if (!pop_sp) {
            w->delta[reg] += n;
            writes &= (uint16_t)~(1u << reg);
        }
    }
    for (unsigned r = 0; r < 16; r++)
        if (writes >> r & 1) {
            w->version[r] = ++w->next;
            w->delta[r] = 0;
        }
}

static bool same_base(const struct access *a, const struct access *b)
{
    return a->ea.base == b->ea.base && a->ea.index == b->ea.index && a->ea.scale == b->ea.scale &&
           a->ea.seg == b->ea.seg && a->ea.rip == b->ea.rip && a->version == b->version && !a->ea.a32 && !b->ea.a32;
}
static bool near(int64_t v)
{
    return v > INT32_MIN / 2 && v < INT32_MAX / 2;
}
static void group_from(struct plan *p, unsigned i)
{
    struct access *a = &p->a[i];
    a->lo = a->off;
    a->hi = a->off + a->size;
    a->group_write = a->write;
    for (unsigned j = i + 1; j < p->n && near(a->off) && near(a->ea.disp); j++) {
        struct access *b = &p->a[j];
        int64_t lo = b->off < a->lo ? b->off : a->lo, hi = b->off + b->size > a->hi ? b->off + b->size : a->hi;
        if (b->group != 0xff || !same_base(a, b) || hi - lo > SPAN_MAX || !near(b->off) || !near(b->ea.disp))
            continue;
        b->group = (uint8_t)i;
        a->lo = lo;
        a->hi = hi;
        a->group_write |= b->write;
        a->shared = true;
    }
}
/* Even windows are filled for loads, odd ones for stores, in every translation: one that was filled for a load says
 * nothing about stores. The stack's pages are nearly always the same: its first groups have the first two. */
static void groups_make(struct plan *p, uint32_t seed, bool user)
{
    const unsigned half = user ? 0 : ABI_XL_WINDOWS / 2, pairs = ABI_XL_WINDOWS / 4 - 1;
    unsigned count = 0;
    bool stack_taken[2] = {false, false};
    for (unsigned i = 0; i < p->n; i++)
        p->a[i].group = 0xff;
    for (unsigned i = 0; i < p->n; i++) {
        struct access *a = &p->a[i];
        if (a->group != 0xff)
            continue;
        a->group = (uint8_t)i;
        group_from(p, i);
        bool stack = a->ea.base == G_RSP && a->ea.index < 0 && a->ea.seg < 0 && !stack_taken[a->group_write];
        a->window = (uint8_t)(half + a->group_write + (stack ? 0 : 2 + 2 * ((seed + count++) % pairs)));
        stack_taken[a->group_write] |= stack;
    }
    if (count > pairs) /* two groups have one window: nothing may be shared */
        p->n = 0;
}

/* ---- flags ---- */

static bool sets_all(const struct ginsn *g)
{
    return g->fl_write == ARITH_FLAGS;
}
/* Registers that the block loads pointers into. */
static uint16_t loaded(const struct ginsn *g, unsigned n)
{
    uint16_t regs = 0;
    for (unsigned k = 0; k < n; k++)
        if (g[k].mem && g[k].mem_rd && g[k].mn == ZYDIS_MNEMONIC_MOV && g[k].reg.class == F_GPR && g[k].reg.wr &&
            g[k].opsize == 64)
            regs |= (uint16_t)(1u << g[k].reg.num);
    return regs;
}
static void chases_mark(struct plan *p, const struct ginsn *g, unsigned n)
{
    uint16_t regs = loaded(g, n);
    for (unsigned i = 0; i < p->n; i++)
        p->a[i].chased = p->a[i].ea.base >= 0 && p->a[i].ea.base != G_RSP && (regs >> p->a[i].ea.base & 1) && p->a[i].ea.index < 0;
}
static unsigned checks_in(const struct plan *p, unsigned from, unsigned to)
{
    unsigned n = 0;
    for (unsigned i = 0; i < p->n; i++)
        n += p->a[i].group == i && p->a[i].insn >= from && p->a[i].insn <= to;
    return n;
}
/* q sets all flags without reading any. Back to the writer before it, the last reader or a loop's entry, nobody
 * looks at flags but a way out. */
static void window_of(struct plan *p, const struct ginsn *g, unsigned q, int loop)
{
    unsigned start = q;
    bool open = true, entered = false;
    uint16_t writes = 0;
    int k = (int)q - 1;
    if (!sets_all(&g[q]) || g[q].fl_read)
        return;
    for (; k >= -1; k--) {
        entered |= k + 1 == loop;
        open &= k + 1 != loop;
        if (k < 0 || g[k].fl_any)
            break;
        open &= !g[k].fl_read;
        if (open)
            start = (unsigned)k;
        writes |= g[k].writes;
    }
    bool again = k >= 0 && !entered && sets_all(&g[k]) && gen_recipe_ok(&g[k], writes);
    if (!again && checks_in(p, start, q) < PLAN_SAVE_CHECKS)
        return;
    p->save[start] = !again;
    for (unsigned j = start; j <= q; j++)
        p->recipe[j] = again ? (int8_t)k : PLAN_SAVED;
}

void plan_make(struct plan *p, const struct ginsn *g, unsigned n, int loop, uint32_t seed, bool user)
{
    struct walk w = {.next = 0};
    all_new(&w);
    p->n = 0;
    memset(p->recipe, PLAN_EXACT, sizeof(p->recipe));
    memset(p->save, 0, sizeof(p->save));
    for (unsigned k = 0; k < n; k++) {
        if ((int)k == loop)
            all_new(&w);
        accesses_of(p, &w, k, &g[k]);
        step(&w, &g[k]);
    }
    groups_make(p, seed, user);
    chases_mark(p, g, n);
    for (unsigned k = 0; k < n; k++)
        window_of(p, g, k, loop);
}
struct access *plan_find(struct plan *p, unsigned insn, unsigned sub)
{
    for (unsigned i = 0; i < p->n; i++)
        if (p->a[i].insn == insn && p->a[i].sub == sub)
            return &p->a[i];
    return NULL;
}
