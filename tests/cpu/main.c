/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu-forms: runs every form on the host and in the interpreter, in a child process, and reports. See
 * README.md. Must never pass because nothing was compared.
 */
#include "tests/cpu/forms.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    unsigned cases, bits, show, blocks;
    uint64_t seed;
    const char *only, *groups, *root;
    bool table, list, translated;
} opt = {.cases = 2000, .seed = 1, .show = 2, .only = "", .groups = ""};

/* The sanitizers look at our code, not at the processor: a tenth of the cases will do. */
#if defined(__SANITIZE_ADDRESS__)
#define SLOWDOWN 10
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLOWDOWN 10
#endif
#endif
#ifndef SLOWDOWN
#define SLOWDOWN 1
#endif

static const char *const group_name[G_N] = {"integer", "branch", "string", "bit", "system", "x87", "mmx",
                                            "sse", "avx", "crypto"};
static struct form *forms;
static unsigned form_count;
static struct shared { /* parent and child */
    unsigned at, blocks_bad;
    struct {
        unsigned cases, differ, how[3];
    } of[16384];
} *shared;

static bool wanted(const struct form *f)
{
    if (opt.bits && opt.bits != (f->m64 ? 64u : 32u))
        return false;
    if (*opt.groups && !strstr(opt.groups, group_name[f->group]))
        return false;
    return !*opt.only || strstr(f->name, opt.only);
}

/* Cells in the middle of a page, over the boundary of two pages, and running into a page that is not there:
 * then the last byte must be in it, for the way back would be. */
static bool draw(const struct form *f, struct insn *i, unsigned n)
{
    if (n < ENCODINGS)
        return encoding_random(f, i, CODE + (n + 1) * CELL + CELL_ENTRY);
    for (unsigned tries = 0; tries < 20 && !f->refused; tries++) { /* whose length nobody knows */
        uint64_t edge = n == ENCODINGS ? CODE + 0x3000 : n == ENCODINGS + 1 ? CODE + 0x5000 : CODE_HOLE;
        uint64_t at = edge - 1 - rnd() % 10;
        if (encoding_random(f, i, at) && i->at + i->len > edge)
            return true;
    }
    return false;
}

static uint8_t mem_before[DATA_SIZE], mem_host[DATA_SIZE];
/* A branch that landed on another cell's instruction: the host has gone on from there. */
static bool in_code(uint64_t rip)
{
    return rip >= CODE && rip < CODE_END;
}
static bool strayed(const struct insn *i, const struct state *host, const struct state *ours)
{
    return i->branch && in_code(host->rip) && host->rip != i->at && ours->vector < 0 && in_code(ours->rip) &&
           (host->rip != ours->rip || host->vector >= 0);
}
/* RDRAND and RDSEED may come back without a number at any time (SDM 1, 7.3.17), and say so in CF: once more,
 * until host and interpreter had the same luck. They touch no memory. */
static void same_luck(const struct insn *i, const struct state *before, struct state *host, struct state *ours)
{
    if (i->in.mnemonic != ZYDIS_MNEMONIC_RDRAND && i->in.mnemonic != ZYDIS_MNEMONIC_RDSEED)
        return;
    for (unsigned tries = 0; tries < 1000 && ((host->rflags ^ ours->rflags) & 1); tries++) {
        *host = *ours = *before;
        native_run(host, i);
        engine_run(ours, i);
    }
}
static void one_case(struct form *f, const struct insn *i, unsigned n)
{
    static struct state before, host, ours;
    uint8_t *mem = engine_ram() + DATA;
    operands_random(f, i, &before);
    memcpy(mem_before, mem, DATA_SIZE);
    host = before;
    native_run(&host, i);
    memcpy(mem_host, mem, DATA_SIZE);
    memcpy(mem, mem_before, DATA_SIZE);
    ours = before;
    if (opt.translated) {
        enum translated_how how = translated_run(&ours, i, &host, mem_before);
        shared->of[n].how[how]++;
        if (how == TR_NONE) { /* the interpreter's: another run's business */
            shared->of[n].cases++;
            memcpy(mem, mem_host, DATA_SIZE);
            return;
        }
    } else {
        engine_run(&ours, i);
        same_luck(i, &before, &host, &ours);
    }
    if (strayed(i, &host, &ours))
        return;
    shared->of[n].cases++;
    if (!states_same(i, &before, &host, &ours, mem_before, mem_host, mem, shared->of[n].differ < opt.show)) {
        if (!shared->of[n].differ++)
            printf("#   ^ form \"%s\"\n", f->name);
        memcpy(mem, mem_host, DATA_SIZE);
    }
}
static void one_form(struct form *f, unsigned n)
{
    const unsigned per = opt.cases / (ENCODINGS + 3) + 1;
    rnd_seed(f->key ^ opt.seed * 0x9e3779b97f4a7c15ull);
    engine_flush();
    memset(engine_ram() + DATA, 0, DATA_SIZE);
    for (unsigned k = 0; k < ENCODINGS + 3; k++) {
        struct insn i;
        if (!draw(f, &i, k))
            continue;
        translated_forget();
        for (unsigned c = 0; c < per; c++)
            one_case(f, &i, n);
    }
    /* Page edges that no encoding of this form reaches, branches that strayed: as many cases all the same. */
    for (unsigned tries = 0; tries < opt.cases && shared->of[n].cases < opt.cases; tries++) {
        struct insn i;
        engine_flush(); /* another instruction in the same place */
        if (draw(f, &i, tries % ENCODINGS))
            one_case(f, &i, n);
    }
}
static void child(void)
{
    int mode = -1;
    native_init(engine_ram());
    if ((opt.translated || opt.blocks) && !translated_init())
        _exit(77);
    if (opt.blocks) {
        engine_mode(true);
        shared->blocks_bad = blocks_run(forms, form_count, opt.blocks);
        fflush(stdout);
        _exit(0);
    }
    for (unsigned n = shared->at; n < form_count; n++) {
        shared->at = n;
        if (!wanted(&forms[n]) || forms[n].listed)
            continue;
        if (mode != forms[n].m64) {
            mode = forms[n].m64;
            engine_mode(mode);
        }
        one_form(&forms[n], n);
    }
    fflush(stdout);
    _exit(0);
}
/* A child that dies takes its form with it; the next one goes on after it. */
static void run_all(void)
{
    while (shared->at < form_count) {
        int st = 0;
        fflush(stdout);
        pid_t pid = fork();
        if (!pid)
            child();
        if (pid < 0 || waitpid(pid, &st, 0) != pid)
            exit(1);
        if (WIFEXITED(st) && !WEXITSTATUS(st))
            return;
        if (WIFEXITED(st) && WEXITSTATUS(st) == 77) {
            puts("1..0 # SKIP this host cannot run translated code");
            exit(0);
        }
        printf("# form \"%s\": the child ended with status %x\n", forms[shared->at].name, st);
        shared->of[shared->at].differ++;
        shared->at++;
    }
}

static bool used(ZydisMnemonic m)
{
    for (unsigned n = 0; n < form_count; n++)
        if (forms[n].mnemonic == m)
            return true;
    return false;
}
/* Not run often enough, nor named with a test. */
static unsigned untested(void)
{
    unsigned bad = 0;
    for (unsigned n = 0; n < form_count; n++)
        if (wanted(&forms[n]) && (forms[n].listed ? !forms[n].cover : shared->of[n].cases < opt.cases))
            printf("# untested: %s (%u cases)\n", forms[n].name, shared->of[n].cases), bad++;
    return bad;
}
struct sum {
    unsigned forms, cases, differ, listed, translated;
};
static struct sum sum_of(unsigned group)
{
    struct sum s = {0};
    for (unsigned n = 0; n < form_count; n++) {
        if (!wanted(&forms[n]) || (group < G_N && forms[n].group != group))
            continue;
        s.listed += forms[n].listed;
        s.forms += !forms[n].listed;
        s.cases += shared->of[n].cases;
        s.differ += shared->of[n].differ;
        s.translated += !forms[n].listed && (shared->of[n].how[TR_LEFT] || shared->of[n].how[TR_DONE]);
    }
    return s;
}
static void table_print(unsigned missing)
{
    printf("%-10s %7s %10s %11s %14s\n", "group", "forms", "cases", "mismatches", "system tests");
    for (unsigned g = 0; g <= G_N; g++) {
        struct sum s = sum_of(g);
        if (s.forms + s.listed)
            printf("%-10s %7u %10u %11u %14u\n", g < G_N ? group_name[g] : "all", s.forms, s.cases, s.differ,
                   s.listed);
    }
    printf("\nadvertised but untested: %s\n", missing ? "see above" : "none");
    for (unsigned n = 0; n < form_count; n++)
        if (opt.list && wanted(&forms[n]) && forms[n].cover)
            printf("  %-32s %s\n", forms[n].name, forms[n].cover);
}

/* Of the translated engine: how many forms, and by name those it leaves to the interpreter. */
static void translated_print(void)
{
    printf("\n%-10s %7s %11s\n", "group", "forms", "translated");
    for (unsigned g = 0; g <= G_N; g++) {
        struct sum s = sum_of(g);
        if (s.forms)
            printf("%-10s %7u %11u\n", g < G_N ? group_name[g] : "all", s.forms, s.translated);
    }
    puts("\nnot translated:");
    for (unsigned n = 0; n < form_count; n++)
        if (wanted(&forms[n]) && !forms[n].listed && !shared->of[n].how[TR_LEFT] && !shared->of[n].how[TR_DONE])
            printf("  %s\n", forms[n].name);
    puts("\ntranslated, but left every time:");
    for (unsigned n = 0; n < form_count; n++)
        if (wanted(&forms[n]) && shared->of[n].how[TR_LEFT] && !shared->of[n].how[TR_DONE])
            printf("  %s\n", forms[n].name);
}

static void usage(void)
{
    puts("cpu-forms [--bits 64|32] [--groups G,..] [--only TEXT] [--cases N] [--seed S] [--table] [--list]\n"
         "          [--show N] [--root SOURCE] [--translated | --blocks N]");
    exit(2);
}
static void options(int argc, char **argv)
{
    static const struct option o[] = {{"bits", 1, 0, 'b'}, {"groups", 1, 0, 'g'}, {"only", 1, 0, 'o'},
                                      {"cases", 1, 0, 'c'}, {"seed", 1, 0, 's'}, {"table", 0, 0, 't'},
                                      {"list", 0, 0, 'l'}, {"root", 1, 0, 'r'}, {"show", 1, 0, 'n'},
                                      {"translated", 0, 0, 'x'}, {"blocks", 1, 0, 'k'}, {0}};
    if (getenv("BULKHEAD_TEST_LONG"))
        opt.cases = 50000;
    for (int c; (c = getopt_long(argc, argv, "", o, NULL)) != -1;) {
        switch (c) {
        case 'b': opt.bits = (unsigned)atoi(optarg); break;
        case 'g': opt.groups = optarg; break;
        case 'o': opt.only = optarg; break;
        case 'c': opt.cases = (unsigned)atoi(optarg); break;
        case 's': opt.seed = strtoull(optarg, NULL, 0); break;
        case 't': opt.table = true; break;
        case 'l': opt.list = true; break;
        case 'n': opt.show = (unsigned)atoi(optarg); break;
        case 'r': opt.root = optarg; break;
        case 'x': opt.translated = true; break;
        case 'k': opt.blocks = (unsigned)atoi(optarg); break;
        default: usage();
        }
    }
}
int main(int argc, char **argv)
{
    options(argc, argv);
    opt.cases = opt.cases > SLOWDOWN ? opt.cases / SLOWDOWN : 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    engine_init();
    forms = forms_all(&form_count);
    printf("# seed %" PRIu64 ", %u cases a form\n", opt.seed, opt.cases);
    if (opt.blocks) {
        if (getenv("BULKHEAD_TEST_LONG"))
            opt.blocks *= 50;
        shared->blocks_bad = 1;
        rnd_seed(opt.seed);
        run_all();
        printf("%s 1 - translated blocks do what the interpreter does\n1..1\n", shared->blocks_bad ? "not ok" : "ok");
        return shared->blocks_bad != 0;
    }
    run_all();
    unsigned missing = untested();
    struct sum s = sum_of(G_N);
    if (opt.table)
        table_print(missing);
    if (opt.table && opt.translated)
        translated_print();
    bool good = s.forms && !s.differ;
    printf("%s 1 - %u forms, %u cases against the host, %u differ\n", good ? "ok" : "not ok", s.forms, s.cases,
           s.differ);
    printf("%s 2 - nothing the decoder accepts is untested\n", missing ? "not ok" : "ok");
    bool named = true;
    if (opt.root) {
        named = cover_check(opt.root, used);
        printf("%s 3 - the system tests that are named exist\n", named ? "ok" : "not ok");
    }
    printf("1..%u\n", opt.root ? 3 : 2);
    return !good || missing || !named;
}
