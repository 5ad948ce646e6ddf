/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the handler of an x87 instruction from its two opcode bytes (SDM 2, tables ):
 * the encoding is regular and has aliases that mnemonics hide. Must never look at guest state.
 */
#include "cpu-worker/helpers/x87-op.h"

static unsigned operand_segment(const struct simd_in *d)
{
    for (unsigned i = 0; i < d->in->operand_count; i++) {
        if (d->ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
            ZydisRegister r = d->ops[i].mem.segment;
            return r == ZYDIS_REGISTER_NONE ? ABI_DS : (unsigned)ZydisRegisterGetId(r);
        }
    }
    return ABI_DS;
}

static bool memory_form(struct op *o, const struct x87_in *x)
{
    return x87_arith_mem(o, x) || x87_load_mem(o, x) || x87_store_mem(o, x) ||
           x87_control_mem(o, x);
}

static bool register_form(struct op *o, const struct x87_in *x)
{
    return x87_arith_reg(o, x) || x87_compare_reg(o, x) || x87_stack_reg(o, x) ||
           x87_load_reg(o, x) || x87_function_reg(o, x) || x87_control_reg(o, x);
}

bool x87_decode(struct op *o, const struct simd_in *d)
{
    if (d->mn == ZYDIS_MNEMONIC_FWAIT) {
        o->fn = x87_fwait();
        return true;
    }
    const ZydisDecodedInstruction *in = d->in;
    struct x87_in x = {.op = in->opcode - 0xd8u, .reg = in->raw.modrm.reg, .rm = in->raw.modrm.rm};
    x.short_env = in->operand_width == 16;
    x.real_env = !(d->mode & MODE_PE);
    o->aux = (uint16_t)(x.op << 8 | in->raw.modrm.mod << 6 | x.reg << 3 | x.rm);
    if (in->raw.modrm.mod == 3)
        return register_form(o, &x);
    o->aux2 = operand_segment(d) << 8;
    return memory_form(o, &x);
}
