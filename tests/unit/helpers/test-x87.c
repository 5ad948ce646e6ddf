/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every x87 encoding that simd_decode accepts, against the host: random stacks with empty
 * registers, all control words. Arguments as in test-simd.c.
 */
#include "tests/unit/helpers/oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned accepted, failed, rounds = 200;
static bool unmasked;
static const char *only = "";

static void one(struct insn *i)
{
    if (*only && !strstr(insn_name(i), only))
        return;
    accepted++;
    failed += oracle_compare("x87", i, rounds, unmasked) != 0;
}

int main(int argc, char **argv)
{
    rounds = argc > 1 ? (unsigned)atoi(argv[1]) : rounds;
    unmasked = argc > 2 && atoi(argv[2]);
    only = argc > 3 ? argv[3] : "";
    if (argc > 4)
        rnd_seed((uint64_t)atoll(argv[4]));
    native_init();
    emu_init();
    encode_init();
    encode_x87(one);
    printf("%s 1 - %u encodings compared with the host, %u differ\n1..1\n",
           failed ? "not ok" : "ok", accepted, failed);
    return failed || (accepted < 540 && !*only);
}
