/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMD's SSE4A: EXTRQ and INSERTQ, bit fields of the low quadword, with the field named by immediates or by a
 * register. Must never compute a result itself: the forms with immediates run as their register twins.
 */
#include "cpu-worker/helpers/simd-op.h"

static inline __m128i field(const struct op *o)
{
    return _mm_cvtsi64_si128((long long)o->imm);
}

static OP(extrq_rr)
{
    __m128i a = X(o->dst);
    __asm__("extrq %1, %0" : "+x"(a) : "x"(X(o->src)));
    X(o->dst) = a;
    NEXT();
}

static OP(extrq_imm)
{
    __m128i a = X(o->dst);
    __asm__("extrq %1, %0" : "+x"(a) : "x"(field(o)));
    X(o->dst) = a;
    NEXT();
}

static OP(insertq_rr)
{
    __m128i a = X(o->dst);
    __asm__("insertq %1, %0" : "+x"(a) : "x"(X(o->src)));
    X(o->dst) = a;
    NEXT();
}

static OP(insertq_imm)
{
    __m128i a = X(o->dst), b = _mm_unpacklo_epi64(X(o->src), field(o));
    __asm__("insertq %1, %0" : "+x"(a) : "x"(b));
    X(o->dst) = a;
    NEXT();
}

/* Length in bits 5:0, index in bits 13:8: where the register forms want them (APM 4, EXTRQ). */
static bool with_field(struct op *o, const struct simd_in *d, op_fn fn)
{
    o->imm = (d->in->raw.imm[0].value.u & 0x3f) | (d->in->raw.imm[1].value.u & 0x3f) << 8;
    o->fn = fn;
    return true;
}

bool sse4a_decode(struct op *o, const struct simd_in *d)
{
    bool imm = d->in->opcode == 0x78;
    if (d->shape != SHAPE_RR)
        return false;
    switch (d->mn) {
    case ZYDIS_MNEMONIC_EXTRQ:
        return imm ? with_field(o, d, extrq_imm) : simd_bind(o, d, extrq_rr, NULL, NULL);
    case ZYDIS_MNEMONIC_INSERTQ:
        return imm ? with_field(o, d, insertq_imm) : simd_bind(o, d, insertq_rr, NULL, NULL);
    default:
        return false;
    }
}
