/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSE2 and SSE4.1 access to single elements: PINSRx, PEXTRx, EXTRACTPS, INSERTPS. imm is masked to
 * the element number when decoding. Must never write beyond the element, except INSERTPS's zeroes.
 */
#include "cpu-worker/helpers/simd-op.h"

#define ELEMENT(T, reg) (((T *)c->s->ymm[reg])[o->imm])

#define INSERT_OPS(X_)                                                                             \
    X_(PINSRB, pinsrb, uint8_t, 8) X_(PINSRW, pinsrw, uint16_t, 16)                                \
    X_(PINSRD, pinsrd, uint32_t, 32) X_(PINSRQ, pinsrq, uint64_t, 64)
#define DEFINE(MN, name, T, bits)                                                                  \
    static OP(name##_rr)                                                                           \
    {                                                                                              \
        ELEMENT(T, o->dst) = (T)c->gpr[o->src];                                                    \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(name##_rm)                                                                           \
    {                                                                                              \
        ELEMENT(T, o->dst) = mmu_ld##bits(c, o, op_ea(c, o, bits / 8, false));                     \
        NEXT();                                                                                    \
    }
INSERT_OPS(DEFINE)
#undef DEFINE

#define EXTRACT_OPS(X_)                                                                            \
    X_(PEXTRB, pextrb, uint8_t, 8) X_(PEXTRW, pextrw, uint16_t, 16)                                \
    X_(PEXTRD, pextrd, uint32_t, 32) X_(PEXTRQ, pextrq, uint64_t, 64)
#define DEFINE(MN, name, T, bits)                                                                  \
    static OP(name##_rr)                                                                           \
    {                                                                                              \
        c->gpr[o->dst] = ELEMENT(const T, o->src);                                                 \
        NEXT();                                                                                    \
    }                                                                                              \
    static OP(name##_mr)                                                                           \
    {                                                                                              \
        mmu_st##bits(c, o, op_ea(c, o, bits / 8, true), ELEMENT(const T, o->src));                 \
        NEXT();                                                                                    \
    }
EXTRACT_OPS(DEFINE)
#undef DEFINE

/* INSERTPS: imm = the instruction's (source 7:6, destination 5:4, zeroes 3:0) */
static inline void insert_single(struct cpu *c, const struct op *o, uint32_t v)
{
    uint32_t *d = (uint32_t *)c->s->ymm[o->dst];
    d[o->imm >> 4 & 3] = v;
    for (unsigned i = 0; i < 4; i++) {
        if (o->imm >> i & 1)
            d[i] = 0;
    }
}

static OP(insertps_rr)
{
    insert_single(c, o, ((const uint32_t *)c->s->ymm[o->src])[o->imm >> 6 & 3]);
    NEXT();
}

static OP(insertps_rm)
{
    insert_single(c, o, simd_ld32(c, o));
    NEXT();
}

bool sse_element_decode(struct op *o, const struct simd_in *d)
{
    unsigned imm = (unsigned)o->imm & 0xff;
    switch (d->mn) {
#define CASE(MN, name, T, bits)                                                                    \
    case ZYDIS_MNEMONIC_##MN:                                                                      \
        o->imm = imm & (128 / bits - 1);                                                           \
        return simd_bind(o, d, name##_rr, name##_rm, NULL);
        INSERT_OPS(CASE)
#undef CASE
#define CASE(MN, name, T, bits)                                                                    \
    case ZYDIS_MNEMONIC_##MN:                                                                      \
        o->imm = imm & (128 / bits - 1);                                                           \
        return simd_bind(o, d, name##_rr, NULL, name##_mr);
        EXTRACT_OPS(CASE)
#undef CASE
    case ZYDIS_MNEMONIC_EXTRACTPS:
        o->imm = imm & 3;
        return simd_bind(o, d, pextrd_rr, NULL, pextrd_mr);
    case ZYDIS_MNEMONIC_INSERTPS:
        o->imm = imm;
        return simd_bind(o, d, insertps_rr, insertps_rm, NULL);
    default:
        return false;
    }
}
