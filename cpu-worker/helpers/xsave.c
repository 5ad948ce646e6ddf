/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XSAVE, XSAVEOPT, XSAVEC, XSAVES, XRSTOR and XRSTORS (SDM volume 1, chapter 13). An image is made or
 * taken apart in a buffer; only the parts that the instruction writes reach guest memory, all probed
 * before the first. Must never change the guest's state before every check of an image has passed.
 */
#include "cpu-worker/helpers/xsave.h"
#include "cpu-worker/helpers/x87-op.h"
#include "cpu-worker/mmu/control.h"

#define CR0_TS 8u
#define CR4_OSXSAVE 0x40000u
#define COMPACT (1ull << 63)
#define IMAGE_MAX 896u
#define PKRU_COMPONENT 9u

enum { FORM_XSAVE, FORM_OPT, FORM_C, FORM_S }; /* o->imm; XRSTOR: FORM_XSAVE, XRSTORS: FORM_S */

uint64_t xsave_components(const struct cpu *c)
{
    return XSAVE_X87 | XSAVE_SSE | (cpu_has(c, FEAT_AVX) ? XSAVE_AVX : 0) |
           (cpu_has(c, FEAT_PKU) ? XSAVE_PKRU : 0);
}

unsigned xsave_offset(unsigned n)
{
    return n == 2 ? XSAVE_EXTENDED : n == PKRU_COMPONENT ? XSAVE_EXTENDED + 256 : 0;
}

unsigned xsave_size(unsigned n)
{
    return n == 2 ? 256 : n == PKRU_COMPONENT ? 8 : 0;
}

/* Where PKRU is: in a compacted image that depends on what else XCOMP_BV says is there. */
static unsigned pkru_offset(uint64_t comp, bool compact)
{
    return compact && !(comp & XSAVE_AVX) ? XSAVE_EXTENDED : xsave_offset(PKRU_COMPONENT);
}

unsigned xsave_image_size(uint64_t components, bool compact)
{
    unsigned end = XSAVE_EXTENDED;
    for (unsigned n = 2; n < 63; n++) {
        if (components >> n & 1)
            end = (compact ? end : xsave_offset(n)) + xsave_size(n);
    }
    return end;
}

bool xsave_xcr0_valid(const struct cpu *c, uint64_t v)
{
    return (v & XSAVE_X87) && !(v & ~xsave_components(c)) && (!(v & XSAVE_AVX) || (v & XSAVE_SSE));
}

static bool x87_initial(const struct abi_vcpu_state *s)
{
    uint64_t any = (s->fcw ^ 0x37fu) | s->fsw | (s->ftw ^ 0xffffu) | s->fop | s->fip | s->fdp;
    for (unsigned i = 0; i < 8; i++)
        any |= s->fpr[i].mant | s->fpr[i].se;
    return !(any | s->fcs | s->fds);
}

uint64_t xsave_in_use(struct cpu *c)
{
    const struct abi_vcpu_state *s = c->s;
    uint64_t low = 0, high = 0, v[4];
    for (unsigned i = 0; i < 16; i++) {
        memcpy(v, s->ymm[i], sizeof(v));
        low |= v[0] | v[1];
        high |= v[2] | v[3];
    }
    return (x87_initial(s) ? 0 : XSAVE_X87) | (low ? XSAVE_SSE : 0) | (high ? XSAVE_AVX : 0) |
           (s->pkru ? XSAVE_PKRU : 0);
}

/* ---- pieces of guest memory ---- */

struct image {
    uint64_t va;
    unsigned count;
    struct {
        uint16_t at, len;
    } piece[7];
    uint8_t b[IMAGE_MAX] __attribute__((aligned(64)));
};

static void piece_add(struct image *m, unsigned at, unsigned len)
{
    m->piece[m->count].at = (uint16_t)at;
    m->piece[m->count++].len = (uint16_t)len;
}

static void pieces_write(struct cpu *c, const struct op *o, const struct image *m)
{
    for (unsigned i = 0; i < m->count; i++)
        mmu_probe_write(c, o, m->va + m->piece[i].at, m->piece[i].len);
    for (unsigned i = 0; i < m->count; i++) {
        void *p = mmu_ptr_w(c, m->va + m->piece[i].at, m->piece[i].len);
        if (likely(p))
            memcpy(p, m->b + m->piece[i].at, m->piece[i].len);
        else
            mmu_write_bytes(c, o, m->va + m->piece[i].at, m->b + m->piece[i].at, m->piece[i].len);
    }
}

static void piece_read(struct cpu *c, const struct op *o, struct image *m, unsigned at, unsigned len)
{
    const void *p = mmu_ptr_r(c, m->va + at, len);
    if (likely(p))
        memcpy(m->b + at, p, len);
    else
        mmu_read_bytes(c, o, m->va + at, m->b + at, len);
}

static uint64_t header_get(const struct image *m, unsigned word)
{
    uint64_t v;
    memcpy(&v, m->b + XSAVE_HEADER + 8 * word, 8);
    return v;
}

static void header_put(struct image *m, unsigned word, uint64_t v)
{
    memcpy(m->b + XSAVE_HEADER + 8 * word, &v, 8);
}

/* What all of them ask first. Returns the components asked for. */
static uint64_t begin(struct cpu *c, const struct op *o, struct image *m, bool write)
{
    if (!(c->s->cr4 & CR4_OSXSAVE))
        cpu_raise(c, o, VEC_UD);
    if (c->s->cr0 & CR0_TS)
        cpu_raise(c, o, VEC_NM);
    if (o->imm == FORM_S && c->cpl)
        simd_gp(c, o);
    struct op unchecked = *o;
    unchecked.ea &= (uint8_t)~EA_LEGACY;
    if (op_ea(c, &unchecked, 1, write) & 63)
        simd_gp(c, o);
    m->va = simd_part_probe(c, o, 0, 1, write);
    m->count = 0;
    return c->s->xcr0 & ((uint32_t)c->gpr[REG_RAX] | c->gpr[REG_RDX] << 32);
}

/* The first byte of the area and the last that what is asked for has there (of an image with `comp`, which is
 * what is asked for in a standard one) are checked before anything is written; a restore checks the header in
 * between. */
static void end_probe(struct cpu *c, const struct op *o, uint64_t asked, uint64_t comp, bool compact, bool write)
{
    unsigned size = xsave_image_size(asked, false);
    if (compact && (asked & XSAVE_PKRU))
        size = pkru_offset(comp, true) + xsave_size(PKRU_COMPONENT);
    simd_part_probe(c, o, size - 1, 1, write);
}

/* ---- saving: aux = vector registers there are in this mode, src = 64-bit pointers ---- */

static void components_put(struct cpu *c, const struct op *o, struct image *m, uint64_t which, unsigned pkru_at)
{
    if (which & XSAVE_X87) {
        fxsave_put_x87(c, o->src, m->b);
        piece_add(m, 0, 24);
        piece_add(m, 32, 128);
    }
    if (which & XSAVE_SSE) {
        fxsave_put_xmm(c, o->aux, m->b);
        piece_add(m, 160, 16u * o->aux);
    }
    if (which & XSAVE_AVX) {
        for (unsigned i = 0; i < o->aux; i++)
            memcpy(m->b + XSAVE_EXTENDED + 16 * i, c->s->ymm[i] + 16, 16);
        piece_add(m, XSAVE_EXTENDED, 16u * o->aux);
    }
    if (which & XSAVE_PKRU) {
        uint64_t v = c->s->pkru;
        memcpy(m->b + pkru_at, &v, 8);
        piece_add(m, pkru_at, 8);
    }
}

static void mxcsr_put(struct cpu *c, struct image *m)
{
    fxsave_put_mxcsr(c, m->b);
    piece_add(m, 24, 8);
}

/* XSAVE writes everything asked for, XSAVEOPT leaves out what is in its initial state. */
WORKER_OP(xsave)
{
    struct image m;
    uint64_t asked = begin(c, o, &m, true), used = xsave_in_use(c);

    end_probe(c, o, asked, asked, false, true);
    piece_read(c, o, &m, XSAVE_HEADER, 8);
    header_put(&m, 0, (header_get(&m, 0) & ~asked) | (used & asked));
    components_put(c, o, &m, o->imm == FORM_OPT ? asked & used : asked, pkru_offset(asked, false));
    if (asked & (XSAVE_SSE | XSAVE_AVX))
        mxcsr_put(c, &m);
    piece_add(&m, XSAVE_HEADER, 8);
    pieces_write(c, o, &m);
}

/* XSAVEC and XSAVES: MXCSR is part of SSE state, which is in use too when only MXCSR is. IA32_XSS is 0. */
WORKER_OP(xsave_compact)
{
    struct image m;
    uint64_t asked = begin(c, o, &m, true), used = xsave_in_use(c);

    end_probe(c, o, asked, asked, true, true);
    if (simd_mxcsr(c) != MXCSR_DEFAULT)
        used |= XSAVE_SSE;
    components_put(c, o, &m, asked & used, pkru_offset(asked, true));
    if (asked & used & XSAVE_SSE)
        mxcsr_put(c, &m);
    header_put(&m, 0, asked & used);
    header_put(&m, 1, asked | COMPACT);
    piece_add(&m, XSAVE_HEADER, 16);
    pieces_write(c, o, &m);
}

/* ---- restoring ---- */

static void x87_initialise(struct abi_vcpu_state *s)
{
    memset(s->fpr, 0, sizeof(s->fpr));
    s->fcw = 0x37f;
    s->fsw = s->fop = s->fcs = s->fds = 0;
    s->ftw = 0xffff;
    s->fip = s->fdp = 0;
    x87_host_clear();
}

static bool header_valid(const struct cpu *c, const struct op *o, const struct image *m)
{
    uint64_t bv = header_get(m, 0), comp = header_get(m, 1), rest = 0;
    if (!(comp & COMPACT))
        return o->imm != FORM_S && !(bv & ~c->s->xcr0) && !comp && !header_get(m, 2);
    for (unsigned i = 2; i < 8; i++)
        rest |= header_get(m, i);
    return cpu_has(c, FEAT_XSAVEC) && !(comp & ~COMPACT & ~c->s->xcr0) && !(bv & ~(comp & ~COMPACT)) && !rest;
}

static void vectors_get(struct cpu *c, const struct op *o, const struct image *m, uint64_t asked, uint64_t bv)
{
    static const uint8_t zero[256];
    for (unsigned i = 0; i < o->aux && (asked & XSAVE_SSE); i++)
        memcpy(c->s->ymm[i], bv & XSAVE_SSE ? m->b + 160 + 16 * i : zero, 16);
    for (unsigned i = 0; i < o->aux && (asked & XSAVE_AVX); i++)
        memcpy(c->s->ymm[i] + 16, bv & XSAVE_AVX ? m->b + XSAVE_EXTENDED + 16 * i : zero, 16);
}

/* NULL: its initial state, which is 0. The rights hold from the next access on. */
static void pkru_get(struct cpu *c, const uint8_t *p)
{
    uint32_t v = 0;
    if (p)
        memcpy(&v, p, 4);
    pkru_write(c, v);
}

WORKER_OP(xrstor)
{
    struct image m;
    uint64_t asked = begin(c, o, &m, false);
    uint32_t mxcsr = MXCSR_DEFAULT;

    simd_part_probe(c, o, XSAVE_HEADER, 64, false);
    piece_read(c, o, &m, XSAVE_HEADER, 64);
    if (!header_valid(c, o, &m))
        simd_gp(c, o);
    uint64_t bv = header_get(&m, 0);
    bool compact = header_get(&m, 1) & COMPACT;
    unsigned pkru_at = pkru_offset(header_get(&m, 1), compact);
    end_probe(c, o, compact ? asked & bv : asked, header_get(&m, 1), compact, false);
    bool sets_mxcsr = asked & (compact ? XSAVE_SSE : XSAVE_SSE | XSAVE_AVX);
    bool loads_mxcsr = sets_mxcsr && (!compact || (bv & XSAVE_SSE));
    if (asked & ((bv & 3) | (loads_mxcsr ? 7 : 0)))
        piece_read(c, o, &m, 0, 160 + 16u * o->aux);
    if (asked & bv & XSAVE_AVX)
        piece_read(c, o, &m, XSAVE_EXTENDED, 16u * o->aux);
    if (asked & bv & XSAVE_PKRU)
        piece_read(c, o, &m, pkru_at, 8);
    if (loads_mxcsr)
        memcpy(&mxcsr, m.b + 24, 4);
    if (mxcsr & ~simd_mxcsr_mask(c))
        simd_gp(c, o);
    if (sets_mxcsr)
        simd_set_mxcsr(c, mxcsr);
    if (asked & bv & XSAVE_X87)
        fxsave_get_x87(c, o->src, m.b);
    else if (asked & XSAVE_X87)
        x87_initialise(c->s);
    vectors_get(c, o, &m, asked, bv);
    if (asked & XSAVE_PKRU)
        pkru_get(c, bv & XSAVE_PKRU ? m.b + pkru_at : NULL);
}

/* ---- decoding ---- */

static bool set(struct op *o, const struct simd_in *d, op_fn fn, unsigned form, bool wide)
{
    o->fn = fn;
    o->imm = form;
    o->src = wide;
    o->aux = d->mode & MODE_64 ? 16 : 8;
    return true;
}

bool xsave_decode(struct op *o, const struct simd_in *d)
{
    switch (d->mn) {
    case ZYDIS_MNEMONIC_XSAVE:
    case ZYDIS_MNEMONIC_XSAVE64:
        return set(o, d, xsave, FORM_XSAVE, d->mn == ZYDIS_MNEMONIC_XSAVE64);
    case ZYDIS_MNEMONIC_XSAVEOPT:
    case ZYDIS_MNEMONIC_XSAVEOPT64:
        return set(o, d, xsave, FORM_OPT, d->mn == ZYDIS_MNEMONIC_XSAVEOPT64);
    case ZYDIS_MNEMONIC_XSAVEC:
    case ZYDIS_MNEMONIC_XSAVEC64:
        return set(o, d, xsave_compact, FORM_C, d->mn == ZYDIS_MNEMONIC_XSAVEC64);
    case ZYDIS_MNEMONIC_XSAVES:
    case ZYDIS_MNEMONIC_XSAVES64:
        return set(o, d, xsave_compact, FORM_S, d->mn == ZYDIS_MNEMONIC_XSAVES64);
    case ZYDIS_MNEMONIC_XRSTOR:
    case ZYDIS_MNEMONIC_XRSTOR64:
        return set(o, d, xrstor, FORM_XSAVE, d->mn == ZYDIS_MNEMONIC_XRSTOR64);
    case ZYDIS_MNEMONIC_XRSTORS:
    case ZYDIS_MNEMONIC_XRSTORS64:
        return set(o, d, xrstor, FORM_S, d->mn == ZYDIS_MNEMONIC_XRSTORS64);
    default:
        return false;
    }
}
