/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FXSAVE, FXRSTOR, LDMXCSR and STMXCSR. The image is written straight into guest memory when it
 * lies in one page, as a kernel's context switch has it. Must never commit a part of an image that
 * faults.
 */
#include "cpu-worker/helpers/xsave.h"
#include "cpu-worker/helpers/x87-op.h"

#define EFER_FFXSR 0x4000u
#define IMAGE_ST  32
#define IMAGE_XMM 160

static inline void put16(uint8_t *p, uint16_t v)
{
    memcpy(p, &v, 2);
}

static inline void put32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, 4);
}

static inline void put64(uint8_t *p, uint64_t v)
{
    memcpy(p, &v, 8);
}

static inline uint16_t get16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return v;
}

static inline uint32_t get32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static inline uint64_t get64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

/* The pointer registers hold linear addresses of 57 bits, sign-extended. */
static inline uint64_t canonical(uint64_t v)
{
    return (uint64_t)((int64_t)(v << 7) >> 7);
}

/* One bit per physical register: 1 = in use (SDM 1, 10.5.1.1). */
static uint8_t short_tags(uint16_t ftw)
{
    uint8_t r = 0;
    for (unsigned i = 0; i < 8; i++)
        r |= (uint8_t)(((ftw >> 2 * i & 3) != 3) << i);
    return r;
}

static uint16_t long_tags(uint8_t t)
{
    uint16_t r = 0;
    for (unsigned i = 0; i < 8; i++)
        r |= (uint16_t)((t >> i & 1 ? 0 : 3) << 2 * i);
    return r;
}

/* AMD processors save pointers only beside a pending exception, else zeros (APM 4, FXSAVE). */
static void put_pointers(const struct cpu *c, bool wide, uint8_t *p)
{
    const struct abi_vcpu_state *s = c->s;
    if (c->vendor == ABI_CPU_AMD && !(s->fsw & 0x80)) {
        memset(p + 6, 0, 18);
        return;
    }
    put16(p + 6, s->fop & 0x7ff);
    put64(p + 8, wide ? s->fip : (uint32_t)s->fip | (uint64_t)s->fcs << 32);
    put64(p + 16, wide ? s->fdp : (uint32_t)s->fdp | (uint64_t)s->fds << 32);
}

void fxsave_put_x87(const struct cpu *c, bool wide, uint8_t *p)
{
    const struct abi_vcpu_state *s = c->s;

    put16(p, s->fcw);
    put16(p + 2, s->fsw);
    put16(p + 4, short_tags(s->ftw));
    put_pointers(c, wide, p);
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = x87_phys(s, i);
        put64(p + IMAGE_ST + 16 * i, s->fpr[n].mant);
        put64(p + IMAGE_ST + 16 * i + 8, s->fpr[n].se);
    }
}

void fxsave_put_mxcsr(struct cpu *c, uint8_t *p)
{
    put32(p + 24, simd_mxcsr(c));
    put32(p + 28, simd_mxcsr_mask(c));
}

void fxsave_put_xmm(const struct cpu *c, unsigned count, uint8_t *p)
{
    for (unsigned i = 0; i < count; i++)
        memcpy(p + IMAGE_XMM + 16 * i, c->s->ymm[i], 16);
}

void fxsave_get_x87(struct cpu *c, bool wide, const uint8_t *p)
{
    struct abi_vcpu_state *s = c->s;

    s->fsw = get16(p + 2);
    s->ftw = long_tags(p[4]);
    s->fop = get16(p + 6) & 0x7ff;
    s->fip = wide ? canonical(get64(p + 8)) : get32(p + 8);
    s->fdp = wide ? canonical(get64(p + 16)) : get32(p + 16);
    s->fcs = wide ? s->fcs : get16(p + 12);
    s->fds = wide ? s->fds : get16(p + 20);
    s->fcw = (get16(p) & 0x1f3f) | 0x40;
    x87_update_es(s);
    x87_host_clear();
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = x87_phys(s, i);
        s->fpr[n].mant = get64(p + IMAGE_ST + 16 * i);
        s->fpr[n].se = get16(p + IMAGE_ST + 16 * i + 8);
    }
}

void fxsave_get_xmm(struct cpu *c, unsigned count, const uint8_t *p)
{
    for (unsigned i = 0; i < count; i++)
        memcpy(c->s->ymm[i], p + IMAGE_XMM + 16 * i, 16);
}

/* Fast FXSAVE: EFER.FFXSR leaves the XMM registers out at CPL 0 in 64-bit mode (APM 2, 3.1.7). */
static unsigned xmm_count(const struct cpu *c, const struct op *o)
{
    bool fast = (c->s->efer & EFER_FFXSR) && !c->cpl && (c->mode & MODE_64);
    return fast ? 0 : o->aux;
}

/* aux: number of XMM registers; src: 1 = the REX.W layout of the pointers */
static void image_write(struct cpu *c, const struct op *o, uint8_t *p)
{
    fxsave_put_x87(c, o->src, p);
    fxsave_put_mxcsr(c, p);
    fxsave_put_xmm(c, xmm_count(c, o), p);
}

static void image_read(struct cpu *c, const struct op *o, const uint8_t *p)
{
    fxsave_get_x87(c, o->src, p);
    simd_set_mxcsr(c, get32(p + 24));
    fxsave_get_xmm(c, xmm_count(c, o), p);
}

/* The processor leaves what follows the last XMM register alone. */
static unsigned image_size(const struct cpu *c, const struct op *o)
{
    return IMAGE_XMM + 16u * xmm_count(c, o);
}

/* Before anything is read or written: the address of the first doubleword, its alignment, and then whether the last
 * byte of the 512 and the first may be accessed. */
static uint64_t image_ea(struct cpu *c, const struct op *o, bool write)
{
    uint64_t va = simd_part(c, o, 0, 4, write);
    mmu_canonical(c, o, va);
    mmu_canonical(c, o, va + 3);
    if (va & 15)
        simd_gp(c, o);
    simd_part_probe(c, o, 511, 1, write);
    return simd_part_probe(c, o, 0, 1, write);
}

WORKER_OP(fxsave)
{
    unsigned size = image_size(c, o);
    uint64_t va = image_ea(c, o, true);
    uint8_t *p = mmu_ptr_w(c, va, size);
    if (likely(p)) {
        image_write(c, o, p);
        return;
    }
    uint8_t b[512];
    image_write(c, o, b);
    mmu_write_bytes(c, o, va, b, size);
}

/* Copied before it is looked at: another processor may be writing it. */
WORKER_OP(fxrstor)
{
    uint8_t b[512];
    unsigned size = image_size(c, o);
    uint64_t va = image_ea(c, o, false);
    const uint8_t *p = mmu_ptr_r(c, va, size);
    if (likely(p))
        memcpy(b, p, size);
    else
        mmu_read_bytes(c, o, va, b, size);
    if (get32(b + 24) & ~simd_mxcsr_mask(c))
        simd_gp(c, o);
    image_read(c, o, b);
}

static OP(ldmxcsr)
{
    uint32_t v = simd_ld32(c, o);
    if (v & ~simd_mxcsr_mask(c))
        simd_gp(c, o);
    simd_set_mxcsr(c, v);
    NEXT();
}

static OP(stmxcsr)
{
    mmu_st32(c, o, op_ea(c, o, 4, true), simd_mxcsr(c));
    NEXT();
}

static bool set(struct op *o, const struct simd_in *d, op_fn fn, bool wide)
{
    o->fn = fn;
    o->src = wide;
    o->aux = d->mode & MODE_64 ? 16 : 8;
    return true;
}

bool fxsave_decode(struct op *o, const struct simd_in *d)
{
    switch (d->mn) {
    case ZYDIS_MNEMONIC_FXSAVE:
        return set(o, d, fxsave, false);
    case ZYDIS_MNEMONIC_FXSAVE64:
        return set(o, d, fxsave, true);
    case ZYDIS_MNEMONIC_FXRSTOR:
        return set(o, d, fxrstor, false);
    case ZYDIS_MNEMONIC_FXRSTOR64:
        return set(o, d, fxrstor, true);
    case ZYDIS_MNEMONIC_LDMXCSR:
        return set(o, d, ldmxcsr, false);
    case ZYDIS_MNEMONIC_STMXCSR:
        return set(o, d, stmxcsr, false);
    default:
        return false;
    }
}
