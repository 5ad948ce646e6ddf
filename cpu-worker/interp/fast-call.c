/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast system calls: SYSCALL, SYSRET, SYSENTER, SYSEXIT. Owns the fixed segments they load.
 */
#include "cpu-worker/interp/far.h"
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/run/debug.h"
#include "cpu-worker/run/run.h"

#define EFER_SCE 1u
#define CS64_ATTR (ABI_SEG_G | ABI_SEG_L | ABI_SEG_P | ABI_SEG_S | 11)
#define CS32_ATTR (ABI_SEG_G | ABI_SEG_DB | ABI_SEG_P | ABI_SEG_S | 11)
#define SS_ATTR   (ABI_SEG_G | ABI_SEG_DB | ABI_SEG_P | ABI_SEG_S | 3)

OP(op_syscall)
{
    if (!(c->s->efer & EFER_SCE) || !(c->mode & MODE_64))
        cpu_raise(c, o, VEC_UD);
    uint16_t sel = (uint16_t)(c->s->star >> 32) & 0xfffcu;
    c->gpr[REG_RCX] = c->gpr[REG_BLOCK] + o->next_off;
    c->gpr[11] = cpu_rflags(c) & ~RF_RF;
    c->rip = c->s->lstar;
    cpu_set_rflags(c, cpu_rflags(c) & ~c->s->sfmask & ~RF_RF);
    c->cpl = 0;
    c->s->seg[ABI_CS] = (struct abi_segment){.selector = sel, .attr = CS64_ATTR, .limit = ~0u};
    c->s->seg[ABI_SS] = (struct abi_segment){.selector = sel + 8, .attr = SS_ATTR, .limit = ~0u};
    cs_changed(c);
    return NULL;
}
OP(op_sysret)
{
    bool there = c->mode & MODE_64 || (c->vendor == ABI_CPU_AMD && c->cpl);
    if (!(c->s->efer & EFER_SCE) || !there)
        cpu_raise(c, o, VEC_UD);
    if (c->cpl)
        cpu_raise_err(c, o, VEC_GP, 0);
    bool to64 = o->aux == 64;
    uint16_t base = (uint16_t)(c->s->star >> 48);
    if (to64 && !cpu_canonical(c, c->gpr[REG_RCX]))
        cpu_raise_err(c, o, VEC_GP, 0);
    c->rip = to64 ? c->gpr[REG_RCX] : (uint32_t)c->gpr[REG_RCX];
    cpu_set_rflags(c, (c->gpr[11] & 0x3c7fd7) | 2);
    if (c->eflags & RF_TF) /* unlike IRET, a trap flag loaded here traps before the next instruction */
        c->s->db_pending |= DR6_BS, c->exit_request = 1;
    c->cpl = 3;
    c->s->seg[ABI_CS] = (struct abi_segment){.selector = (uint16_t)((base + (to64 ? 16 : 0)) | 3),
                                             .attr = (to64 ? CS64_ATTR : CS32_ATTR) | ABI_SEG_DPL,
                                             .limit = ~0u};
    c->s->seg[ABI_SS] = (struct abi_segment){.selector = (uint16_t)((base + 8) | 3),
                                             .attr = SS_ATTR | ABI_SEG_DPL, .limit = ~0u};
    far_done(c);
    return NULL;
}
OP(op_sysenter)
{
    uint16_t sel = (uint16_t)c->s->sysenter_cs & 0xfffcu;
    if (cpu_real(c) || !sel)
        cpu_raise_err(c, o, VEC_GP, 0);
    c->eflags &= ~(RF_VM | RF_IF | RF_RF);
    c->rip = cpu_long(c) ? c->s->sysenter_eip : (uint32_t)c->s->sysenter_eip;
    c->gpr[REG_RSP] = cpu_long(c) ? c->s->sysenter_esp : (uint32_t)c->s->sysenter_esp;
    c->cpl = 0;
    c->s->seg[ABI_CS] = (struct abi_segment){.selector = sel,
                                             .attr = cpu_long(c) ? CS64_ATTR : CS32_ATTR, .limit = ~0u};
    c->s->seg[ABI_SS] = (struct abi_segment){.selector = sel + 8, .attr = SS_ATTR, .limit = ~0u};
    cs_changed(c);
    return NULL;
}
OP(op_sysexit)
{
    uint16_t sel = (uint16_t)c->s->sysenter_cs & 0xfffcu;
    bool to64 = o->aux == 64;
    if (!(c->mode & MODE_PE) || c->cpl || !sel)
        cpu_raise_err(c, o, VEC_GP, 0);
    if (to64 && (!cpu_canonical(c, c->gpr[REG_RDX]) || !cpu_canonical(c, c->gpr[REG_RCX])))
        cpu_raise_err(c, o, VEC_GP, 0);
    c->rip = to64 ? c->gpr[REG_RDX] : (uint32_t)c->gpr[REG_RDX];
    c->gpr[REG_RSP] = to64 ? c->gpr[REG_RCX] : (uint32_t)c->gpr[REG_RCX];
    c->cpl = 3;
    c->s->seg[ABI_CS] = (struct abi_segment){.selector = (uint16_t)((sel + (to64 ? 32 : 16)) | 3),
                                             .attr = (to64 ? CS64_ATTR : CS32_ATTR) | ABI_SEG_DPL,
                                             .limit = ~0u};
    c->s->seg[ABI_SS] = (struct abi_segment){.selector = (uint16_t)((sel + (to64 ? 40 : 24)) | 3),
                                             .attr = SS_ATTR | ABI_SEG_DPL, .limit = ~0u};
    far_done(c);
    return NULL;
}
