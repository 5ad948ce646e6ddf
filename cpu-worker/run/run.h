/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a vCPU: what the worker's main program and the interpreter's parts call. One struct cpu per
 * vCPU thread; only cpu_kick and cpu_request_flush may be called from other threads.
 */
#ifndef BULKHEAD_CPU_WORKER_RUN_RUN_H
#define BULKHEAD_CPU_WORKER_RUN_RUN_H

#include "cpu-worker/run/block.h"
#include "cpu-worker/run/cpu.h"

enum cpu_exit { CPU_EXIT_PAUSED = 0, CPU_EXIT_TRIPLE_FAULT = 1, CPU_EXIT_INTERNAL_ERROR = 2 };

size_t cpu_size(void); /* sizeof(struct cpu), 64-byte aligned allocation is the caller's */
int cpu_init(struct cpu *c, unsigned index, struct abi_machine_page *page, struct mmu_host *mem,
             struct chipset *cs, struct abi_codepage *cp); /* 0 or -errno; alone in its team */
/* One of several: mem is this vCPU's own copy, team is shared. */
int cpu_init_member(struct cpu *c, unsigned index, struct abi_machine_page *page,
                    struct mmu_host *mem, struct chipset *cs, struct team *team);
int cpu_run(struct cpu *c); /* until c->pause_req; enum cpu_exit; architectural state is saved */
void cpu_kick(struct cpu *c);
void cpu_request_flush(struct cpu *c);
void cpu_state_load(struct cpu *c); /* shared page -> running state, everything derived recomputed */
void cpu_state_switch(struct cpu *c); /* the same, and decoded code is kept */
void cpu_state_save(struct cpu *c);

/* Derived state, after control registers, CPL or CS changed. */
void cpu_mode_update(struct cpu *c);
/* TLB and contexts (mmu/tlb.c) */
void tlb_flush_all(struct cpu *c);       /* every context, global pages included */
void tlb_flush_page(struct cpu *c, uint64_t va); /* INVLPG */
void tlb_flush_pcid(struct cpu *c, unsigned pcid); /* but for global pages */
void tlb_flush_pcid_page(struct cpu *c, unsigned pcid, uint64_t va);
void tlb_flush_pcids(struct cpu *c);     /* every PCID, but for global pages */
void tlb_flush_first(struct cpu *c);     /* only what was filled under other rights */
void tlb_cr3_loaded(struct cpu *c, bool noflush);
void tlb_context_update(struct cpu *c);  /* CPL or EFLAGS.AC changed: rights of the context */
void tlb_protect_display(struct cpu *c); /* no fast stores to display memory */
void tlb_protect_all(struct cpu *c); /* no fast stores at all */
void tlb_windows_close(struct cpu *c); /* translated code's own memory of the TLB */
void tlb_protect_code(struct cpu *c, const uint8_t *host_page); /* no fast stores to this page */
void jc_flush(struct cpu *c);
/* May the jump caches, with the present key, name the code at this linear address? */
bool tlb_code_jumps(struct cpu *c, uint64_t lip);
/* Makes loads (stores) of these bytes hit the first level, without raising. False: they must not, or cannot. */
/* ahead: for a store that comes later; D is not set for it. */
bool tlb_fill_plain(struct cpu *c, uint64_t va, unsigned size, bool write, bool ahead);
/* Fetch translation: host address of the byte at lip and its gpa; raises #PF. NULL: not memory. */
const uint8_t *mmu_fetch(struct cpu *c, uint64_t lip, uint64_t *gpa, uint64_t *ram_off);
/* Same without raising: false if it would fault. */
bool mmu_fetch_probe(struct cpu *c, uint64_t lip, const uint8_t **host, uint64_t *gpa,
                     uint64_t *ram_off);

/* System-level accesses (descriptor tables, TSS): supervisor rights whatever the CPL. */
uint64_t sys_read(struct cpu *c, const struct op *o, uint64_t va, unsigned size);
void sys_write(struct cpu *c, const struct op *o, uint64_t va, unsigned size, uint64_t v);

/* [va, va+len) can be written with supervisor rights: faults now or not at all. */
void sys_probe_write(struct cpu *c, const struct op *o, uint64_t va, unsigned len);

/* Events (run/exception.c). May raise further exceptions. */
enum cpu_event {
    EVENT_EXCEPTION, /* fault or trap found by the processor */
    EVENT_SOFT,      /* INT n, INT3, INTO: privilege of the gate is checked */
    EVENT_EXTERNAL,  /* interrupt or NMI */
};
void cpu_deliver(struct cpu *c, int vector, enum cpu_event kind, bool has_error, uint32_t error);
void cpu_unwind_to_event(struct cpu *c); /* after cpu_raise: turn c->exc into an event, or shutdown */

extern const struct op cpu_no_op; /* off 0: for faults outside any instruction */

/* An operation that changed mode, context or code: leave the block; next instruction is o's successor. */
static inline const struct op *cpu_leave(struct cpu *c, const struct op *o)
{
    c->rip = c->gpr[REG_BLOCK] + o->next_off;
    return NULL;
}

#endif
