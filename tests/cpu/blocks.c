/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random blocks of several instructions: translated as one block, and executed one by one by the interpreter, from
 * the same state. Wherever the translation stops, registers, flags, vector state and memory have to be what the
 * interpreter had before that instruction. Must never count a block that stopped before its first instruction.
 */
#include "tests/cpu/forms.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAX 16u
#define AT  (CODE + 0x1000 + CELL_ENTRY)
static struct insn insn[MAX];
static struct state state[MAX + 1];
static uint8_t memory[MAX + 1][DATA_SIZE];

static bool suits(const struct form *f)
{
    return f->m64 && !f->listed && (f->group == G_INTEGER || f->group == G_BIT || f->group == G_STRING ||
                                    f->group == G_SSE || f->group == G_AVX) && !strstr(f->name, "rep ");
}
/* Common instructions are met more often, as they are in programs. */
static bool common(const struct form *f)
{
    static const char *const names[] = {" mov ", " add ", " sub ", " cmp ", " test ", " and ", " lea ", " push ", " pop ",
                                        " xor ", " movzx ", " movups ", " movaps ", " movsd ", " inc ", " dec ", " adc "};
    for (unsigned k = 0; k < sizeof(names) / sizeof(names[0]); k++)
        if (strstr(f->name, names[k]))
            return true;
    return false;
}
static unsigned build(const struct form *forms, unsigned count, unsigned want)
{
    uint64_t at = AT;
    unsigned n = 0;
    for (unsigned tries = 0; n < want && tries < 4000; tries++) {
        const struct form *f = &forms[rnd() % count];
        if (!suits(f) || (!common(f) && rnd() % 32) || !encoding_random(f, &insn[n], at) || insn[n].branch)
            continue;
        at += insn[n].len;
        n++;
    }
    for (unsigned k = 0; k < n; k++) /* drawing one has overwritten those before it */
        memcpy(engine_ram() + insn[k].at, insn[k].bytes, insn[k].len);
    return n;
}
static void state_random(struct state *s)
{
    static const uint64_t base[] = {DATA_A + 0x500, CENTRE, CENTRE, DATA_A + 0x600, DATA_A + 0x1800, DATA_A + 0x1900, DATA_RO + 0x800};
    memset(s, 0, sizeof(*s));
    rnd_fpu(&s->fpu);
    s->fpu.mxcsr = 0x1f80;
    for (unsigned k = 0; k < 16; k++) {
        uint64_t r = rnd();
        s->gpr[k] = r % 32 == 0 ? rnd() : r % 16 == 1 ? rnd() % 64 : base[(r >> 8) % 7] + (int64_t)((r >> 16) % 512) - 256;
    }
    s->gpr[4] = (CENTRE + (rnd() % 512) - 256) & ~7ull;
    s->rflags = (rnd() & FL_COMPARED & ~0x400u) | 0x202;
    s->rip = AT;
}
/* The number of instructions the interpreter executed; the last state is the one after them. */
static unsigned interpret(unsigned n)
{
    uint8_t *mem = engine_ram() + DATA;
    for (unsigned k = 0; k < n; k++) {
        memcpy(memory[k], mem, DATA_SIZE);
        state[k + 1] = state[k];
        engine_run(&state[k + 1], &insn[k]);
        if (state[k + 1].vector >= 0)
            return k;
    }
    memcpy(memory[n], mem, DATA_SIZE);
    return n;
}
static const char *difference(const struct state *a, const struct state *b)
{
    if (memcmp(a->gpr, b->gpr, sizeof(a->gpr)))
        return "registers";
    if ((a->rflags ^ b->rflags) & FL_COMPARED)
        return "flags";
    if (memcmp(a->fpu.xmm, b->fpu.xmm, sizeof(a->fpu.xmm)) || memcmp(a->fpu.ymmh, b->fpu.ymmh, sizeof(a->fpu.ymmh)))
        return "vector registers";
    return a->fpu.mxcsr != b->fpu.mxcsr ? "mxcsr" : NULL;
}
static void print_block(unsigned n, unsigned stopped, const char *what)
{
    printf("# %s differ before instruction %u of\n", what, stopped);
    for (unsigned k = 0; k < n; k++)
        printf("#   %2u %s\n", k, insn_text(&insn[k]));
    const struct state *s = &state[stopped];
    for (unsigned k = 0; k < 16; k++)
        printf("#   r%u %016" PRIx64 " at the start, then %016" PRIx64 "\n", k, state[0].gpr[k], s->gpr[k]);
}
static unsigned index_of(uint64_t rip, unsigned n)
{
    for (unsigned k = 0; k < n; k++)
        if (insn[k].at == rip)
            return k;
    return n;
}
static bool one_run(unsigned n, unsigned *reached, unsigned long *done)
{
    static struct state got;
    uint8_t *mem = engine_ram() + DATA;
    state_random(&state[0]);
    for (unsigned k = 0; k < 64; k++)
        mem[rnd() % DATA_SIZE] = (uint8_t)rnd();
    unsigned end = interpret(n);
    memcpy(mem, memory[0], DATA_SIZE);
    got = state[0];
    if (!translated_block(&got, n, (unsigned)(insn[n - 1].at + insn[n - 1].len - AT))) {
        memcpy(mem, memory[0], DATA_SIZE);
        return true;
    }
    unsigned stopped = index_of(got.rip, n);
    const char *what = stopped > end ? "faults" : difference(&got, &state[stopped]);
    if (!what && memcmp(mem, memory[stopped], DATA_SIZE))
        what = "memory contents";
    *reached += stopped;
    *done += stopped == n;
    if (!what)
        return true;
    print_block(n, stopped, what);
    return false;
}
unsigned blocks_run(const struct form *forms, unsigned count, unsigned blocks)
{
    unsigned bad = 0, reached = 0;
    unsigned long done = 0, runs = 0;
    for (unsigned b = 0; b < blocks && bad < 5; b++) {
        engine_flush();
        translated_forget();
        unsigned n = build(forms, count, 2 + rnd() % (MAX - 2));
        for (unsigned k = 0; n && k < 8; k++, runs++)
            bad += !one_run(n, &reached, &done);
    }
    printf("# %lu runs, %u instructions translated, %lu runs to the block's end\n", runs, reached, done);
    return bad || !done ? bad + !done : 0;
}
