/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the far transfers share. Internal to interp/.
 */
#ifndef BULKHEAD_CPU_WORKER_INTERP_FAR_H
#define BULKHEAD_CPU_WORKER_INTERP_FAR_H

#include "cpu-worker/interp/segment.h"

#define RF_TF   0x100ull
#define RF_IF   0x200ull
#define RF_IOPL 0x3000ull
#define RF_NT   0x4000ull
#define RF_RF   0x10000ull
#define RF_VM   0x20000ull
#define RF_VIF  0x80000ull
#define RF_VIP  0x100000ull
#define CR4_VME 1u
#define CR4_PVI 2u

/* The code segment and CPL are in place: derived state, and interrupts that IF now lets in. */
void far_done(struct cpu *c);
/* #GP(0) unless ip lies in the code segment. */
void far_check_target(struct cpu *c, const struct op *o, const struct desc *d, uint64_t ip);
/* CALL (or JMP) through call gate g of selector gsel. */
void call_gate(struct cpu *c, const struct op *o, uint16_t gsel, struct desc *g, bool call);
static inline bool vm86_restricted(const struct cpu *c)
{
    return (c->mode & MODE_VM86) && (c->eflags & RF_IOPL) != RF_IOPL;
}

#endif
