/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs one instruction in the interpreter: pre-decoder, block cache, handlers, at CPL 3 with
 * identity page tables. The IDT is empty, so that an INT3 shows as the #GP of its own delivery.
 * Must never deliver an event into guest code.
 */
#include "cpu-worker/interp/decode.h"
#include "tests/lib/bare.h"
#include "tests/unit/cpu/oracle.h"

#include <stdlib.h>
#include <string.h>

#define RAM_SIZE (WINDOW + WINDOW_SIZE + 0x200000)

static struct bare b;

uint64_t engine_gs_base(void)
{
    return 0x3000;
}
uint8_t *engine_ram(void)
{
    return b.ram;
}
void engine_init(void)
{
    if (bare_init(&b, RAM_SIZE))
        exit(1);
    b.cpu->vendor = host_is_amd ? ABI_CPU_AMD : ABI_CPU_INTEL;
}

static void user_pages(void)
{
    uint64_t *t = (uint64_t *)(b.ram + 0x1000);
    t[0] |= 4;
    for (unsigned i = 0x1000 / 8; i < 0x2000 / 8; i++)
        t[i] |= t[i] ? 4 : 0;
    for (unsigned i = 0; i < 4 * 512; i++) { /* nothing but the window is there, as in this process */
        bool in = i >= WINDOW >> 21 && i < (WINDOW + WINDOW_SIZE) >> 21;
        t[0x2000 / 8 + i] = in ? t[0x2000 / 8 + i] | 4 : 0;
    }
}
void engine_mode(bool m64)
{
    struct abi_vcpu_state *s = b.cpu->s;
    bare_long_mode(&b, CODE, CENTRE);
    user_pages();
    s->seg[ABI_CS] = (struct abi_segment){
        .selector = m64 ? 0x33 : 0x23, .attr = m64 ? 0xa0fb : 0xc0fb, .limit = ~0u};
    for (unsigned i = 0; i < 6; i++) {
        if (i == ABI_CS)
            continue;
        s->seg[i] =
            (struct abi_segment){.selector = i < ABI_FS ? 0x2b : 0, .attr = 0xc0f3, .limit = ~0u};
    }
    s->seg[ABI_GS].base = engine_gs_base();
    s->seg[ABI_TR].limit = 0;
    s->idtr.limit = 0;
    s->rflags = 0x202;
    cpu_state_load(b.cpu);
}

/* Blocks from rip on until something raises; every block boundary comes back here. */
static void run_blocks(struct cpu *c)
{
    for (;;) {
        uint64_t gpa;
        c->gpr[REG_BLOCK] = c->rip;
        c->exit_request = 1;
        mmu_fetch(c, c->rip, &gpa, NULL);
        struct block *blk = block_find(c, gpa);
        if (!blk)
            blk = block_make(c, c->rip);
        if (!blk) /* not memory: the host has nothing there */
            cpu_raise(c, &cpu_no_op, VEC_PF);
        const struct op *o = blk->ops;
        while (o)
            o = o->fn(c, o);
    }
}
/* Sometimes the TLB is empty, sometimes the data pages have code: the slow paths of every access.
 */
static void vary(struct cpu *c)
{
    unsigned r = (unsigned)(rnd() >> 60);
    if (r < 5)
        tlb_cr3_loaded(c, false);
    if (r < 2)
        for (uint64_t p = DATA; p < DATA + DATA_SIZE; p += 4096)
            c->cp->map[p >> 12] |= ABI_CODEPAGE_HAS_CODE;
}
void engine_run(struct state *s)
{
    struct cpu *c = b.cpu;
    sigjmp_buf env;

    memcpy(c->gpr, s->gpr, sizeof(s->gpr));
    c->rip = s->rip;
    cpu_set_rflags(c, s->rflags | 0x202);
    c->exc.vector = -1;
    c->delivering = false;
    c->link_slot = NULL;
    cpu_mode_update(c);
    vary(c);
    c->unwind = &env;
    if (!sigsetjmp(env, 0))
        run_blocks(c);
    c->mem_user = 1;
    c->ctx |= 1;
    s->vector = c->delivering ? (int)(c->exc.error >> 3) : c->exc.vector;
    c->delivering = false;
    memcpy(s->gpr, c->gpr, sizeof(s->gpr));
    s->rip = c->rip;
    s->rflags = cpu_rflags(c);
}
