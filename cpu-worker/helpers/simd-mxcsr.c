/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's MXCSR: where it lives, when the host's register stands in for it, and when an
 * operation raises #XM. Must never leave the host's register with an unmasked exception.
 */
#include "cpu-worker/helpers/simd.h"
#include "cpu-worker/helpers/simd-op.h"
#include "cpu-worker/helpers/x87-op.h"

#define MX_UE 0x10u
#define MX_PRE 0x07u  /* IE DE ZE: found before computing */
#define MX_UM 0x0800u
#define MX_FTZ 0x8000u
#define CR4_OSXMMEXCPT (1u << 10)

static inline void host_ldmxcsr(uint32_t v)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(v));
}

static inline uint32_t host_stmxcsr(void)
{
    uint32_t v;
    __asm__ volatile("stmxcsr %0" : "=m"(v));
    return v;
}

void simd_mx_enter(struct cpu *c)
{
    uint32_t m = (c->s->mxcsr & ~MXCSR_FLAGS) | MXCSR_DEFAULT;
    /* Flush-to-zero acts only while underflow is masked (SDM 1, 10.2.3.3). */
    if (!(c->s->mxcsr & MX_UM))
        m &= ~MX_FTZ;
    host_ldmxcsr(m);
}

static bool tiny32(__m128i v, unsigned n)
{
    uint32_t e[4];
    memcpy(e, &v, sizeof(e));
    for (unsigned i = 0; i < n; i++) {
        if (!(e[i] & 0x7f800000u) && (e[i] & 0x007fffffu))
            return true;
    }
    return false;
}

static bool tiny64(__m128i v, unsigned n)
{
    uint64_t e[2];
    memcpy(e, &v, sizeof(e));
    for (unsigned i = 0; i < n; i++) {
        if (!(e[i] & 0x7ff0000000000000ull) && (e[i] & 0x000fffffffffffffull))
            return true;
    }
    return false;
}

static bool tiny(__m128i v, enum simd_tiny kind)
{
    switch (kind) {
    case TINY_PS:
        return tiny32(v, 4);
    case TINY_SS:
        return tiny32(v, 1);
    case TINY_PD:
        return tiny64(v, 2);
    case TINY_SD:
        return tiny64(v, 1);
    case TINY_NO:
        break;
    }
    return false;
}

void simd_mx_leave(struct cpu *c, const struct op *o, __m128i result, enum simd_tiny kind)
{
    uint32_t flags = host_stmxcsr() & MXCSR_FLAGS;
    host_ldmxcsr(MXCSR_DEFAULT);
    uint32_t m = c->s->mxcsr;
    uint32_t unmasked = ~(m >> 7) & MXCSR_FLAGS;
    /* An unmasked underflow is signalled by a tiny result even if it is exact (SDM 1, 4.9.1.5). */
    if ((unmasked & MX_UE) && !(flags & MX_PRE & unmasked) && tiny(result, kind))
        flags |= MX_UE;
    if (!(flags & unmasked)) {
        c->s->mxcsr = m | flags;
        return;
    }
    /* Exceptions found before computing stop the operation, so the later ones are not reported. */
    /* PE beside an unmasked OE or UE is that of the masked result here, a processor's is that of
     * the result with an unbounded exponent; which exception is raised does not depend on it. */
    if (flags & unmasked & MX_PRE)
        flags &= MX_PRE;
    c->s->mxcsr = m | flags;
    cpu_raise(c, o, (c->s->cr4 & CR4_OSXMMEXCPT) ? VEC_XM : VEC_UD);
}

uint32_t simd_mxcsr(struct cpu *c)
{
    if (simd_mx_fast(c))
        c->s->mxcsr |= host_stmxcsr() & MXCSR_FLAGS;
    return c->s->mxcsr;
}

void simd_set_mxcsr(struct cpu *c, uint32_t v)
{
    c->s->mxcsr = v;
    host_ldmxcsr(MXCSR_DEFAULT);
}

uint32_t simd_mxcsr_mask(void)
{
    static uint32_t cached;
    uint32_t v = __atomic_load_n(&cached, __ATOMIC_RELAXED);
    if (likely(v))
        return v;
    struct {
        uint8_t b[512];
    } image __attribute__((aligned(16))) = {{0}};
    __asm__ volatile("fxsave %0" : "+m"(image));
    memcpy(&v, image.b + 28, 4);
    v = v ? v : 0xffbfu; /* SDM 1, 11.6.6 */
    __atomic_store_n(&cached, v, __ATOMIC_RELAXED);
    return v;
}

void simd_state_load(struct cpu *c)
{
    simd_set_mxcsr(c, c->s->mxcsr);
    x87_host_clear();
}

void simd_state_save(struct cpu *c)
{
    simd_mxcsr(c);
    c->s->ftw = x87_full_tags(c->s);
}
