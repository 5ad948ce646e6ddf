/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions whose effect user mode cannot show or cannot compare (privileged, far, segment loads, what
 * reads this machine), each with the test that covers it. Must never list what the generator can compare:
 * cover_check looks for the file and for the instruction's name in it.
 */
#include "tests/cpu/forms.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BARE "tests/guest/bare/test-"
#define UNIT "tests/unit/cpu/test-"
#define NOW  "tests/unit/helpers/test-3dnow.c"

struct cover {
    ZydisMnemonic m;
    bool runs; /* user mode sees a fault, which is compared as well */
    const char *file, *word;
};
#define M(x) ZYDIS_MNEMONIC_##x
static const struct cover table[] = {
    {M(LGDT), true, UNIT "system.c", "lgdt"}, {M(LIDT), true, UNIT "system.c", "lidt"},
    {M(LLDT), true, BARE "tables.c", "lldt"}, {M(LTR), true, BARE "tables.c", "ltr"},
    {M(LMSW), true, UNIT "system.c", "lmsw"}, {M(CLTS), true, UNIT "system.c", "clts"},
    {M(INVD), true, UNIT "system.c", "invd"}, {M(WBINVD), true, UNIT "system.c", "wbinvd"},
    {M(INVLPG), true, UNIT "paging.c", "invlpg"}, {M(INVPCID), true, UNIT "tlb.c", "invpcid"},
    {M(RDMSR), true, BARE "model.c", "rdmsr"}, {M(WRMSR), true, UNIT "events.c", "wrmsr"},
    {M(SWAPGS), true, BARE "syscall.c", "swapgs"}, {M(SYSEXIT), true, BARE "syscall.c", "sysexit"},
    {M(SYSRET), true, BARE "syscall.c", "sysret"}, {M(SYSCALL), false, BARE "syscall.c", "syscall"},
    {M(SYSENTER), false, BARE "syscall.c", "sysenter"}, {M(IRET), false, BARE "transfers.c", "iret"},
    {M(IRETD), false, BARE "transfers.c", "iret"}, {M(IRETQ), false, BARE "transfers.c", "iret"},
    {M(CPUID), false, BARE "model.c", "cpuid"}, {M(RDTSC), false, BARE "model.c", "rdtsc"},
    {M(RDTSCP), false, BARE "model.c", "rdtscp"}, {M(RDPID), false, BARE "model.c", "rdpid"},
    {M(RDPMC), false, UNIT "perf.c", "rdpmc"}, {M(XGETBV), false, BARE "fpu.c", "xgetbv"},
    {M(XSETBV), true, BARE "fpu.c", "xsetbv"},
    {M(SGDT), false, BARE "exceptions.c", "sgdt"}, {M(SIDT), false, UNIT "system.c", "sidt"},
    {M(SLDT), false, BARE "tables.c", "sldt"}, {M(STR), false, BARE "transfers.c", "str"},
    {M(SMSW), false, BARE "exceptions.c", "smsw"}, {M(LAR), false, BARE "segments.c", "lar"},
    {M(LSL), false, BARE "segments.c", "lsl"}, {M(VERR), false, BARE "segments.c", "verr"},
    {M(VERW), false, BARE "segments.c", "verw"}, {M(RDFSBASE), false, UNIT "system.c", "rdfsbase"},
    {M(WRFSBASE), false, UNIT "system.c", "wrfsbase"}, {M(RDGSBASE), false, UNIT "system.c", "rdgsbase"},
    {M(WRGSBASE), false, UNIT "system.c", "wrgsbase"}, {M(LDS), false, UNIT "modes.c", "lds"},
    {M(LES), false, UNIT "modes.c", "les"}, {M(LFS), false, UNIT "system.c", "lfs"},
    {M(LGS), false, UNIT "system.c", "lgs"}, {M(LSS), false, UNIT "system.c", "lss"},
    {M(HLT), true, UNIT "events.c", "hlt"}, {M(CLI), true, UNIT "events.c", "cli"},
    {M(STI), true, UNIT "events.c", "sti"}, {M(CLAC), true, UNIT "tlb.c", "clac"},
    {M(STAC), true, UNIT "tlb.c", "stac"}, {M(IN), true, UNIT "system.c", "in"},
    {M(OUT), true, UNIT "system.c", "out"}, {M(INSB), true, UNIT "system.c", "insb"},
    {M(INSW), true, UNIT "system.c", "insw"}, {M(INSD), true, UNIT "system.c", "insl"},
    {M(OUTSB), true, UNIT "system.c", "outsb"}, {M(OUTSW), true, UNIT "system.c", "outsw"},
    {M(OUTSD), true, UNIT "system.c", "outsl"}, {M(SERIALIZE), false, UNIT "features.c", "serialize"},
    {M(MONITOR), true, UNIT "monitor.c", "monitor"}, {M(MWAIT), true, UNIT "monitor.c", "mwait"},
    {M(MONITORX), false, UNIT "monitor.c", "monitorx"}, {M(MWAITX), false, UNIT "monitor.c", "mwaitx"},
    {M(MOVDIRI), false, UNIT "monitor.c", "movdiri"}, {M(MOVDIR64B), false, UNIT "monitor.c", "movdir64b"},
    {M(RDPKRU), false, UNIT "tlb.c", "rdpkru"}, {M(WRPKRU), false, UNIT "tlb.c", "wrpkru"},
    /* 3DNow!, which no host has any more */
    {M(PFADD), false, NOW, "pfadd"}, {M(PFSUB), false, NOW, "pfsub"},
    {M(PFSUBR), false, NOW, "pfsubr"}, {M(PFMUL), false, NOW, "pfmul"},
    {M(PFACC), false, NOW, "pfacc"}, {M(PFNACC), false, NOW, "pfnacc"},
    {M(PFPNACC), false, NOW, "pfpnacc"}, {M(PFCMPEQ), false, NOW, "pfcmpeq"},
    {M(PFCMPGT), false, NOW, "pfcmpgt"}, {M(PFCMPGE), false, NOW, "pfcmpge"},
    {M(PFMAX), false, NOW, "pfmax"}, {M(PFMIN), false, NOW, "pfmin"},
    {M(PI2FD), false, NOW, "pi2fd"}, {M(PI2FW), false, NOW, "pi2fw"},
    {M(PF2ID), false, NOW, "pf2id"}, {M(PF2IW), false, NOW, "pf2iw"},
    {M(PFRCP), false, NOW, "pfrcp"}, {M(PFSQRT), false, NOW, "pfrsqrt"},
    {M(PFCPIT1), false, NOW, "pfrcpit1"}, {M(PFRSQIT1), false, NOW, "pfrsqit1"},
    {M(PFRCPIT2), false, NOW, "pfrcpit2"}, {M(PAVGUSB), false, NOW, "pavgusb"},
    {M(PMULHRW), false, NOW, "pmulhrw"}, {M(PSWAPD), false, NOW, "pswapd"},
    {M(FEMMS), false, NOW, "femms"},
    {M(RSM), true, UNIT "modes.c", "rsm"},
};
/* Forms of instructions that otherwise run here. */
static const struct cover far_branch = {M(INVALID), false, BARE "transfers.c", "lret"},
                          segment_load = {M(INVALID), false, BARE "segments.c", "mov"};

static const struct cover *cover_find(ZydisMnemonic m)
{
    for (unsigned k = 0; k < sizeof(table) / sizeof(table[0]); k++)
        if (table[k].m == m)
            return &table[k];
    return NULL;
}
static bool loads_segment(const struct insn *i)
{
    const ZydisDecodedOperand *a = &i->ops[0];
    return i->in.operand_count_visible && a->type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(a->reg.value) == ZYDIS_REGCLASS_SEGMENT &&
           (i->in.mnemonic == M(MOV) || i->in.mnemonic == M(POP));
}
bool cover_listed(const struct insn *i, const char **file)
{
    const struct cover *c = cover_find(i->in.mnemonic);
    if (i->in.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
        c = &far_branch;
    else if (loads_segment(i))
        c = &segment_load;
    *file = c ? c->file : NULL;
    return c && !c->runs;
}
const char *cover_of(ZydisMnemonic m)
{
    const struct cover *c = cover_find(m);
    return c ? c->file : NULL;
}

static bool file_has(const char *root, const struct cover *c)
{
    char path[512], line[4096];
    size_t n = strlen(c->word);
    bool found = false;
    snprintf(path, sizeof(path), "%s/%s", root, c->file);
    FILE *f = fopen(path, "r");
    while (f && !found && fgets(line, sizeof(line), f)) {
        for (char *p = line; *p && !found; p++)
            found = !strncasecmp(p, c->word, n) && !isalpha((unsigned char)p[n]) &&
                    (p == line || !isalpha((unsigned char)p[-1]) || p[-1] == 'n');
    }
    if (f)
        fclose(f);
    if (!found)
        printf("# %s: %s\n", c->file, f ? "does not contain the instruction" : "no such file");
    if (!found)
        printf("#   %s\n", c->word);
    return found;
}
bool cover_check(const char *root, bool (*used)(ZydisMnemonic m))
{
    bool good = file_has(root, &far_branch);
    good &= file_has(root, &segment_load);
    for (unsigned k = 0; k < sizeof(table) / sizeof(table[0]); k++)
        if (used(table[k].m))
            good &= file_has(root, &table[k]);
    return good;
}
