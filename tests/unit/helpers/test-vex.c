/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every VEX encoding that simd_decode accepts, against the host.
 * Arguments: rounds per encoding, 1 for unmasked exceptions, only instructions with this in their
 * text, a seed.
 */
#include "tests/unit/helpers/oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned accepted, failed, rounds = 8;
static bool unmasked;
static const char *only = "";

static void one(struct insn *i)
{
    if (*only && !strstr(insn_name(i), only))
        return;
    accepted++;
    failed += oracle_compare("vex", i, rounds, unmasked) != 0;
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
    encode_vex(one);
    rounds = rounds > 8 ? rounds / 8 : 1;
    encode_vex_immediates(one);
    printf("%s 1 - %u encodings compared with the host, %u differ\n1..1\n",
           failed ? "not ok" : "ok", accepted, failed);
    return failed || (accepted < 100000 && !*only && __builtin_cpu_supports("avx2"));
}
