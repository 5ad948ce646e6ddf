/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pre-decoding one instruction into an operation. Internal to interp/: the pieces decode*.c share.
 */
#ifndef BULKHEAD_CPU_WORKER_INTERP_DECODE_H
#define BULKHEAD_CPU_WORKER_INTERP_DECODE_H

#include <Zydis/Zydis.h>
#include "cpu-worker/run/block.h"
#include "cpu-worker/run/op.h"

struct decoding {
    struct op *o;
    const ZydisDecodedInstruction *in;
    const ZydisDecodedOperand *ops;
    uint32_t mode;
    bool m64;
    const uint32_t *feat; /* advertised features; abi_cpu_has */
    bool amd; /* the guest's processor is an AMD: what AMD's manual says holds where the vendors differ */
};

/* Results and flags that the manuals leave undefined are the host's, whoever the guest believes it is. */
extern bool host_is_amd;
extern bool host_mul_keeps_flags; /* MUL and IMUL leave SF ZF AF PF as they were */


static inline bool is_reg(const ZydisDecodedOperand *p)
{
    return p->type == ZYDIS_OPERAND_TYPE_REGISTER;
}
static inline bool is_mem(const ZydisDecodedOperand *p)
{
    return p->type == ZYDIS_OPERAND_TYPE_MEMORY;
}
static inline bool is_imm(const ZydisDecodedOperand *p)
{
    return p->type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
}
/* Size index 0..3 of an operand of 8..64 bits. */
static inline unsigned size_index(unsigned bits)
{
    return bits == 8 ? 0 : bits == 16 ? 1 : bits == 32 ? 2 : 3;
}
/* GPR number, or byte offset into gpr[] for an 8-bit register. */
uint8_t decode_gpr(ZydisRegister r);
uint8_t decode_seg(ZydisRegister r);

/* Each returns true when the mnemonic is its own; *end = the operation ends the block. */
bool decode_integer(struct decoding *d, bool *end);
bool decode_control(struct decoding *d, bool *end);
bool decode_system(struct decoding *d, bool *end);

/* Does the processor with these features have the instruction (interp/isa.c)? */
bool isa_has(const ZydisDecodedInstruction *in, const uint32_t *feat);
bool isa_has_row(ZydisISASet set); /* for the test that no accepted set lacks one */

#endif
