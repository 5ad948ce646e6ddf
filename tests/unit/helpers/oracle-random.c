/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random machine states made of numbers that matter: zeroes, denormals, infinities, NaNs of both
 * kinds, limits of the integer formats. Must always give the same sequence for a seed.
 */
#include "tests/unit/helpers/oracle.h"

#include <string.h>

static uint64_t seed_state = 88172645463325252ull;

void rnd_seed(uint64_t seed)
{
    seed_state = seed * 0x9e3779b97f4a7c15ull + 88172645463325252ull;
    seed_state = seed_state ? seed_state : 1;
}

uint64_t rnd(void)
{
    seed_state ^= seed_state << 13;
    seed_state ^= seed_state >> 7;
    seed_state ^= seed_state << 17;
    return seed_state * 0x2545f4914f6cdd1dull;
}

static uint32_t rnd32(void)
{
    static const uint32_t special[] = {0,          0x80000000, 0x00000001, 0x807fffff, 0x00800000,
                                       0x7f7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc12345,
                                       0x7f800001, 0xff812345, 0x3f800000, 0xbf800000, 0x4f000000,
                                       0xcf000000, 0x4effffff, 0x7fffffff, 0xffffffff, 0x3f000000,
                                       0x3fc00000, 0x40200000, 0x33800000, 0x5f000000};
    uint32_t r = (uint32_t)(rnd() >> 32);
    switch (rnd() >> 61) {
    case 0:
    case 1:
        return special[r % (sizeof(special) / sizeof(special[0]))];
    case 2:
        return (r & 0x807fffff) | (127u + (r >> 23) % 40 - 20) << 23;
    case 3:
        return r & 0x807fffff;
    case 4:
        return (uint32_t)(int32_t)(int8_t)r;
    default:
        return r;
    }
}

static uint64_t rnd64(void)
{
    static const uint64_t special[] = {0,
                                       0x8000000000000000ull,
                                       1,
                                       0x800fffffffffffffull,
                                       0x0010000000000000ull,
                                       0x7fefffffffffffffull,
                                       0x7ff0000000000000ull,
                                       0xfff0000000000000ull,
                                       0x7ff8000000000000ull,
                                       0xfff8000012345678ull,
                                       0x7ff0000000000001ull,
                                       0xfff4000000000000ull,
                                       0x3ff0000000000000ull,
                                       0xbff0000000000000ull,
                                       0x41e0000000000000ull,
                                       0xc1e0000000000000ull,
                                       0x43e0000000000000ull,
                                       0xc3e0000000000000ull,
                                       0x41dfffffffc00000ull,
                                       0x7fffffffffffffffull,
                                       0x36a0000000000000ull,
                                       0x380fffffe0000000ull,
                                       0x47efffffe0000001ull,
                                       0x3fe0000000000000ull,
                                       0x4004000000000000ull};
    uint64_t r = rnd();
    switch (rnd() >> 61) {
    case 0:
    case 1:
        return special[r % (sizeof(special) / sizeof(special[0]))];
    case 2:
        return (r & 0x800fffffffffffffull) | (1023 + (rnd() >> 32) % 140 - 70) << 52;
    case 3:
        return (uint64_t)(int64_t)(int16_t)r;
    default:
        return r;
    }
}

void rnd_fill(void *p, unsigned bytes)
{
    uint8_t *b = p;
    for (unsigned i = 0; i < bytes; i += 16) {
        uint64_t v[2];
        unsigned kind = rnd() >> 61;
        if (kind < 3) {
            v[0] = rnd64();
            v[1] = rnd64();
        } else if (kind < 6) {
            v[0] = (uint64_t)rnd32() << 32 | rnd32();
            v[1] = (uint64_t)rnd32() << 32 | rnd32();
        } else if (kind == 6) {
            v[0] = rnd() & rnd() & 0x7f007f7f7f7f7f7full;
            v[1] = rnd() & 0x00ff00ff;
        } else {
            uint16_t se;
            rnd_x87(&v[0], &se);
            v[1] = se | rnd() << 16;
        }
        memcpy(b + i, v, bytes - i < 16 ? bytes - i : 16);
    }
}

void rnd_x87(uint64_t *mant, uint16_t *se)
{
    static const uint64_t m[] = {0,
                                 0x8000000000000000ull,
                                 0xc000000000000000ull,
                                 1,
                                 0xffffffffffffffffull,
                                 0xa000000000000000ull,
                                 0x4000000000000000ull,
                                 0x7fffffffffffffffull,
                                 0xfffffffffffffc00ull,
                                 0xffffff0000000000ull};
    static const uint16_t e[] = {0,      1,      0x7fff, 0x7ffe, 0x3fff, 0x3ffe, 0x4000,
                                 0x403e, 0x403d, 0x401e, 0x400e, 0x3f81, 0x407f, 0x3c01,
                                 0x43ff, 0x3c00, 0x3f80, 0x4043, 0x3fe0};
    uint64_t r = rnd();
    *mant = r & 3 ? rnd() | 1ull << 63 : m[rnd() % (sizeof(m) / sizeof(m[0]))];
    if (r & 4)
        *se = e[rnd() % (sizeof(e) / sizeof(e[0]))];
    else if (r & 8)
        *se = (uint16_t)(0x3fff - 40 + (r >> 8) % 80);
    else
        *se = (uint16_t)(r >> 8 & 0x7fff);
    *se |= r & 16 ? 0x8000 : 0;
}

static uint16_t rnd_fcw(bool unmasked, bool controls)
{
    uint16_t cw = controls ? (uint16_t)(0x40 | (rnd() & 0xf00)) : 0x340;
    return cw | (unmasked && (rnd() & 3) ? (uint16_t)(rnd() & 0x3f) : 0x3f);
}

static void rnd_stack(struct fx_image *f, bool pending)
{
    uint64_t r = rnd();
    f->fsw = (uint16_t)(r & 0x7f00);
    if (r >> 20 & 1) /* sticky flags, only masked ones unless one may be pending */
        f->fsw |= (uint16_t)(r >> 32 & 0x7f & (pending ? 0xff : f->fcw | 0x40));
    if (f->fsw & ~f->fcw & 0x3f)
        f->fsw |= 0x8080;
    f->ftw = r >> 21 & 1 ? (uint8_t)(r >> 40) : r >> 22 & 1 ? 0xff : 0x07;
    if (!(r >> 21 & 1) && f->ftw == 0x07) { /* three used from TOP on */
        unsigned top = f->fsw >> 11 & 7;
        f->ftw = (uint8_t)(0x07u << top | 0x07u >> (8 - top));
    }
    for (unsigned i = 0; i < 8; i++) {
        rnd_x87(&f->st[i].mant, &f->st[i].se);
        memset(f->st[i].pad, 0, sizeof(f->st[i].pad));
    }
}

void rnd_machine(struct machine *m, bool unmasked, bool controls)
{
    struct fx_image *f = &m->fx;
    uint8_t *mem = m->mem;
    memset(f, 0, sizeof(*f));
    f->fip = 0x1000;
    f->fcw = rnd_fcw(unmasked, controls);
    rnd_stack(f, unmasked && (rnd() & 15) == 0);
    f->mxcsr = 0x1f80;
    if (controls)
        f->mxcsr |= (uint32_t)(rnd() & 0xe040);
    if (unmasked)
        f->mxcsr &= ~(uint32_t)(rnd() & 0x1f80);
    f->mxcsr |= (uint32_t)(rnd() & rnd() & 0x3f);
    rnd_fill(f->xmm, sizeof(f->xmm));
    rnd_fill(m->high, sizeof(m->high));
    memset(m->env, 0, sizeof(m->env));
    rnd_fill(m->gpr, sizeof(m->gpr));
    if (rnd() & 1) { /* lengths for PCMPESTRx */
        m->gpr[0] = rnd() % 20;
        m->gpr[2] = rnd() % 20;
    }
    m->gpr[6] = m->gpr[7] = (uintptr_t)mem + ORACLE_MEM / 2;
    m->gpr[4] = 0;
    m->rflags = 0x202 | (rnd() & 0x8d5);
    m->vector = -1;
    rnd_fill(mem + ORACLE_MEM / 2 - 64, 64 + 1024); /* what an instruction can reach */
}
