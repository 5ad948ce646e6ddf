/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the VEX handlers share: the slots of vex-stub.S, running one, and the fields of an operation.
 * Included by helpers/vex*.c only; must never be included by a file that handles legacy encodings.
 *
 * Fields of struct op: imm = the slot, dst = ModRM.reg, src = ModRM.rm, aux = VEX.vvvv, with the fourth
 * register in bits 8 to 11, aux2 = VEX_*.
 */
#ifndef BULKHEAD_CPU_WORKER_HELPERS_VEX_H
#define BULKHEAD_CPU_WORKER_HELPERS_VEX_H

#include "cpu-worker/helpers/simd-op.h"

#define VEX_SIZE    0x0ffu  /* bytes of the memory operand */
#define VEX_ALIGNED 0x100u  /* which has to be aligned to its size */
#define VEX_FP      0x200u  /* reads and writes MXCSR */
#define VEX_REG_GPR 0x400u  /* ModRM.reg is a general register */
#define VEX_RM_GPR  0x800u  /* ModRM.rm is one */
#define VEX_DST     0x1000u /* ModRM.reg is a vector register that is written */
#define VEX_FLAGS   0x2000u /* writes the arithmetic flags */
#define VEX_MEM     0x4000u /* a memory operand that is read */
#define VEX_TO_RCX  0x8000u /* VPCMPxSTRI: an index in ECX */
#define VEX_TO_XMM0 0x10000u /* VPCMPxSTRM: a mask in XMM0 */

struct vex_reg {
    uint8_t b[32];
};
#define Y(n) (*(struct vex_reg *)c->s->ymm[n])

/* Into the slot and back. The slot jumps to RSI; no stack is used, so that a red zone stays whole. */
#define VEX_GO(slot) "lea 1f(%%rip), %%rsi\n\tjmp *" slot "\n1:\n\t"

/* The slot of an instruction, NULL if there is none. `mem`: its form with a memory operand. */
const void *vex_slot(const ZydisDecodedInstruction *in, bool wide, bool mem);

/* vex-memory.c: gathers and masked moves. */
bool vex_memory_decode(struct op *o, const struct simd_in *d);

#endif
