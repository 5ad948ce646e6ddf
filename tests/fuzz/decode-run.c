/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder's fuzz target without libFuzzer: inputs that once mattered, then pseudo-random ones
 * for a fixed time. Must give the same inputs in the same order on every run. Argument: seconds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    uint8_t len, b[24];
} corpus[] = {
    {12,
     {0, 0, 0x67, 0x49, 0x13, 0x34, 0x7d, 0x92, 0, 0, 0, 0x90}}, /* SIB without base, REX.B, 67 */
    {6, {0, 0, 0x65, 0x4a, 0xd7, 0x90}},                         /* XLAT with GS */
    {8, {0, 0, 0x41, 0x0f, 0x1a, 0x84, 0x8a, 0x66}},             /* an MPX hint that is cut short */
    {17,
     {0, 0, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
      0x90}},
    {18,
     {0, 0, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
      0x66, 0x90}},
    {3, {0, 0, 0x0f}},
    {5, {0, 0, 0xf0, 0x89, 0x03}},                         /* LOCK MOV */
    {7, {0, 0, 0xf0, 0x0f, 0xc7, 0x0b, 0x90}},             /* LOCK CMPXCHG8B */
    {9, {0, 0, 0x62, 0xf1, 0x75, 0x48, 0xef, 0xc2, 0x90}}, /* EVEX */
    {6, {0, 0, 0xc5, 0xf8, 0x77, 0x90}},                   /* VEX */
    {10, {1, 0, 0x9a, 0, 0, 0, 0, 0x10, 0, 0x90}},         /* far call */
    {7, {3, 0, 0x67, 0x8b, 0x44, 0x24, 0x04}},             /* 32-bit address in real mode */
    {6, {0, 1, 0x0f, 0x58, 0xc1, 0x90}},                   /* SSE with CR0.EM */
};

static uint64_t state = 0x9e3779b97f4a7c15ull;
static uint64_t rnd(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1dull;
}
/* Random bytes hit the one-byte map mostly; half of the inputs get prefixes and an escape. */
static unsigned make(uint8_t *buf)
{
    static const uint8_t lead[] = {0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x48, 0x0f, 0x0f,
                                   0x2e, 0x65, 0x4f, 0xc5, 0xc4, 0x62, 0x8f, 0x38};
    unsigned len = 3 + (unsigned)(rnd() >> 32) % 62;
    for (unsigned i = 0; i < len; i++)
        buf[i] = (uint8_t)(rnd() >> 40);
    for (unsigned i = 2; (rnd() >> 60) < 10 && i < len; i++)
        buf[i] = lead[rnd() >> 60];
    return len;
}

int main(int argc, char **argv)
{
    struct timespec a, b;
    double seconds = argc > 1 ? atof(argv[1]) : 2;
    unsigned long n = 0;
    uint8_t buf[80];

    alarm((unsigned)seconds + 30);
    for (unsigned i = 0; i < sizeof(corpus) / sizeof(corpus[0]); i++)
        LLVMFuzzerTestOneInput(corpus[i].b, corpus[i].len);
    clock_gettime(CLOCK_MONOTONIC, &a);
    do {
        for (unsigned i = 0; i < 1000; i++, n++) {
            unsigned len = make(buf);
            LLVMFuzzerTestOneInput(buf, len);
        }
        clock_gettime(CLOCK_MONOTONIC, &b);
    } while ((double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec) < seconds);
    printf("ok 1 - %lu inputs decoded\n1..1\n", n);
    return 0;
}
