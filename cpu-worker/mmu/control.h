/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing CR0, CR3 and CR4, whoever does it: MOV, LMSW, a task switch, SMM. Owns their consistency rules
 * and what they flush; privilege checks and operands are the caller's.
 */
#ifndef BULKHEAD_CPU_WORKER_MMU_CONTROL_H
#define BULKHEAD_CPU_WORKER_MMU_CONTROL_H

#include "cpu-worker/run/cpu.h"

#define CR0_PE 1ull
#define CR0_ET 0x10ull
#define CR0_WP 0x10000ull
#define CR0_AM 0x40000ull
#define CR0_NW 0x20000000ull
#define CR0_CD 0x40000000ull
#define CR0_PG 0x80000000ull
#define CR4_PSE 0x10ull
#define CR4_PAE 0x20ull
#define CR4_PGE 0x80ull
#define CR4_LA57 0x1000ull
#define CR4_PCIDE 0x20000ull
#define CR4_SMEP 0x100000ull
#define CR4_SMAP 0x200000ull
#define CR4_PKE 0x400000ull
#define EFER_LME 0x100ull
#define EFER_LMA 0x400ull
#define EFER_NXE 0x800ull
/* The bits of CR4 that the model's features bring. */
uint64_t cr4_carried(const struct cpu *c);

/* False: #GP(0), and nothing has changed. A page fault cannot happen; tables are read physically. */
bool cr0_write(struct cpu *c, uint64_t v);
bool cr3_write(struct cpu *c, uint64_t v);
bool cr4_write(struct cpu *c, uint64_t v);
/* All of them at once, as RSM loads them. */
struct control_set {
    uint64_t cr0, cr3, cr4, efer, rflags;
    uint32_t cs_attr;
};
/* False: no processor is ever in that state, and nothing has changed. The caller derives the rest. */
bool control_load(struct cpu *c, const struct control_set *n);
/* PKRU is a register of rights: what the TLB holds was filled under the old ones. */
void pkru_write(struct cpu *c, uint32_t v);

#endif
