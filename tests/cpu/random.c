/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers, and random bits that are often special numbers of every format. Same seed, same sequence. */
#include "tests/cpu/forms.h"

#include <string.h>

#define PICK(t) t[rnd() % (sizeof(t) / sizeof(t[0]))]

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
    static const uint32_t special[] = {0, 0x80000000, 1, 0x807fffff, 0x00800000, 0x7f7fffff, 0x7f800000,
                                       0xff800000, 0x7fc00000, 0xffc12345, 0x7f800001, 0xffa00000,
                                       0x3f800000, 0xbf800000, 0x4f000000, 0xcf000000, 0x5f000000,
                                       0x7fffffff, 0x3f000000, 0x33000000, 0x38800000, 0x477fe000};
    uint32_t r = (uint32_t)(rnd() >> 16);
    switch (rnd() >> 61) {
    case 0:
    case 1:
        return PICK(special);
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
    static const uint64_t special[] = {
        0, 0x8000000000000000, 1, 0x800fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff,
        0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0xfff8000012345678,
        0x7ff0000000000001, 0xfff4000000000000, 0x3ff0000000000000, 0xbff0000000000000,
        0x41e0000000000000, 0xc1e0000000000000, 0x43e0000000000000, 0xc3e0000000000000,
        0x41dfffffffc00000, 0x7fffffffffffffff, 0x36a0000000000000, 0x380fffffe0000000,
        0x47efffffe0000001, 0x3fe0000000000000, 0x4004000000000000};
    uint64_t r = rnd();
    switch (rnd() >> 61) {
    case 0:
    case 1:
        return PICK(special);
    case 2:
        return (r & 0x800fffffffffffffull) | (1023 + (rnd() >> 32) % 140 - 70) << 52;
    case 3:
        return (uint64_t)(int64_t)(int16_t)r;
    default:
        return r;
    }
}
static void rnd_x87(uint64_t *mant, uint16_t *se)
{
    static const uint64_t m[] = {0, 0x8000000000000000, 0xc000000000000000, 1, 0xffffffffffffffff,
                                 0xa000000000000000, 0x4000000000000000, 0x7fffffffffffffff,
                                 0xfffffffffffffc00, 0xffffff0000000000};
    static const uint16_t e[] = {0, 1, 0x7fff, 0x7ffe, 0x3fff, 0x3ffe, 0x4000, 0x403e, 0x403d, 0x401e,
                                 0x400e, 0x3f81, 0x407f, 0x3c01, 0x43ff, 0x3c00, 0x3f80, 0x4043, 0x3fe0};
    uint64_t r = rnd();
    *mant = r & 3 ? rnd() | 1ull << 63 : PICK(m);
    if (r & 4)
        *se = PICK(e);
    else if (r & 8)
        *se = (uint16_t)(0x3fff - 40 + (r >> 8) % 80);
    else
        *se = (uint16_t)(r >> 8 & 0x7fff);
    *se |= r & 16 ? 0x8000 : 0;
}
void rnd_fill(void *p, unsigned bytes)
{
    uint8_t *b = p;
    for (unsigned i = 0; i < bytes; i += 16) {
        uint64_t v[2];
        uint16_t se;
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
            rnd_x87(&v[0], &se);
            v[1] = se | rnd() << 16;
        }
        memcpy(b + i, v, bytes - i < 16 ? bytes - i : 16);
    }
}

/* Exceptions are unmasked in a third of the states, and may be pending in a few. */
static void rnd_control(struct fpu *f)
{
    bool unmasked = rnd() % 3 == 0;
    f->fcw = (uint16_t)(0x40 | (rnd() & 0xf00) | (unmasked ? rnd() & 0x3f : 0x3f));
    f->mxcsr = (uint32_t)((rnd() & 0xe040) | (rnd() & rnd() & 0x3f) | (unmasked ? rnd() & 0x1f80 : 0x1f80));
    if (rnd() % 4 == 0)
        f->mxcsr |= 0x20000 & engine_mxcsr_mask(); /* MM */
    uint64_t r = rnd();
    f->fsw = (uint16_t)(r & 0x7f00);
    if (r >> 20 & 1) /* sticky flags; pending ones now and then */
        f->fsw |= (uint16_t)(r >> 32 & 0x7f & ((r >> 24 & 15) ? f->fcw | 0x40u : 0xffu));
    if (f->fsw & ~f->fcw & 0x3f)
        f->fsw |= 0x8080;
    f->ftw = r >> 21 & 1 ? (uint8_t)(r >> 40) : 0xff;
    if ((r >> 21 & 7) == 4) { /* three used from TOP on */
        unsigned top = f->fsw >> 11 & 7;
        f->ftw = (uint8_t)(0x07u << top | 0x07u >> (8 - top));
    }
}
void rnd_fpu(struct fpu *f)
{
    rnd_control(f);
    for (unsigned i = 0; i < 8; i++)
        rnd_x87(&f->st[i].mant, &f->st[i].se);
    rnd_fill(f->xmm, sizeof(f->xmm));
    rnd_fill(f->ymmh, sizeof(f->ymmh));
}
