/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XSAVE, XSAVEOPT, XSAVEC and XRSTOR of x87, SSE and AVX state against the host: every mask, both formats,
 * good and bad headers. Arguments: rounds, a seed.
 */
#include "tests/unit/helpers/oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT 0x40 /* displacement of the image, a multiple of 64 */

static const struct form {
    const char *name;
    uint8_t opcode, reg;
    bool restore;
} forms[] = {{"xsave", 0xae, 4, false},
             {"xsaveopt", 0xae, 6, false},
             {"xsavec", 0xc7, 4, false},
             {"xrstor", 0xae, 5, true}};

static void put64(uint8_t *p, uint64_t v)
{
    memcpy(p, &v, 8);
}

/* A bit that neither processor has in XCR0; the host has more there than the emulated one. */
static uint64_t strange_bit(uint64_t r)
{
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    for (unsigned n = r & 63;; n = (n + 1) & 63) {
        if (n != 63 && !(((uint64_t)hi << 32 | lo) >> n & 1))
            return 1ull << n;
    }
}

/* An image as another XSAVE would leave it, in one of four cases with something wrong in it. */
static void image_prepare(uint8_t *p)
{
    uint64_t r = rnd(), bv = r & 7, comp = r & 8 ? 1ull << 63 | bv | (r >> 4 & 7) : 0;
    uint32_t mxcsr = (uint32_t)(r >> 8) & (r & 0x80 ? 0xffffffff : 0xffbf);
    memset(p + 512, 0, 64);
    memcpy(p + 24, &mxcsr, 4);
    switch (r >> 40 & 15) {
    case 0:
        bv |= r >> 44 & 7;
        break;
    case 1:
        comp ^= r >> 50 & 1 ? 1ull << 63 : strange_bit(r >> 44);
        break;
    case 2:
        p[512 + 16 + (r >> 44) % 48] = 1;
        break;
    case 3:
        bv |= strange_bit(r >> 44);
        break;
    default:
        break;
    }
    put64(p + 512, bv);
    put64(p + 520, comp);
}

static unsigned run(const struct form *f, unsigned wide, unsigned rounds)
{
    struct insn i = {.len = 0};
    unsigned bad = 0;
    if (wide)
        i.bytes[i.len++] = 0x48;
    i.bytes[i.len++] = 0x0f;
    i.bytes[i.len++] = f->opcode;
    i.bytes[i.len++] = (uint8_t)(0x46 | f->reg << 3);
    i.bytes[i.len++] = AT;
    i.prepare = image_prepare;
    i.prepare_at = AT;
    bad = oracle_compare(f->name, &i, rounds, true);
    i.bytes[i.len - 1] = AT + 8; /* misaligned: #GP */
    return bad + oracle_compare(f->name, &i, 4, false);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 4000, failed = 0;
    if (argc > 2)
        rnd_seed((uint64_t)atoll(argv[2]));
    if (!__builtin_cpu_supports("avx") || !host_has_xsavec()) {
        printf("ok 1 # SKIP the host has no AVX or no XSAVEC\n1..1\n");
        return 0;
    }
    native_init();
    emu_init();
    encode_init();
    for (unsigned n = 0; n < 2 * sizeof(forms) / sizeof(forms[0]); n++)
        failed += run(&forms[n / 2], n & 1, rounds);
    printf("%s 1 - XSAVE family compared with the host, %u differ\n1..1\n", failed ? "not ok" : "ok", failed);
    return failed != 0;
}
