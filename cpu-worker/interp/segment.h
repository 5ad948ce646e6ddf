/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segment registers and descriptors: loading, checking, reading the tables (SDM volume 3, chapters 3, 5
 * and 6). Owns cpu->segbase and the shared segment state together; nothing else may write them.
 */
#ifndef BULKHEAD_CPU_WORKER_INTERP_SEGMENT_H
#define BULKHEAD_CPU_WORKER_INTERP_SEGMENT_H

#include "cpu-worker/run/op.h"

struct desc {
    uint32_t lo, hi;
    uint64_t va;    /* linear address of the descriptor, for the accessed and busy bits */
    uint64_t base_hi; /* bits 32-63 of the base for 16-byte system descriptors */
};
#define DESC_TYPE(d) (((d)->hi >> 8) & 15)
#define DESC_S(d)    (((d)->hi >> 12) & 1)
#define DESC_DPL(d)  (((d)->hi >> 13) & 3)
#define DESC_P(d)    (((d)->hi >> 15) & 1)
#define DESC_L(d)    (((d)->hi >> 21) & 1)
#define DESC_DB(d)   (((d)->hi >> 22) & 1)

/* false: selector outside its table (or null where null is no table entry). */
bool desc_read(struct cpu *c, const struct op *o, uint16_t sel, struct desc *d);
uint32_t desc_limit(const struct desc *d); /* in bytes, scaled by G */
void desc_set_accessed(struct cpu *c, const struct op *o, struct desc *d);
/* The hidden part of a segment register as a descriptor gives it. */
void seg_from_desc(struct abi_segment *s, uint16_t sel, const struct desc *d);
/* Are the bytes [off, off+size) inside the segment's limit? Expand-down segments included. */
bool seg_holds(const struct abi_segment *s, uint64_t off, unsigned size);
/* Install a checked descriptor into a segment register. */
void seg_install(struct cpu *c, unsigned seg, uint16_t sel, const struct desc *d);
void seg_install_null(struct cpu *c, unsigned seg, uint16_t sel);
void seg_install_real(struct cpu *c, unsigned seg, uint16_t sel); /* real mode and VM86 */
void seg_install_flat(struct cpu *c, unsigned seg, uint16_t sel, uint32_t attr);
void seg_sync(struct cpu *c); /* segbase[] from the shared state */
/* MOV/POP to a data or stack segment register, with all checks. */
void seg_load(struct cpu *c, const struct op *o, unsigned seg, uint16_t sel);
void cpl_set(struct cpu *c, unsigned cpl);
/* After CS changed: mode bits, context. */
void cs_changed(struct cpu *c);

/* #GP(0) for an instruction that only CPL 0 may execute. */
static inline void cpl0_check(struct cpu *c, const struct op *o)
{
    if (c->cpl)
        cpu_raise_err(c, o, VEC_GP, 0);
}
static inline bool cpu_real(const struct cpu *c)
{
    return !(c->s->cr0 & 1);
}
static inline bool cpu_long(const struct cpu *c)
{
    return c->s->efer & 0x400;
}

#endif
