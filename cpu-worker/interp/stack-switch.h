/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stack an event or a call gate pushes its frame on: the one in use, or that of an inner level from
 * the TSS. Owns the checks of that stack; must never change a register before stack_commit.
 */
#ifndef BULKHEAD_CPU_WORKER_INTERP_STACK_SWITCH_H
#define BULKHEAD_CPU_WORKER_INTERP_STACK_SWITCH_H

#include "cpu-worker/interp/segment.h"

struct new_stack {
    struct abi_segment ss;
    struct desc d;  /* of ss, when it comes from the TSS */
    bool switched;  /* SS and SP come from the TSS */
    bool user;      /* pushes are made with the rights of CPL 3 */
    uint64_t sp;
};

/* The stack in use. */
void stack_current(const struct cpu *c, unsigned cpl, struct new_stack *st);
/* SS:SP of an inner level from a 16- or 32-bit TSS: #TS or #SS with the selector; ext is the EXT bit. */
void stack_inner(struct cpu *c, const struct op *o, unsigned cpl, unsigned ext, struct new_stack *st);
/* RSP of an inner level, or of an IST entry, from a 64-bit TSS. */
uint64_t stack_tss64(struct cpu *c, const struct op *o, unsigned off, unsigned ext);
/* #SS unless `count` values of n bytes can be pushed: all of it is checked before the first push. */
void stack_room(struct cpu *c, const struct op *o, const struct new_stack *st, unsigned n, unsigned count,
                uint32_t error);
/* Legacy and compatibility stacks: n = 2 or 4 bytes. */
void stack_push(struct cpu *c, const struct op *o, struct new_stack *st, unsigned n, uint64_t v);
/* The frame is complete: SS (when it changed) and SP. */
void stack_commit(struct cpu *c, const struct op *o, struct new_stack *st);

#endif
