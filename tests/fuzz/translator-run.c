/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code generator's fuzz target without libFuzzer: pseudo-random blocks for a fixed time, most of them of
 * prefixes, opcodes and ModRM bytes that mean something. Must give the same inputs in the same order on every run.
 * Argument: seconds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t state = 0x9e3779b97f4a7c15ull;
static uint64_t rnd(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}
static unsigned put(uint8_t *b, uint64_t r)
{
    static const uint8_t prefix[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x64, 0x65, 0x40, 0x48, 0x4c, 0x45, 0x4f};
    static const uint8_t opcode[] = {0x00, 0x01, 0x03, 0x29, 0x39, 0x50, 0x58, 0x5b, 0x63, 0x68, 0x75, 0x7c, 0x83, 0x81, 0x85,
                                     0x87, 0x89, 0x8b, 0x8d, 0x8f, 0xa1, 0xa4, 0xaa, 0xb8, 0xc1, 0xc3, 0xc7, 0xc9, 0xd3,
                                     0xe2, 0xe3, 0xe8, 0xe9, 0xeb, 0xf7, 0xfe, 0xff};
    unsigned n = 0;
    while (r % 3 == 0 && n < 4) {
        b[n++] = prefix[(r >> 8) % sizeof(prefix)];
        r = rnd();
    }
    if ((r >> 4) % 4 == 0)
        b[n++] = 0x0f;
    else if ((r >> 4) % 16 == 1) {
        b[n++] = 0xc4;
        b[n++] = (uint8_t)(r >> 40);
        b[n++] = (uint8_t)(r >> 48);
    }
    b[n++] = (r >> 12) % 4 ? opcode[(r >> 16) % sizeof(opcode)] : (uint8_t)(r >> 24);
    for (unsigned k = (unsigned)(r >> 32) % 7; k; k--)
        b[n++] = (uint8_t)rnd();
    return n;
}
int main(int argc, char **argv)
{
    struct timespec a, b;
    double seconds = argc > 1 ? atof(argv[1]) : 2;
    unsigned long n = 0;
    uint8_t buf[1200];

    alarm((unsigned)seconds + 30);
    clock_gettime(CLOCK_MONOTONIC, &a);
    do {
        for (unsigned i = 0; i < 500; i++, n++) {
            unsigned len = 6, want = 8 + (unsigned)(rnd() % (rnd() % 8 ? 60 : 1000));
            for (unsigned k = 0; k < 6; k++)
                buf[k] = (uint8_t)(rnd() >> 20);
            while (len < want)
                len += put(buf + len, rnd());
            LLVMFuzzerTestOneInput(buf, len);
        }
        clock_gettime(CLOCK_MONOTONIC, &b);
    } while ((double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec) < seconds);
    printf("ok 1 - %lu blocks translated\n1..1\n", n);
    return 0;
}
