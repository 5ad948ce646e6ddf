/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model-specific registers. What is not in the table raises #GP, as on hardware. Those of the local APIC
 * belong to the chipset.
 */
#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/interp/msr.h"
#include "cpu-worker/interp/regs.h"
#include "cpu-worker/interp/segment.h"
#include "cpu-worker/run/debug.h"
#include "cpu-worker/run/run.h"

#define EFER_FFXSR    0x4000ull
#define EFER_WRITABLE 0xd01ull /* SCE LME LMA(ignored) NXE */
#define EFER_AIBRSE (1ull << 21) /* AMD: IBRS without being asked; there is no predictor */
#define EFER_LME 0x100ull
#define EFER_LMA 0x400ull
#define CR0_PG 0x80000000ull

/* Plain 64-bit registers of the shared state. */
static uint64_t *plain(struct cpu *c, uint32_t msr)
{
    static const uint16_t fixed[] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
                                     0x26b, 0x26c, 0x26d, 0x26e, 0x26f};
    struct abi_vcpu_state *s = c->s;
    for (unsigned i = 0; i < 11; i++)
        if (msr == fixed[i])
            return &s->mtrr_fixed[i];
    if (msr >= 0x200 && msr < 0x210)
        return &s->mtrr_var[msr - 0x200];
    switch (msr) {
    case 0x174:
        return &s->sysenter_cs;
    case 0x175:
        return &s->sysenter_esp;
    case 0x176:
        return &s->sysenter_eip;
    case 0x1a0:
        return &s->misc_enable;
    case 0x2ff:
        return &s->mtrr_def_type;
    case 0xc0000081:
        return &s->star;
    case 0xc0000082:
        return &s->lstar;
    case 0xc0000083:
        return &s->cstar;
    case 0xc0000084:
        return &s->sfmask;
    case 0xc0000100:
        return &s->seg[ABI_FS].base;
    case 0xc0000101:
        return &s->seg[ABI_GS].base;
    case 0xc0000102:
        return &s->kernel_gs_base;
    case 0xc0000103:
        return &s->tsc_aux;
    case 0x277:
        return &s->pat;
    case 0x3b:
        return &s->tsc_adjust;
    default:
        return NULL;
    }
}

bool msr_read(struct cpu *c, uint32_t msr, uint64_t *v)
{
    uint64_t *p = plain(c, msr);
    if (!msr_exists(c, msr))
        return false;
    if (msr_table_read(c, msr, v) || perf_msr_read(c, msr, v))
        return true;
    if (p) {
        *v = *p;
        return true;
    }
    switch (msr) {
    case 0x10:
        *v = cpu_guest_tsc(c);
        return true;
    case 0x1d9: /* DEBUGCTL: single step on branches is all there is */
        *v = c->s->debugctl;
        return true;
    case 0xc0000080:
        *v = c->s->efer;
        return true;
    case 0xfe: /* MTRRcap: 8 variable, fixed, write combining */
        *v = 0x508;
        return true;
    case 0x10a:
        *v = c->feat[CPUW_ARCH_CAPS];
        return true;
    case 0x48:
        *v = c->s->spec_ctrl;
        return true;
    case 0xda0: /* IA32_XSS: no supervisor components */
        *v = 0;
        return cpu_has(c, FEAT_XSAVES);
    default:
        return chipset_msr_read(c->chipset, c->index, msr, v);
    }
}

static bool efer_set(struct cpu *c, uint64_t v)
{
    uint64_t writable = EFER_WRITABLE | (cpu_has(c, FEAT_AUTO_IBRS) ? EFER_AIBRSE : 0) |
                        (cpu_has(c, FEAT_FXSR_OPT) ? EFER_FFXSR : 0);
    if ((v & ~writable) || (((v ^ c->s->efer) & EFER_LME) && (c->s->cr0 & CR0_PG)))
        return false;
    uint64_t old = c->s->efer;
    c->s->efer = (v & ~EFER_LMA) | (old & EFER_LMA);
    if ((old ^ v) & 0x800)
        tlb_flush_all(c);
    cpu_mode_update(c);
    return true;
}
bool msr_write(struct cpu *c, uint32_t msr, uint64_t v)
{
    enum msr_table_result r;
    if (!msr_exists(c, msr) || !msr_valid(c, msr, v))
        return false;
    r = msr_table_write(c, msr, v);
    if (r == MSR_ELSEWHERE)
        r = perf_msr_write(c, msr, v);
    if (r != MSR_ELSEWHERE)
        return r == MSR_DONE;
    bool address = msr == 0x175 || msr == 0x176 || msr == 0xc0000082 || msr == 0xc0000083 ||
                   (msr >= 0xc0000100 && msr <= 0xc0000102);
    if (address && !cpu_canonical(c, v))
        return false;
    if (msr == 0x3b)
        c->s->tsc_offset += v - c->s->tsc_adjust;
    uint64_t *p = plain(c, msr);
    if (p) {
        *p = v;
        if (msr == 0xc0000100)
            c->segbase[ABI_FS] = v;
        if (msr == 0xc0000101)
            c->segbase[ABI_GS] = v;
        return true;
    }
    switch (msr) {
    case 0x10: {
        uint64_t delta = v - cpu_guest_tsc(c);
        c->s->tsc_offset += delta;
        c->s->tsc_adjust += delta;
        return true;
    }
    case 0x1d9:
        if (v & ~(uint64_t)DEBUGCTL_BTF)
            return false;
        c->s->debugctl = (uint32_t)v;
        return true;
    case 0xc0000080:
        return efer_set(c, v);
    case 0x48:
        if (v & ~7ull)
            return false;
        c->s->spec_ctrl = v;
        return true;
    case 0x49: /* IBPB: no predictor to flush */
        return !(v & ~1ull);
    case 0xda0:
        return cpu_has(c, FEAT_XSAVES) && !v;
    case 0x1b: /* the APIC page may cover RAM, and may have moved */
        if (!chipset_msr_write(c->chipset, c->index, msr, v))
            return false;
        tlb_flush_all(c);
        return true;
    default:
        return chipset_msr_write(c->chipset, c->index, msr, v);
    }
}

OP(op_rdmsr)
{
    uint64_t v = 0;
    cpl0_check(c, o);
    if (!msr_read(c, (uint32_t)c->gpr[REG_RCX], &v))
        cpu_raise_err(c, o, VEC_GP, 0);
    c->gpr[REG_RAX] = (uint32_t)v;
    c->gpr[REG_RDX] = v >> 32;
    return cpu_leave(c, o);
}
OP(op_wrmsr)
{
    cpl0_check(c, o);
    uint64_t v = (uint32_t)c->gpr[REG_RAX] | c->gpr[REG_RDX] << 32;
    if (!msr_write(c, (uint32_t)c->gpr[REG_RCX], v))
        cpu_raise_err(c, o, VEC_GP, 0);
    return cpu_leave(c, o);
}
