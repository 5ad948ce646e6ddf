/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients made from a grammar of RFB's messages with every number in them at random, cut and repeated, for
 * argv[1] seconds. The server must be there at the end. Prints the seed first, so that a run can be
 * repeated (argv[2]).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ui-proc/vnc/vnc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern unsigned long rfb_fuzz_frames;

static uint64_t state;

static uint32_t rnd(void)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(state >> 33);
}

static uint8_t buf[8192];
static size_t len;

static void b8(unsigned v)
{
    if (len < sizeof(buf)) {
        buf[len++] = (uint8_t)v;
    }
}
static void b16(unsigned v)
{
    b8(v >> 8);
    b8(v);
}
static void b32(uint32_t v)
{
    b16(v >> 16);
    b16(v);
}
/* Small, large, an edge, or anything. */
static unsigned number(void)
{
    static const unsigned edges[] = {0, 1, 15, 16, 63, 64, 255, 256, 400, 720, 2048, 32767, 32768, 65535};

    return rnd() % 3 ? edges[rnd() % (sizeof(edges) / sizeof(edges[0]))] : rnd() & 0xffff;
}

static void message_format(void)
{
    static const uint8_t bpp[] = {8, 16, 32, 32, 24, 0, 255};

    b8(0);
    b8(0);
    b16(0);
    b8(bpp[rnd() % sizeof(bpp)]);
    b8(rnd() % 2 ? 24 : rnd());
    b8(rnd() & 1);
    b8(rnd() % 4 ? 1 : 0);
    for (unsigned i = 0; i < 3; i++) {
        b16(rnd() % 2 ? 255 : number());
    }
    for (unsigned i = 0; i < 3; i++) {
        b8(rnd() % 3 ? 8 * i : rnd());
    }
    b8(0);
    b16(0);
}

static void message_encodings(void)
{
    static const int32_t known[] = {0, 1, 2, 5, 6, 7, 16, -23, -32, -26, -223, -224, -239, -247, -256, -257,
                                    -258, -261, -307, -308, -312, -313};
    unsigned n = rnd() % 12;

    b8(2);
    b8(0);
    b16(rnd() % 8 ? n : number());
    for (unsigned i = 0; i < n; i++) {
        b32(rnd() % 8 ? (uint32_t)known[rnd() % (sizeof(known) / sizeof(known[0]))] : rnd());
    }
}

static void message_numbers(unsigned type, const char *shape)
{
    b8(type);
    for (; *shape; shape++) {
        if (*shape == '1') {
            b8(rnd() % 2 ? rnd() & 1 : rnd());
        } else if (*shape == '2') {
            b16(number());
        } else {
            b32(rnd() % 2 ? number() : rnd());
        }
    }
}

static void message(void)
{
    switch (rnd() % 13) {
    case 0: message_format(); break;
    case 1: message_encodings(); break;
    case 2: case 3: case 4: message_numbers(3, "12222"); break;
    case 5: message_numbers(4, "124"); break;
    case 6: message_numbers(5, "122"); break;
    case 7: message_numbers(6, "124"); break;
    case 8: message_numbers(150, "12222"); break;
    case 9: message_numbers(248, "1244111"); break;
    case 10: message_numbers(251, "12211444444"); break;
    case 11: message_numbers(255, "12444"); break;
    default: message_numbers(rnd() & 255, "444"); break;
    }
}

static void client_make(void)
{
    unsigned n = rnd() % 24;

    len = 0;
    b8(rnd() % 8 ? 0x0b | (rnd() & 0x30) : rnd()); /* mostly through the handshake */
    for (unsigned i = 0; i < n; i++) {
        message();
    }
    for (unsigned i = rnd() % 4; i && rnd() % 3 == 0 && len > 1; i--) {
        buf[1 + rnd() % (len - 1)] = (uint8_t)rnd();
    }
    if (rnd() % 4 == 0 && len > 2) {
        len -= rnd() % (len - 1);
    }
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL), end;
    unsigned long n = 0;

    state = seed;
    printf("1..1\n# seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    end = ipc_now_ns() + (uint64_t)(seconds * 1e9);
    while (ipc_now_ns() < end) {
        client_make();
        LLVMFuzzerTestOneInput(buf, len);
        n++;
    }
    bool good = n > 100 && rfb_fuzz_frames > 20;
    printf("%sok 1 - %lu clients came and went, %lu pictures were sent\n", good ? "" : "not ", n, rfb_fuzz_frames);
    return !good;
}
