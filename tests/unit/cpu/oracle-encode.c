/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enumerates encodings of the integer instructions: opcode by opcode, every ModRM.reg, register and
 * memory forms, legacy prefixes and REX. Offers only what can do no harm in this process.
 */
#include <cpuid.h>
#include "tests/unit/cpu/oracle.h"

#include <string.h>

static ZydisDecoder decoder;
static uint64_t next_cell;

/* Bit of ECX of a CPUID leaf; the compilers' own names for these features differ. */
static bool host_has(unsigned leaf, unsigned bit)
{
    unsigned a, b, c, d;
    return __get_cpuid(leaf, &a, &b, &c, &d) && (c >> bit & 1);
}
static bool host_has_7b(unsigned bit)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> bit & 1);
}
/* Belongs to the integer set that the interpreter advertises or has to treat as a NOP. */
static bool integer_set(const ZydisDecodedInstruction *in)
{
    switch (in->meta.isa_set) {
    case ZYDIS_ISA_SET_I86:
    case ZYDIS_ISA_SET_I186:
    case ZYDIS_ISA_SET_I286REAL:
    case ZYDIS_ISA_SET_I386:
    case ZYDIS_ISA_SET_I486REAL:
    case ZYDIS_ISA_SET_PENTIUMREAL:
    case ZYDIS_ISA_SET_PPRO:
    case ZYDIS_ISA_SET_CMOV:
    case ZYDIS_ISA_SET_LONGMODE:
    case ZYDIS_ISA_SET_LAHF:
    case ZYDIS_ISA_SET_CMPXCHG16B:
    case ZYDIS_ISA_SET_FAT_NOP:
    case ZYDIS_ISA_SET_PREFETCH_NOP:
    case ZYDIS_ISA_SET_PAUSE:
        return true;
    case ZYDIS_ISA_SET_MOVBE:
        return host_has(1, 22);
    case ZYDIS_ISA_SET_POPCNT:
        return host_has(1, 23);
    case ZYDIS_ISA_SET_BMI1:
        return host_has_7b(3);
    case ZYDIS_ISA_SET_BMI2:
        return host_has_7b(8);
    case ZYDIS_ISA_SET_ADOX_ADCX:
        return host_has_7b(19);
    case ZYDIS_ISA_SET_LZCNT:
        return host_has(0x80000001, 5);
    default:
        return false;
    }
}
static bool harmless(const struct insn *i)
{
    const ZydisDecodedInstruction *in = &i->in;
    switch (in->meta.category) {
    case ZYDIS_CATEGORY_SYSTEM:
    case ZYDIS_CATEGORY_INTERRUPT:
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_SYSRET:
    case ZYDIS_CATEGORY_SEGOP:
    case ZYDIS_CATEGORY_IO:
    case ZYDIS_CATEGORY_IOSTRINGOP:
        return false;
    default:
        break;
    }
    if (in->mnemonic == ZYDIS_MNEMONIC_CPUID || in->mnemonic == ZYDIS_MNEMONIC_RDTSC ||
        in->mnemonic == ZYDIS_MNEMONIC_EMMS || in->mnemonic == ZYDIS_MNEMONIC_IRET ||
        in->mnemonic == ZYDIS_MNEMONIC_IRETD || in->mnemonic == ZYDIS_MNEMONIC_IRETQ ||
        in->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
        return false;
    /* A branch to the stack pointer cannot be steered. */
    if (in->meta.branch_type != ZYDIS_BRANCH_TYPE_NONE && in->operand_count_visible &&
        i->ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER && in->raw.modrm.rm == 4)
        return false;
    /* Segment register loads would change this process's own. */
    const ZydisDecodedOperand *a = &i->ops[0];
    return !(a->type == ZYDIS_OPERAND_TYPE_REGISTER && a->reg.value >= ZYDIS_REGISTER_ES &&
             (in->mnemonic == ZYDIS_MNEMONIC_MOV || in->mnemonic == ZYDIS_MNEMONIC_POP));
}
/* Can operands_random make this encoding stay in the window? */
static bool steerable(const struct insn *i)
{
    const ZydisDecodedInstruction *in = &i->in;
    ZydisRegister first = ZYDIS_REGISTER_NONE, bit = ZYDIS_REGISTER_NONE;
    if (!i->m64 && in->meta.branch_type != ZYDIS_BRANCH_TYPE_NONE && in->operand_width == 16)
        return false; /* the target would be truncated to 16 bits */
    if (in->meta.category == ZYDIS_CATEGORY_BITBYTE &&
        i->ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER)
        bit = i->ops[1].reg.value;
    for (unsigned k = 0; k < in->operand_count; k++) {
        const ZydisDecodedOperand *o = &i->ops[k];
        if (o->type != ZYDIS_OPERAND_TYPE_MEMORY || o->mem.type != ZYDIS_MEMOP_TYPE_MEM)
            continue;
        ZydisRegister b = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, o->mem.base);
        ZydisRegister x =
            ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, o->mem.index);
        ZydisRegister t = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, bit);
        if (in->address_width == 16 || (x && x == b) || (t && (t == b || t == x)))
            return false;
        if (first && (x == first || (b == first && b != ZYDIS_REGISTER_RSP)))
            return false; /* two memory operands that want the same register */
        first = b;
        if (o->mem.segment == ZYDIS_REGISTER_FS || (!i->m64 && o->mem.segment == ZYDIS_REGISTER_GS))
            return false;
    }
    return true;
}

/* An immediate or displacement inside the encoding. */
static void patch(struct insn *i, unsigned at, unsigned bits, int64_t v)
{
    memcpy(i->bytes + at, &v, bits / 8);
}
static void patch_branch(struct insn *i)
{
    unsigned t = (unsigned)(rnd() >> 32) % CELL;
    if (t >= CELL_ENTRY && t < CELL_ENTRY + i->len)
        t = CELL_ENTRY + i->len;
    if (i->in.raw.imm[0].is_relative)
        patch(i, i->in.raw.imm[0].offset, i->in.raw.imm[0].size,
              (int64_t)t - (int64_t)(CELL_ENTRY + i->len));
}
static void patch_memory(struct insn *i)
{
    unsigned at = i->in.raw.disp.offset, bits = i->in.raw.disp.size;
    for (unsigned k = 0; k < i->in.operand_count_visible; k++) {
        const ZydisDecodedOperand *o = &i->ops[k];
        uint64_t to = CENTRE - 2048 + rnd() % 512;
        if (o->type != ZYDIS_OPERAND_TYPE_MEMORY || bits < 32)
            continue;
        if (o->mem.segment == ZYDIS_REGISTER_GS)
            to -= engine_gs_base();
        if (o->mem.base == ZYDIS_REGISTER_RIP || o->mem.base == ZYDIS_REGISTER_EIP)
            patch(i, at, 32, (int64_t)(to - (i->cell + CELL_ENTRY + i->len)));
        else if (o->mem.base == ZYDIS_REGISTER_NONE)
            patch(i, at, bits, (int64_t)to);
        else
            patch(i, at, bits, (int64_t)(rnd() % 2001) - 1000);
    }
}
static bool decode(struct insn *i)
{
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, i->bytes, 15, &i->in, i->ops)))
        return false;
    for (unsigned k = 0; k < i->in.operand_count_visible; k++)
        if (i->ops[k].type == ZYDIS_OPERAND_TYPE_MEMORY && i->in.raw.modrm.rm == 4 &&
            i->in.raw.modrm.mod == 0 && i->in.raw.sib.base == 5)
            i->ops[k].mem.base = ZYDIS_REGISTER_NONE; /* Zydis 4.0 gives R13D here */
    return true;
}

static void offer(struct insn *i, void (*fn)(struct insn *))
{
    ZydisDecodedInstruction in;
    ZyanStatus st = ZydisDecoderDecodeInstruction(&decoder, NULL, i->bytes, 15, &in);
    i->known = ZYAN_SUCCESS(st);
    i->len = i->known ? in.length : 15;
    if (!i->known && st != ZYDIS_STATUS_ILLEGAL_LOCK)
        return;
    if (next_cell + CELL > CODE + CODE_SIZE)
        return;
    i->cell = next_cell;
    if (i->known) {
        if (!decode(i) || !integer_set(&i->in) || !harmless(i) || !steerable(i))
            return;
        if (i->in.mnemonic == ZYDIS_MNEMONIC_ENTER) { /* small frames, at most three levels */
            i->bytes[i->in.raw.imm[0].offset + 1] &= 1;
            i->bytes[i->in.raw.imm[1].offset] &= 0xe3;
        }
        patch_memory(i);
        patch_branch(i);
        if (!decode(i))
            return;
    }
    next_cell += CELL;
    memset((void *)i->cell, 0xcc, CELL);
    memcpy((void *)(i->cell + CELL_ENTRY), i->bytes, i->len);
    fn(i);
}

static unsigned prefixes(struct insn *i, unsigned kind)
{
    static const uint8_t set[][3] = {{0},          {0x66},       {0xf3}, {0xf2},       {0xf0},
                                     {0xf0, 0x66}, {0x67},       {0x65}, {0x66, 0xf3}, {0x67, 0xf3},
                                     {0x3e, 0x66}, {0xf2, 0xf0}, {0x2e}, {0x36, 0x67}};
    unsigned n = 0;
    const uint8_t *p = set[kind % (sizeof(set) / sizeof(set[0]))];
    while (n < 3 && p[n]) {
        i->bytes[n] = p[n];
        n++;
    }
    return n;
}
/* map 0: one byte, 1: 0F, 2: 0F38 */
static void build(struct insn *i, unsigned map, unsigned opcode, unsigned kind, unsigned reg,
                  bool mem)
{
    static const uint8_t rex[] = {0x48, 0x40, 0x4f, 0x41, 0x44, 0x4d, 0x4a, 0x49};
    uint64_t r = rnd();
    unsigned n = prefixes(i, kind);
    if (i->m64 && (r & 3))
        i->bytes[n++] = rex[r >> 2 & 7];
    if (map)
        i->bytes[n++] = 0x0f;
    if (map == 2)
        i->bytes[n++] = 0x38;
    i->bytes[n++] = (uint8_t)opcode;
    i->bytes[n++] = (uint8_t)((mem ? (r >> 5) % 3 << 6 : 0xc0) | reg << 3 | (r >> 8 & 7));
    for (r = rnd(); n < 15; r = r >> 8 | r << 56)
        i->bytes[n++] = (uint8_t)r;
}
/* Prefixes and escapes are no opcodes; these leave the process. */
static bool skip(bool m64, unsigned map, unsigned op)
{
    if (map == 0)
        return op == 0x0f || op == 0xf0 || op == 0xf2 || op == 0xf3 || (op >= 0x64 && op <= 0x67) ||
               (op & 0xe7) == 0x26 || (m64 && (op & 0xf0) == 0x40) || op == 0xcd || op == 0xce ||
               (op >= 0xd8 && op <= 0xdf);
    if (map == 1)
        return op == 0x05 || op == 0x34 || op == 0x0b || op == 0x38 || op == 0x3a;
    return op != 0xf0 && op != 0xf1 && op != 0xf6;
}

void encode_all(bool m64, unsigned density, void (*fn)(struct insn *))
{
    ZydisDecoderInit(&decoder, m64 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LEGACY_32,
                     m64 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
    /* What a processor without these extensions executes as a NOP. */
    ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
    ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
    ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
    next_cell = CODE;
    for (unsigned map = 0; map < 3; map++) {
        for (unsigned op = 0; op < 256; op++) {
            for (unsigned k = 0; k < 14 * 16 * density && !skip(m64, map, op); k++) {
                struct insn i = {.m64 = m64};
                build(&i, map, op, k >> 4, k >> 1 & 7, k & 1);
                offer(&i, fn);
            }
        }
    }
}
