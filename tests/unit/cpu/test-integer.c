/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every integer encoding against the host: registers, all arithmetic flags (undefined ones as
 * well), instruction pointer, memory and the exception raised. Arguments: 64 or 32, rounds per
 * encoding, only instructions with this in their text, a seed, density.
 */
#include "tests/unit/cpu/oracle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool m64 = true;
static unsigned rounds = 4, tried, differ;
static const char *only = "";
static uint8_t reported[ZYDIS_MNEMONIC_MAX_VALUE + 1];
static uint8_t before[DATA_SIZE], native_mem[DATA_SIZE];

static const char *text(const struct insn *i)
{
    static char buf[160];
    ZydisDisassembledInstruction d;
    if (!ZYAN_SUCCESS(
            ZydisDisassembleIntel(m64 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LEGACY_32,
                                  i->cell + CELL_ENTRY, i->bytes, i->len, &d)))
        strcpy(d.text, "(invalid)");
    int n = snprintf(buf, sizeof(buf), "%s ", d.text);
    for (unsigned k = 0; k < i->len && n < (int)sizeof(buf) - 3; k++)
        n += snprintf(buf + n, sizeof(buf) - (unsigned)n, "%02x", i->bytes[k]);
    return buf;
}
static unsigned report(const char *what, int n, uint64_t was, uint64_t host, uint64_t ours)
{
    if (host == ours)
        return 0;
    printf("#   %s[%d]: before %016" PRIx64 " host %016" PRIx64 " ours %016" PRIx64 "\n", what, n,
           was, host, ours);
    return 1;
}
/* What the manual leaves undefined and the handlers leave different: all but AF and CF of AAA and
 * AAS; OF after a rotate by an immediate other than 1, where a processor may give other values than
 * for the CL form, which the handlers use. */
static uint64_t flags_compared(const struct insn *i)
{
    if (i->known && (i->in.mnemonic == ZYDIS_MNEMONIC_AAA || i->in.mnemonic == ZYDIS_MNEMONIC_AAS))
        return FL_COMPARED & ~0x8c4u;
    bool rotate = i->known && i->in.meta.category == ZYDIS_CATEGORY_ROTATE &&
                  i->ops[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    unsigned mask = rotate && i->ops[0].size == 64 ? 63 : 31;
    return rotate && (i->ops[1].imm.value.u & mask) != 1 ? FL_COMPARED & ~0x800u : FL_COMPARED;
}
static bool same(const struct insn *i, const struct state *h, const struct state *e)
{
    uint64_t mask = m64 ? ~0ull : 0xffffffffu;
    for (unsigned r = 0; r < (m64 ? 16 : 8); r++)
        if ((h->gpr[r] ^ e->gpr[r]) & mask)
            return false;
    return h->vector == e->vector && h->rip == e->rip &&
           !((h->rflags ^ e->rflags) & flags_compared(i)) &&
           !memcmp(native_mem, (void *)DATA, DATA_SIZE);
}
static void explain(const struct insn *i, const struct state *b, const struct state *h,
                    const struct state *e)
{
    const uint8_t *mem = (const uint8_t *)DATA;
    printf("# %s\n", text(i));
    report("vector", 0, 0, (uint64_t)h->vector, (uint64_t)e->vector);
    report("rip", 0, b->rip, h->rip, e->rip);
    report("rflags", 0, b->rflags, h->rflags & FL_COMPARED, e->rflags & FL_COMPARED);
    for (int r = 0; r < (m64 ? 16 : 8); r++)
        report("gpr", r, b->gpr[r], h->gpr[r], e->gpr[r]);
    for (unsigned k = 0, n = 0; k < DATA_SIZE && n < 8; k++)
        n += report("mem", (int)k - 0x4000, before[k], native_mem[k], mem[k]);
}
static void one(struct insn *i)
{
    if (*only && !strstr(text(i), only))
        return;
    tried++;
    for (unsigned r = 0; r < rounds; r++) {
        struct state b, h, e;
        operands_random(i, &b);
        memcpy(before, (void *)DATA, DATA_SIZE);
        h = e = b;
        native_run(&h, m64);
        memcpy(native_mem, (void *)DATA, DATA_SIZE);
        memcpy((void *)DATA, before, DATA_SIZE);
        engine_run(&e);
        if (!same(i, &h, &e)) {
            uint8_t *n = &reported[i->known ? i->in.mnemonic : 0];
            differ++;
            if (*n < 3 && ++*n)
                explain(i, &b, &h, &e);
            break;
        }
    }
}

int main(int argc, char **argv)
{
    unsigned density = argc > 5 ? (unsigned)atoi(argv[5]) : 1;
    m64 = argc < 2 || atoi(argv[1]) == 64;
    rounds = argc > 2 ? (unsigned)atoi(argv[2]) : rounds;
    only = argc > 3 ? argv[3] : "";
    if (argc > 4)
        rnd_seed((uint64_t)atoll(argv[4]));
    alarm(100);
    engine_init();
    native_init(engine_ram());
    engine_mode(m64);
    encode_all(m64, density, one);
    bool bad = differ || (!*only && tried < 10000);
    printf("%s 1 - %u encodings compared with the host, %u differ\n1..1\n", bad ? "not ok" : "ok",
           tried, differ);
    return bad;
}
