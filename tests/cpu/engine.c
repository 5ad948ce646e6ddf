/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs one instruction in the interpreter: pre-decoder, block cache, handlers, at CPL 3 with page tables
 * that say what the host's mappings say. The IDT is empty, so that INT3, INT1 and INTO show as the #GP of
 * their own delivery. Must never deliver an event into guest code.
 */
#include "tests/cpu/forms.h"

#include <stdlib.h>
#include <string.h>
#include "cpu-worker/helpers/simd.h"
#include "cpu-worker/interp/decode.h"
#include "cpu-worker/interp/handlers.h"
#include "tests/lib/bare.h"

#define RAM_SIZE (WINDOW + WINDOW_SIZE + 0x200000)
#define PT       0x8000u

static struct bare b;

uint8_t *engine_ram(void)
{
    return b.ram;
}
void engine_init(void)
{
    if (bare_init(&b, RAM_SIZE))
        exit(1);
}

static void map_range(uint64_t from, unsigned len, uint64_t bits)
{
    uint64_t *t = (uint64_t *)(b.ram + PT);
    for (uint64_t a = from; a < from + len; a += 4096)
        t[(a - WINDOW) >> 12] = bits ? a | bits : 0;
}
static void page_tables(void)
{
    uint64_t *t = (uint64_t *)b.ram;
    const uint64_t nx = 1ull << 63;
    memset(b.ram + 0x3000, 0, 0x4000);
    memset(b.ram + PT, 0, 4096);
    t[0x1000 / 8] |= 4;
    t[0x2000 / 8] |= 4;
    t[0x3000 / 8 + (WINDOW >> 21)] = PT | 7;
    map_range(CODE, CODE_END - CODE, 5);
    map_range(CODE_HOLE, 4096, 0);
    map_range(DATA, DATA_SIZE, nx | 7);
    map_range(DATA_HOLE, 4096, 0);
    map_range(DATA_RO, 4096, nx | 5);
}
void engine_mode(bool m64)
{
    struct abi_vcpu_state *s = b.cpu->s;
    bare_long_mode(&b, CODE, CENTRE);
    page_tables();
    s->seg[ABI_CS] = (struct abi_segment){
        .selector = m64 ? 0x33 : 0x23, .attr = m64 ? 0xa0fb : 0xc0fb, .limit = ~0u};
    for (unsigned i = 0; i < 6; i++)
        if (i != ABI_CS)
            s->seg[i] = (struct abi_segment){.selector = i < ABI_FS ? 0x2b : 0, .attr = 0xc0f3, .limit = ~0u};
    s->seg[ABI_GS].base = GS_BASE;
    s->seg[ABI_TR].limit = 0;
    s->idtr.limit = 0;
    s->cr0 |= 0x22; /* MP, NE */
    s->cr4 |= 0x600 | (cpu_has(b.cpu, FEAT_XSAVE) ? 0x40000 : 0) | (cpu_has(b.cpu, FEAT_FSGSBASE) ? 0x10000 : 0);
    s->xcr0 = cpu_has(b.cpu, FEAT_XSAVE) ? (cpu_has(b.cpu, FEAT_AVX) ? 7 : 3) : 1;
    s->efer |= 0x801; /* NXE, SCE */
    s->rflags = 0x202;
    cpu_state_load(b.cpu);
}
void engine_flush(void)
{
    block_flush_all(b.cpu);
}
uint32_t engine_mxcsr_mask(void)
{
    return cpu_has(b.cpu, FEAT_MISALIGNSSE) ? 0x2ffff : 0xffff;
}
bool engine_accepts(const struct insn *i)
{
    static struct op o[3];
    struct cpu *c = b.cpu;
    struct decode_in in = {i->bytes, 15, c->mode, 0, c->feat, c->vendor};
    return decode_one(o, &in) != DECODE_MORE && o->fn != op_ud && o->len == i->len;
}

void engine_describe(uint32_t *mode, uint32_t *vendor, uint32_t *feat)
{
    *mode = b.cpu->mode;
    *vendor = b.cpu->vendor;
    memcpy(feat, b.cpu->feat, sizeof(b.cpu->feat));
}

static void fpu_load(struct abi_vcpu_state *s, const struct fpu *f)
{
    s->fcw = f->fcw;
    s->fsw = f->fsw;
    s->ftw = 0;
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = ((f->fsw >> 11) + i) & 7;
        s->fpr[n].mant = f->st[i].mant;
        s->fpr[n].se = f->st[i].se;
        s->ftw |= (uint16_t)((f->ftw >> i & 1 ? 0 : 3) << 2 * i);
    }
    s->fcs = s->fds = 0; /* as XRSTOR64 leaves them */
    s->fop = f->fop;
    s->fip = f->fip;
    s->fdp = f->fdp;
    s->mxcsr = f->mxcsr;
    for (unsigned i = 0; i < 16; i++) {
        memcpy(s->ymm[i], f->xmm[i], 16);
        memcpy(s->ymm[i] + 16, f->ymmh[i], 16);
    }
}
static void fpu_save(const struct abi_vcpu_state *s, struct fpu *f)
{
    f->fcw = s->fcw;
    f->fsw = s->fsw;
    f->ftw = 0;
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = ((f->fsw >> 11) + i) & 7;
        f->st[i].mant = s->fpr[n].mant;
        f->st[i].se = s->fpr[n].se;
        f->ftw |= (uint8_t)(((s->ftw >> 2 * i & 3) != 3) << i);
    }
    f->fop = s->fop;
    f->fip = s->fip;
    f->fdp = s->fdp;
    f->mxcsr = s->mxcsr;
    for (unsigned i = 0; i < 16; i++) {
        memcpy(f->xmm[i], s->ymm[i], 16);
        memcpy(f->ymmh[i], s->ymm[i] + 16, 16);
    }
}

/* Sometimes the TLB is empty, sometimes the data pages have code: the slow paths of every access. */
static void vary(struct cpu *c)
{
    unsigned r = (unsigned)(rnd() >> 58);
    if (r < 5)
        tlb_flush_first(c);
    if (r < 2)
        for (uint64_t p = DATA; p < DATA + DATA_SIZE; p += 4096)
            c->cp->map[p >> 12] |= ABI_CODEPAGE_HAS_CODE;
}
/* One instruction: blocks of one, and every block boundary comes back here. A repeated one may return to
 * itself between its iterations. */
static void run_one(struct cpu *c, const struct insn *i)
{
    do {
        uint64_t gpa;
        c->mode |= MODE_TF;
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
        c->link_slot = NULL;
    } while (i->rep && c->rip == i->at);
}
/* A target that cannot be fetched is a fault of the next instruction: the host has come to it too. */
static void fetch_target(struct cpu *c)
{
    uint64_t gpa;
    c->gpr[REG_BLOCK] = c->rip;
    mmu_fetch(c, c->rip, &gpa, NULL);
}
void engine_run(struct state *s, const struct insn *i)
{
    struct cpu *c = b.cpu;
    sigjmp_buf env;

    memcpy(c->gpr, s->gpr, sizeof(s->gpr));
    c->rip = s->rip;
    cpu_set_rflags(c, s->rflags | 0x202);
    fpu_load(c->s, &s->fpu);
    c->exc.vector = -1;
    c->delivering = false;
    c->link_slot = NULL;
    cpu_mode_update(c);
    vary(c);
    simd_state_load(c);
    c->unwind = &env;
    if (!sigsetjmp(env, 0)) {
        run_one(c, i);
        if (i->branch)
            fetch_target(c);
    }
    simd_state_save(c);
    c->mem_user = 1;
    c->ctx |= 1;
    s->vector = c->exc.vector;
    s->error = c->exc.vector >= 0 && c->exc.has_error ? c->exc.error : 0;
    if (c->delivering && i->in.mnemonic != ZYDIS_MNEMONIC_INT) {
        s->vector = (int)(c->exc.error >> 3);
        s->error = 0;
    }
    s->cr2 = c->s->cr2;
    c->delivering = false;
    memcpy(s->gpr, c->gpr, sizeof(s->gpr));
    s->rip = c->rip;
    s->rflags = cpu_rflags(c);
    fpu_save(c->s, &s->fpu);
}
