/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast system calls: SYSCALL, SYSRET, SYSENTER, SYSEXIT. Owns the fixed segments they
 * load and where AMD and Intel differ; must never read a descriptor table.
 */
#include "cpu-worker/interp/far.h"
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/run/debug.h"
#include "cpu-worker/run/run.h"

#define EFER_SCE 1u
#define CS64_ATTR (ABI_SEG_G | ABI_SEG_L | ABI_SEG_P | ABI_SEG_S | 11)
#define CS32_ATTR (ABI_SEG_G | ABI_SEG_DB | ABI_SEG_P | ABI_SEG_S | 11)
#define SS_ATTR   (ABI_SEG_G | ABI_SEG_DB | ABI_SEG_P | ABI_SEG_S | 3)

static bool is_amd(const struct cpu *c)
{
    return c->vendor == ABI_CPU_AMD;
}
static void ring0_segments(struct cpu *c, uint16_t sel, uint32_t cs_attr)
{
    c->cpl = 0;
    c->s->seg[ABI_CS] = (struct abi_segment){.selector = sel, .attr = cs_attr, .limit = ~0u};
    c->s->seg[ABI_SS] = (struct abi_segment){.selector = sel + 8, .attr = SS_ATTR, .limit = ~0u};
}
static void ring3_cs(struct cpu *c, unsigned sel, uint32_t attr)
{
    c->cpl = 3;
    c->s->seg[ABI_CS] = (struct abi_segment){.selector = (uint16_t)(sel | 3), .attr = attr | ABI_SEG_DPL,
                                             .limit = ~0u};
}

/* Outside of 64-bit mode the instructions are AMD's: Intel has them in 64-bit mode only (SDM volume 2,
 * SYSCALL; APM volume 3, SYSCALL: compatibility mode enters at CSTAR, legacy mode at STAR[31:0]). */
static void syscall_check(struct cpu *c, const struct op *o)
{
    if (!(c->s->efer & EFER_SCE) || (!(c->mode & MODE_64) && !is_amd(c)))
        cpu_raise(c, o, VEC_UD);
}
OP(op_syscall)
{
    uint64_t next = c->gpr[REG_BLOCK] + o->next_off;
    uint16_t sel = (uint16_t)(c->s->star >> 32) & 0xfffcu;
    syscall_check(c, o);
    if (cpu_long(c)) {
        c->gpr[REG_RCX] = next;
        c->gpr[11] = cpu_rflags(c) & ~RF_RF;
        c->rip = c->mode & MODE_64 ? c->s->lstar : c->s->cstar;
        cpu_set_rflags(c, cpu_rflags(c) & ~c->s->sfmask & ~RF_RF);
    } else {
        c->gpr[REG_RCX] = (uint32_t)next;
        c->rip = (uint32_t)c->s->star;
        cpu_set_rflags(c, cpu_rflags(c) & ~(RF_VM | RF_IF | RF_RF));
    }
    ring0_segments(c, sel, cpu_long(c) ? CS64_ATTR : CS32_ATTR);
    cs_changed(c);
    return NULL;
}
/* AMD loads only the selector of SS; base, limit and attributes stay, even those of a null segment (APM
 * volume 3, SYSRET). The privilege level, kept in the attributes here, is not among them. */
static void sysret_ss(struct cpu *c, uint16_t base)
{
    struct abi_segment *ss = &c->s->seg[ABI_SS];
    if (is_amd(c))
        ss->attr |= ABI_SEG_DPL;
    else
        *ss = (struct abi_segment){.attr = SS_ATTR | ABI_SEG_DPL, .limit = ~0u};
    ss->selector = (uint16_t)((base + 8) | 3);
}
static void sysret_flags(struct cpu *c)
{
    if (!(c->mode & MODE_64)) {
        cpu_set_rflags(c, cpu_rflags(c) | RF_IF);
        return;
    }
    cpu_set_rflags(c, (c->gpr[11] & 0x3c7fd7) | 2);
    if (c->eflags & RF_TF) /* unlike IRET, a trap flag loaded here traps before the next instruction */
        c->s->db_pending |= DR6_BS, c->exit_request = 1;
}
OP(op_sysret)
{
    bool to64 = (c->mode & MODE_64) && o->aux == 64;
    uint16_t base = (uint16_t)(c->s->star >> 48);
    syscall_check(c, o);
    if (!(c->mode & MODE_PE))
        cpu_raise(c, o, VEC_UD);
    if (c->cpl)
        cpu_raise_err(c, o, VEC_GP, 0);
    if (to64 && !is_amd(c) && !cpu_canonical(c, c->gpr[REG_RCX])) /* AMD: the fetch in ring 3 finds it */
        cpu_raise_err(c, o, VEC_GP, 0);
    c->rip = to64 ? c->gpr[REG_RCX] : (uint32_t)c->gpr[REG_RCX];
    sysret_flags(c);
    ring3_cs(c, base + (to64 ? 16u : 0), to64 ? CS64_ATTR : CS32_ATTR);
    sysret_ss(c, base);
    far_done(c);
    return NULL;
}
/* AMD has SYSENTER and SYSEXIT in legacy mode only (APM volume 3, SYSENTER). */
static void sysenter_check(struct cpu *c, const struct op *o)
{
    if (cpu_long(c) && is_amd(c))
        cpu_raise(c, o, VEC_UD);
}
OP(op_sysenter)
{
    uint16_t sel = (uint16_t)c->s->sysenter_cs & 0xfffcu;
    sysenter_check(c, o);
    if (cpu_real(c) || !sel)
        cpu_raise_err(c, o, VEC_GP, 0);
    c->eflags &= ~(RF_VM | RF_IF | RF_RF);
    c->rip = cpu_long(c) ? c->s->sysenter_eip : (uint32_t)c->s->sysenter_eip;
    c->gpr[REG_RSP] = cpu_long(c) ? c->s->sysenter_esp : (uint32_t)c->s->sysenter_esp;
    ring0_segments(c, sel, cpu_long(c) ? CS64_ATTR : CS32_ATTR);
    cs_changed(c);
    return NULL;
}
OP(op_sysexit)
{
    uint16_t sel = (uint16_t)c->s->sysenter_cs & 0xfffcu;
    bool to64 = o->aux == 64;
    if (!(c->mode & MODE_PE) || c->cpl) /* on AMD too the privilege level comes first */
        cpu_raise_err(c, o, VEC_GP, 0);
    sysenter_check(c, o);
    if (!sel)
        cpu_raise_err(c, o, VEC_GP, 0);
    if (to64 && (!cpu_canonical(c, c->gpr[REG_RDX]) || !cpu_canonical(c, c->gpr[REG_RCX])))
        cpu_raise_err(c, o, VEC_GP, 0);
    c->rip = to64 ? c->gpr[REG_RDX] : (uint32_t)c->gpr[REG_RDX];
    c->gpr[REG_RSP] = to64 ? c->gpr[REG_RCX] : (uint32_t)c->gpr[REG_RCX];
    ring3_cs(c, sel + (to64 ? 32u : 16u), to64 ? CS64_ATTR : CS32_ATTR);
    c->s->seg[ABI_SS] = (struct abi_segment){.selector = (uint16_t)((sel + (to64 ? 40 : 24)) | 3),
                                             .attr = SS_ATTR | ABI_SEG_DPL, .limit = ~0u};
    far_done(c);
    return NULL;
}
