/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the pre-decoder and the run loop need of the floating-point and SIMD half of the
 * interpreter. Owns the interface only; must never expose a handler by name.
 */
#ifndef BULKHEAD_CPU_WORKER_HELPERS_SIMD_H
#define BULKHEAD_CPU_WORKER_HELPERS_SIMD_H

#include <Zydis/Zydis.h>
#include "cpu-worker/run/cpu.h"

/* Complete *o for one x87, MMX, SSE, AES, PCLMULQDQ, SHA, CRC32, fence, cache-hint or FXSAVE-family
 * instruction. The caller has filled the memory operand (base, index, scale, disp, seg, ea), imm,
 * len, off and next_off; `ops` are all operands, visible ones first; `mode` is MODE_*, `amd`
 * says whose manual holds where the vendors differ. Sets fn, dst, src, aux, aux2 and where needed imm. Returns false if the instruction is not one of these
 * (or not supported: #UD). Depends on nothing but its arguments. */
bool simd_decode(struct op *o, const ZydisDecodedInstruction *in, const ZydisDecodedOperand *ops,
                 uint32_t mode, bool amd);

/* On the vCPU's own thread, after the shared state was written by someone else (start, reset,
 * resume after a pause): from here on the host's sticky MXCSR and x87 flags belong to this vCPU. */
void simd_state_load(struct cpu *c);

/* On the vCPU's own thread, before the shared state is read by someone else: collects the sticky
 * MXCSR flags that are still in the host register, and makes the tag word exact. May be called any
 * time.
 *
 * Between load and save, C code on this thread must do no floating-point arithmetic of its own:
 * with the guest's default MXCSR the flags accumulate in the host's MXCSR, and the host's x87
 * control word may be the guest's (exceptions masked). Integer vector code is harmless. */
void simd_state_save(struct cpu *c);

#endif
