/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs one instruction through simd_decode and its handler, on a struct cpu whose TLB maps the
 * test's memory at its own address. Stands in for run/ and mmu/; must never translate an address.
 */
#include "tests/unit/helpers/oracle.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu-worker/helpers/simd.h"
#include "cpu-worker/run/op.h"

static struct cpu *cpu;
static struct abi_vcpu_state *state;
static sigjmp_buf unwind;
static int raised;
static bool unmapped; /* every access is a page fault */
static ZydisDecoder decoder;

void cpu_raise_err(struct cpu *c, const struct op *o, int vector, uint32_t error)
{
    (void)c;
    (void)o;
    (void)error;
    raised = vector;
    siglongjmp(unwind, 1);
}

void cpu_raise(struct cpu *c, const struct op *o, int vector)
{
    cpu_raise_err(c, o, vector, 0);
}

void cpu_fp_error(struct cpu *c, const struct op *o)
{
    cpu_raise(c, o, VEC_MF);
}

void cpu_fp_cleared(struct cpu *c)
{
    (void)c;
}

uint64_t cpu_ea_slow(struct cpu *c, const struct op *o, unsigned size, bool write)
{
    (void)size;
    (void)write;
    return (c->gpr[o->base] + (c->gpr[o->index] << o->scale) + (uint64_t)(int64_t)o->disp) &
           0xffffffffu;
}

uint64_t mmu_read_slow(struct cpu *c, const struct op *o, uint64_t va, unsigned size)
{
    uint64_t v = 0;
    mmu_read_bytes(c, o, va, &v, size);
    return v;
}

void mmu_write_slow(struct cpu *c, const struct op *o, uint64_t va, unsigned size, uint64_t v)
{
    mmu_write_bytes(c, o, va, &v, size);
}

void mmu_read_bytes(struct cpu *c, const struct op *o, uint64_t va, void *buf, unsigned len)
{
    if (unmapped)
        cpu_raise(c, o, VEC_PF);
    memcpy(buf, (const void *)(uintptr_t)va, len);
}

void mmu_write_bytes(struct cpu *c, const struct op *o, uint64_t va, const void *buf, unsigned len)
{
    if (unmapped)
        cpu_raise(c, o, VEC_PF);
    memcpy((void *)(uintptr_t)va, buf, len);
}

void mmu_probe_write(struct cpu *c, const struct op *o, uint64_t va, unsigned len)
{
    (void)va;
    (void)len;
    if (unmapped)
        cpu_raise(c, o, VEC_PF);
}

void mmu_probe_read(struct cpu *c, const struct op *o, uint64_t va, unsigned len)
{
    mmu_probe_write(c, o, va, len);
}

static OP(stop)
{
    (void)c;
    (void)o;
    return NULL;
}

void emu_init(void)
{
    cpu = calloc(1, sizeof(*cpu));
    state = aligned_alloc(4096, 4096);
    if (!cpu || !state)
        abort();
    memset(state, 0, 4096);
    cpu->s = state;
    cpu->vendor = host_is_amd() ? ABI_CPU_AMD : ABI_CPU_INTEL;
    memset(cpu->feat, 0xff, sizeof(cpu->feat));
    state->xcr0 = 7;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
}

/* Half of the rounds take the slow paths. */
static void map(const uint8_t *mem, bool mapped)
{
    for (unsigned i = 0; i < TLB_SIZE; i++)
        cpu->rtag[i] = cpu->wtag[i] = cpu->xtag[i] = TLB_INVALID;
    if (!mapped)
        return;
    for (unsigned off = 0; off < ORACLE_MEM; off += 4096) {
        uint64_t va = (uintptr_t)mem + off;
        unsigned i = va >> 12 & (TLB_SIZE - 1);
        cpu->rtag[i] = cpu->wtag[i] = (va & ~0xfffull) | cpu->ctx;
        cpu->addend[i] = 0;
    }
}

static void memory_fields(struct op *o, const ZydisDecodedInstruction *in,
                          const ZydisDecodedOperand *ops)
{
    o->base = o->index = REG_ZERO;
    o->seg = ABI_SEG_FLAT;
    o->len = in->length;
    o->next_off = in->length;
    for (unsigned i = 0; i < in->operand_count_visible; i++) {
        const ZydisDecodedOperand *p = &ops[i];
        if (p->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
            o->imm = p->imm.value.u;
        } else if (p->type == ZYDIS_OPERAND_TYPE_MEMORY) {
            o->base = (uint8_t)ZydisRegisterGetId(p->mem.base);
            if (p->mem.index != ZYDIS_REGISTER_NONE)
                o->index = (uint8_t)ZydisRegisterGetId(p->mem.index);
            o->disp = (int32_t)p->mem.disp.value;
        }
    }
}

static bool decode(struct op *o, const struct insn *i, uint32_t mode)
{
    ZydisDecodedInstruction in;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    memset(o, 0, 2 * sizeof(*o));
    o[1].fn = stop;
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, i->bytes, i->len, &in, ops)) ||
        in.length != i->len)
        return false;
    memory_fields(o, &in, ops);
    return simd_decode(o, &in, ops, mode, true) && o->fn;
}

static uint32_t fl_of(uint64_t rflags)
{
    return (uint32_t)((rflags & 0xd5) << 8 | (rflags >> 11 & 1));
}

static void load(const struct machine *m)
{
    const struct fx_image *f = &m->fx;
    memcpy(cpu->gpr, m->gpr, sizeof(m->gpr));
    cpu->fl = fl_of(m->rflags);
    state->fcw = f->fcw;
    state->fsw = f->fsw;
    state->ftw = 0;
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = ((f->fsw >> 11) + i) & 7;
        state->fpr[n].mant = f->st[i].mant;
        state->fpr[n].se = f->st[i].se;
        state->ftw |= (uint16_t)((f->ftw >> i & 1 ? 0 : 3) << 2 * i);
    }
    state->fop = f->fop;
    state->fip = f->fip;
    state->fdp = f->fdp;
    state->mxcsr = f->mxcsr;
    state->cr0 = 0x80000033;
    state->cr4 = 0x40600;
    for (unsigned i = 0; i < 16; i++) {
        memcpy(state->ymm[i], f->xmm[i], 16);
        memcpy(state->ymm[i] + 16, m->high[i], 16);
    }
    simd_state_load(cpu);
}

/* What FNSTENV would show, and FXSAVE's rule for the pointers. */
static void save_environment(struct machine *m)
{
    m->env[3] = (uint32_t)state->fip;
    m->env[4] = (uint32_t)state->fop << 16;
    m->env[5] = (uint32_t)state->fdp;
    if (cpu->vendor == ABI_CPU_AMD && !(state->fsw & 0x80)) {
        m->fx.fip = m->fx.fdp = 0;
        m->fx.fop = 0;
    }
}

static void save(struct machine *m)
{
    struct fx_image *f = &m->fx;
    simd_state_save(cpu);
    memcpy(m->gpr, cpu->gpr, sizeof(m->gpr));
    m->rflags = (m->rflags & ~0x8d5ull) | (cpu->fl >> 8 & 0xd5) | (cpu->fl & 1) << 11;
    f->fcw = state->fcw;
    f->fsw = state->fsw;
    f->ftw = 0;
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = ((f->fsw >> 11) + i) & 7;
        f->st[i].mant = state->fpr[n].mant;
        f->st[i].se = state->fpr[n].se;
        f->ftw |= (uint8_t)(((state->ftw >> 2 * i & 3) != 3) << i);
    }
    f->fop = state->fop;
    f->fip = state->fip;
    f->fdp = state->fdp;
    f->mxcsr = state->mxcsr;
    for (unsigned i = 0; i < 16; i++) {
        memcpy(f->xmm[i], state->ymm[i], 16);
        memcpy(m->high[i], state->ymm[i] + 16, 16);
    }
    save_environment(m);
}

/* Until the last operation, or an exception, which is left in `raised`. */
static void run(const struct op *o)
{
    const struct op *volatile p = o;
    raised = -1;
    if (!sigsetjmp(unwind, 0)) {
        while (p)
            p = p->fn(cpu, p);
    }
}

void emu_reread(struct machine *m)
{
    for (unsigned i = 0; i < 2; i++) { /* pointers that were not saved are zero from then on */
        load(m);
        save(m);
    }
}

bool emu_run(struct machine *m, const struct insn *i)
{
    static struct op o[2];
    if (!decode(o, i, MODE_64 | MODE_PE | MODE_LMA | MODE_OSFXSR | MODE_AVX))
        return false;
    if (!m)
        return true;
    map(m->mem, !unmapped && (rnd() & 1));
    load(m);
    run(o);
    save(m);
    m->vector = raised;
    return true;
}

bool emu_run_unmapped(struct machine *m, const struct insn *i)
{
    unmapped = true;
    bool ok = emu_run(m, i);
    unmapped = false;
    return ok;
}

int emu_gate(const struct insn *i, uint32_t mode, uint64_t cr0)
{
    static struct op o[2];
    if (!decode(o, i, mode))
        return -2;
    state->fcw = 0x37f;
    state->fsw = 0;
    state->mxcsr = 0x1f80;
    state->cr0 = cr0;
    run(o);
    return raised;
}
