/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One block: decode, emit instruction by instruction, then the cold code. Owns the order of these and the way back
 * from an instruction that cannot be translated after all.
 */
#include "vmm/translator/xl.h"

#include <string.h>
#include "vmm/translator/gen.h"

static void decode_all(struct gen *t, const uint8_t *bytes)
{
    const struct abi_xl_in *in = t->in;
    uint32_t max = in->insns < ABI_XL_INSN_MAX ? in->insns : ABI_XL_INSN_MAX, at = 0;
    while (t->n < max && at < in->len && in->page_off + at < 4096) {
        struct ginsn *g = &t->g[t->n];
        if (!ginsn_decode(g, bytes + at, in->len - at, in->page_off + at) || !ginsn_allowed(g, in) ||
            gen_classify(g) == K_NONE)
            return;
        t->n++;
        at += g->len;
        if (gen_classify(g) == K_BRANCH)
            return;
    }
}
static bool emit_one(struct gen *t, const struct ginsn *g, enum gen_kind k)
{
    switch (k) {
    case K_NOP:
        return true;
    case K_COPY:
        emit_bytes(&t->e, g->bytes, g->len);
        return true;
    case K_OPERATE:
        return gen_operate(t, g);
    case K_LEA:
        return gen_lea(t, g);
    case K_MOFFS:
        return gen_moffs(t, g);
    case K_PUSH:
        return gen_push(t, g);
    case K_POP:
        return gen_pop(t, g);
    case K_LEAVE:
        return gen_leave(t, g);
    case K_STRING:
        return gen_string(t, g);
    case K_BRANCH:
        return gen_branch(t, g);
    default:
        return false;
    }
}
/* True: the instruction is emitted. False: everything is as if it had never been tried. */
static bool try_one(struct gen *t, const struct ginsn *g, enum gen_kind k)
{
    t->sub = 0;
    uint32_t n = t->e.n, faults = t->out->faults, slots = t->out->slots;
    unsigned colds = t->colds;
    if (emit_one(t, g, k))
        return true;
    t->e.n = n;
    t->out->faults = faults;
    t->out->slots = slots;
    t->colds = colds;
    return false;
}
/* After the last instruction that was translated, if it was no branch. */
static void emit_end(struct gen *t, uint32_t end)
{
    t->here = end;
    if (t->out->src_len == t->in->len || t->out->insns == t->in->insns || end >= 4096)
        gen_go(t, end);
    else
        gen_leave_at(t, end, ABI_XL_WHY_INSN);
}
/* Emits the instructions that can be. The twin has the same: what could be emitted once can be again. */
static void emit_block(struct gen *t)
{
    enum gen_kind k = K_NONE;
    uint32_t end = t->in->page_off;
    for (t->at = 0; t->at < t->n; t->at++) {
        const struct ginsn *g = &t->g[t->at];
        if (!t->twin)
            t->start[t->at] = t->e.n;
        t->here = g->off;
        k = gen_classify(g);
        if (t->plan.save[t->at])
            gen_flags_save(t);
        if ((int)t->at == t->poll_at)
            gen_poll(t);
        if (t->twin)
            t->twin_entry[t->at] = t->e.n;
        if (!try_one(t, g, k)) {
            k = K_NONE;
            break;
        }
        end = (uint32_t)g->off + g->len;
    }
    t->n = t->at; /* what follows was not emitted */
    t->out->insns = t->n;
    t->out->src_len = end - t->in->page_off;
    if (t->n && k != K_BRANCH)
        emit_end(t, end);
}
/* Where a branch at the end goes back to inside the block, or -1. */
static int loop_of(const struct gen *t)
{
    const struct ginsn *g = &t->g[t->n - 1];
    for (unsigned k = 0; g->relative && k < t->n; k++)
        if (t->g[k].off == g->off + g->len + g->imm)
            return (int)k;
    return -1;
}
/* The last place where a poll costs no care for flags, among those that every turn of a loop passes. */
static int poll_place(const struct gen *t)
{
    const struct ginsn *last = &t->g[t->n - 1];
    int loop = loop_of(t);
    if (gen_classify(last) != K_BRANCH || !gen_branch_polls(last))
        return -1;
    for (int k = (int)t->n - 1; k >= 0 && k >= loop; k--)
        if (t->plan.recipe[k] != PLAN_EXACT)
            return k;
    return -1;
}
/* What is done once before the first instruction; a loop comes back behind it. */
static void entry_emit(struct gen *t)
{
    for (unsigned k = 0; k < t->n; k++)
        if (t->g[k].simd) {
            gen_simd_ready(t);
            break;
        }
    gen_cache_load(t);
}
static void restart(struct gen *t)
{
    t->e.n = 0;
    t->colds = 0;
    t->twin = t->twin_wanted = false;
    memset(t->out, 0, offsetof(struct abi_xl_out, slot));
    plan_make(&t->plan, t->g, t->n, loop_of(t), t->in->slot_base, t->in->mode & ABI_XL_MODE_USER);
    t->poll_at = poll_place(t);
    gen_cache_choose(t, loop_of(t) >= 0);
    entry_emit(t);
}
static void emit_all(struct gen *t)
{
    unsigned planned = ~0u;
    while (t->n && t->n != planned) { /* the plan has to be that of the instructions that are there */
        planned = t->n;
        restart(t);
        emit_block(t);
    }
    if (!t->n)
        return;
    t->hot_len = t->e.n;
    if (t->cold_at && !t->e.full) { /* offsets go on counting from the code's first byte */
        t->e.n = t->cold_at;
        t->e.room = t->cold_at + t->cold_room;
    }
    if (t->twin_wanted) {
        t->twin = true;
        emit_block(t);
    }
    gen_colds_emit(t);
}
static bool valid(const struct abi_xl_in *in, size_t room)
{
    return (in->mode & ABI_XL_MODE_64) && !(in->mode & ABI_XL_MODE_TF) && in->page_off < 4096 &&
           in->len <= ABI_XL_SRC_MAX && in->slot_base <= ABI_XL_SLOTS - ABI_XL_SLOT_MAX && room;
}
bool xl_translate_split(const struct abi_xl_in *in, const uint8_t *bytes, uint8_t *code, size_t room, uint8_t *cold,
                        size_t cold_room, struct abi_xl_out *out)
{
    static struct gen g;
    memset(out, 0, offsetof(struct abi_xl_out, slot));
    if (!valid(in, room) || (cold && (cold < code + room || cold - code > INT32_MAX / 2)))
        return false;
    g.n = g.at = g.colds = 0;
    memset(g.pad, 0, sizeof(g.pad));
    memset(g.refill, 0, sizeof(g.refill));
    g.in = in;
    g.out = out;
    g.e = (struct emit){.code = code, .room = (uint32_t)(room < ABI_XL_CODE_MAX ? room : ABI_XL_CODE_MAX)};
    g.cold_at = cold ? (uint32_t)(cold - code) : 0;
    g.cold_room = (uint32_t)(cold_room < ABI_XL_CODE_MAX ? cold_room : ABI_XL_CODE_MAX);
    decode_all(&g, bytes);
    emit_all(&g);
    if (g.e.full || !out->insns) {
        memset(out, 0, offsetof(struct abi_xl_out, slot));
        return false;
    }
    out->code_len = cold ? g.hot_len : g.e.n;
    out->cold_len = cold ? g.e.n - g.cold_at : 0;
    return true;
}
bool xl_translate(const struct abi_xl_in *in, const uint8_t *bytes, uint8_t *code, size_t room,
                  struct abi_xl_out *out)
{
    return xl_translate_split(in, bytes, code, room, NULL, 0, out);
}

bool xl_host_can(void)
{
    return __builtin_cpu_supports("bmi2") && !__builtin_cpu_is("znver1") && !__builtin_cpu_is("znver2");
}
