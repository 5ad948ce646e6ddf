/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Register operands and arithmetic flags as handlers use them. Flags are produced by the host's own
 * instruction (LAHF and SETO after it), so that even architecturally undefined flags equal the host's.
 * Owns the access macros; must never hold instruction semantics.
 */
#ifndef BULKHEAD_CPU_WORKER_INTERP_REGS_H
#define BULKHEAD_CPU_WORKER_INTERP_REGS_H

#include "cpu-worker/run/op.h"

#define T8  uint8_t
#define T16 uint16_t
#define T32 uint32_t
#define T64 uint64_t
#define S8  int8_t
#define S16 int16_t
#define S32 int32_t
#define S64 int64_t

/* 8-bit operands are byte offsets into gpr[], so AH..BH need no special case. */
#define RD8(n)  (*((uint8_t *)c->gpr + (n)))
#define RD16(n) ((uint16_t)c->gpr[n])
#define RD32(n) ((uint32_t)c->gpr[n])
#define RD64(n) (c->gpr[n])
#define WR8(n, v)  (*((uint8_t *)c->gpr + (n)) = (v))
#define WR16(n, v) (*(uint16_t *)&c->gpr[n] = (v))
#define WR32(n, v) (c->gpr[n] = (uint32_t)(v))
#define WR64(n, v) (c->gpr[n] = (v))

#define FL_SAVE "\n\tlahf\n\tseto %%al"          /* host flags -> AX in the format of cpu->fl */
#define FL_LOAD "addb $0x7f,%%al\n\tsahf\n\t"    /* AX in that format -> host flags (destroys AX) */

/* The sixteen conditions on a packed flag word. */
static inline bool fl_cond(uint32_t fl, unsigned cc)
{
    bool r;
    switch (cc >> 1) {
    case 0:
        r = fl & FL_OF;
        break;
    case 1:
        r = fl & FL_CF;
        break;
    case 2:
        r = fl & FL_ZF;
        break;
    case 3:
        r = fl & (FL_CF | FL_ZF);
        break;
    case 4:
        r = fl & FL_SF;
        break;
    case 5:
        r = fl & FL_PF;
        break;
    case 6:
        r = ((fl >> 15) ^ fl) & 1;
        break;
    default:
        r = (fl & FL_ZF) || (((fl >> 15) ^ fl) & 1);
        break;
    }
    return r ^ (cc & 1);
}

#define FOR_EACH_CC(M)                                                                             \
    M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11) M(12) M(13) M(14) M(15)

#endif
