/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pre-decoding of control transfer and stack instructions. Displacements become relative to the block's
 * first byte.
 */
#include "cpu-worker/interp/decode.h"
#include "cpu-worker/interp/handlers.h"

#define M(x) ZYDIS_MNEMONIC_##x

static void relative(struct decoding *d)
{
    d->o->disp = (int32_t)(d->o->next_off + d->ops[0].imm.value.s);
    d->o->imm = 0; /* becomes the link */
}
static bool has_prefix(const struct decoding *d, uint8_t value)
{
    for (unsigned i = 0; i < d->in->raw.prefix_count; i++)
        if (d->in->raw.prefixes[i].value == value)
            return true;
    return false;
}
/* Near branches have 64-bit operands in 64-bit mode: whatever the prefixes on Intel's processors, while an
 * operand-size prefix makes them 16-bit on AMD's (APM volume 3, 1.2.7 and JMP). */
static unsigned branch_bits(const struct decoding *d)
{
    if (!d->m64)
        return d->in->operand_width;
    return d->amd && !d->in->raw.rex.W && has_prefix(d, 0x66) ? 16 : 64;
}
static void jcc(struct decoding *d, unsigned cc)
{
    relative(d);
    d->o->aux = (uint16_t)branch_bits(d);
    d->o->fn = jcc_table[cc];
}
/* The last of F2 and F3: NE and E. */
static unsigned repeat_condition(const struct decoding *d, unsigned n)
{
    for (unsigned i = 0; i < d->in->raw.prefix_count; i++) {
        if (d->in->raw.prefixes[i].value == 0xf2)
            n = 0;
        else if (d->in->raw.prefixes[i].value == 0xf3)
            n = 1;
    }
    return n;
}
static void loop(struct decoding *d, unsigned n, unsigned addr_bits)
{
    relative(d);
    d->o->aux = (uint16_t)branch_bits(d);
    d->o->scale = (uint8_t)(addr_bits / 16);
    if (n < 2 && host_is_amd) /* undefined, and its processors take the condition from the prefix */
        n = repeat_condition(d, n);
    d->o->fn = loop_table[n];
}
static bool is_far(const struct decoding *d)
{
    return d->in->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
}
static void far(struct decoding *d, op_fn pointer, op_fn memory)
{
    struct op *o = d->o;
    o->aux = d->in->operand_width;
    if (d->ops[0].type == ZYDIS_OPERAND_TYPE_POINTER) {
        o->imm = d->ops[0].ptr.offset;
        o->aux2 = d->ops[0].ptr.segment;
        o->fn = pointer;
    } else {
        o->fn = memory;
    }
}
static void jmp(struct decoding *d)
{
    struct op *o = d->o;
    if (is_far(d)) {
        far(d, op_jmp_far_p, op_jmp_far_m);
        return;
    }
    o->aux = (uint16_t)branch_bits(d);
    if (is_imm(&d->ops[0])) {
        relative(d);
        o->fn = op_jmp_rel;
    } else if (is_reg(&d->ops[0])) {
        o->dst = decode_gpr(d->ops[0].reg.value);
        o->fn = o->aux == 64 ? op_jmp_r64 : op_jmp_r;
    } else {
        o->fn = o->aux == 64 ? op_jmp_m64 : op_jmp_m;
    }
}
static void call(struct decoding *d)
{
    struct op *o = d->o;
    if (is_far(d)) {
        far(d, op_call_far_p, op_call_far_m);
        return;
    }
    o->aux = (uint16_t)branch_bits(d);
    if (is_imm(&d->ops[0])) {
        relative(d);
        o->fn = o->aux == 64 ? op_call_rel64 : op_call_rel;
    } else if (is_reg(&d->ops[0])) {
        o->dst = decode_gpr(d->ops[0].reg.value);
        o->fn = o->aux != 64 ? op_call_r : host_is_amd ? op_call_r64_early : op_call_r64;
    } else {
        o->fn = o->aux != 64 ? op_call_m : host_is_amd ? op_call_m64_early : op_call_m64;
    }
}
static void ret(struct decoding *d)
{
    struct op *o = d->o;
    bool imm = d->in->operand_count_visible > 0 && is_imm(&d->ops[0]);
    if (is_far(d)) {
        o->aux = d->in->operand_width;
        o->fn = imm ? op_ret_far_imm : op_ret_far;
    } else {
        o->aux = (uint16_t)branch_bits(d);
        o->fn = o->aux == 64 ? (imm ? op_ret64_imm : op_ret64) : (imm ? op_ret_imm : op_ret);
    }
}

static bool seg_operand(const ZydisDecodedOperand *p)
{
    return is_reg(p) && p->reg.value >= ZYDIS_REGISTER_ES && p->reg.value <= ZYDIS_REGISTER_GS;
}
static void push(struct decoding *d)
{
    struct op *o = d->o;
    const ZydisDecodedOperand *p = &d->ops[0];
    unsigned bits = d->in->operand_width;
    bool fast = d->m64 && bits == 64;
    o->aux = (uint16_t)bits;
    if (seg_operand(p)) {
        o->src = decode_seg(p->reg.value);
        o->dst = d->amd;
        o->fn = op_push_seg;
    } else if (is_imm(p)) {
        o->imm = p->imm.is_signed ? (uint64_t)p->imm.value.s : p->imm.value.u;
        o->fn = fast ? op_push_i64 : op_push_i;
    } else if (is_reg(p)) {
        o->dst = decode_gpr(p->reg.value);
        o->fn = fast ? op_push_r64 : op_push_r;
    } else {
        o->fn = fast ? op_push_m64 : op_push_m;
    }
}
static void pop(struct decoding *d, bool *end)
{
    struct op *o = d->o;
    const ZydisDecodedOperand *p = &d->ops[0];
    unsigned bits = d->in->operand_width;
    o->aux = (uint16_t)bits;
    if (seg_operand(p)) {
        o->dst = decode_seg(p->reg.value);
        o->fn = op_pop_seg;
        *end = true;
    } else if (is_reg(p)) {
        o->dst = decode_gpr(p->reg.value);
        o->fn = d->m64 && bits == 64 ? op_pop_r64 : op_pop_r;
    } else {
        o->fn = op_pop_m;
    }
}
static void width_op(struct decoding *d, op_fn fn)
{
    d->o->aux = d->in->operand_width;
    d->o->fn = fn;
}
static bool stack(struct decoding *d, bool *end)
{
    switch (d->in->mnemonic) {
    case M(PUSH): push(d); break;
    case M(POP): pop(d, end); break;
    case M(LEAVE):
        width_op(d, d->m64 && d->in->operand_width == 64 ? op_leave64 : op_leave);
        break;
    case M(ENTER):
        width_op(d, op_enter);
        d->o->imm = (d->ops[0].imm.value.u & 0xffff) | (d->ops[1].imm.value.u & 31) << 16;
        break;
    case M(PUSHA):
    case M(PUSHAD): width_op(d, op_pusha); break;
    case M(POPA):
    case M(POPAD): width_op(d, op_popa); break;
    case M(PUSHF):
    case M(PUSHFD):
    case M(PUSHFQ): width_op(d, op_pushf); break;
    case M(POPF):
    case M(POPFD):
    case M(POPFQ): width_op(d, op_popf); break;
    default: return false;
    }
    return true;
}

/* In 64-bit mode the segment of an operation only says which exception an address that is not canonical
 * raises; operations without a memory operand of their own that come here use the stack. */
static void stack_segment(struct decoding *d)
{
    if (d->m64 && (!d->in->operand_count_visible || !is_mem(&d->ops[0])))
        d->o->seg = ABI_SS;
}

bool decode_control(struct decoding *d, bool *end)
{
    *end = false;
    if (stack(d, end)) {
        stack_segment(d);
        return true;
    }
    *end = true;
    switch (d->in->mnemonic) {
    case M(JMP): jmp(d); break;
    case M(CALL): call(d); break;
    case M(RET): ret(d); break;
    case M(JO): jcc(d, 0); break;
    case M(JNO): jcc(d, 1); break;
    case M(JB): jcc(d, 2); break;
    case M(JNB): jcc(d, 3); break;
    case M(JZ): jcc(d, 4); break;
    case M(JNZ): jcc(d, 5); break;
    case M(JBE): jcc(d, 6); break;
    case M(JNBE): jcc(d, 7); break;
    case M(JS): jcc(d, 8); break;
    case M(JNS): jcc(d, 9); break;
    case M(JP): jcc(d, 10); break;
    case M(JNP): jcc(d, 11); break;
    case M(JL): jcc(d, 12); break;
    case M(JNL): jcc(d, 13); break;
    case M(JLE): jcc(d, 14); break;
    case M(JNLE): jcc(d, 15); break;
    case M(LOOPNE): loop(d, 0, d->in->address_width); break;
    case M(LOOPE): loop(d, 1, d->in->address_width); break;
    case M(LOOP): loop(d, 2, d->in->address_width); break;
    case M(JCXZ): loop(d, 3, 16); break;
    case M(JECXZ): loop(d, 3, 32); break;
    case M(JRCXZ): loop(d, 3, 64); break;
    case M(INT): d->o->fn = op_int; break;
    case M(INT3): d->o->fn = op_int3; break;
    case M(INT1): d->o->fn = op_int1; break;
    case M(INTO): d->o->fn = op_into; break;
    case M(IRET):
    case M(IRETD):
    case M(IRETQ): width_op(d, op_iret); break;
    case M(SYSCALL): d->o->fn = op_syscall; break;
    case M(SYSRET): d->o->aux = d->in->operand_width; d->o->fn = op_sysret; break;
    case M(SYSENTER): d->o->fn = op_sysenter; break;
    case M(SYSEXIT): d->o->aux = d->in->operand_width; d->o->fn = op_sysexit; break;
    default:
        *end = false;
        return false;
    }
    stack_segment(d);
    return true;
}
