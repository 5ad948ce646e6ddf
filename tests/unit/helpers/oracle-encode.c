/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enumerates the encodings the tests run over: the two- and three-byte opcode maps with every
 * mandatory prefix, and the x87 opcodes. Offers only what simd_decode accepts.
 */
#include "tests/unit/helpers/oracle.h"

#include <cpuid.h>
#include <string.h>
#include <Zydis/Zydis.h>

static ZydisDecoder decoder;

static bool uses_stack_pointer(const struct insn *i)
{
    const char *operands = strchr(insn_name(i), ' ');
    return operands && strstr(operands, "sp");
}

static void special_rules(struct insn *i, ZydisMnemonic mn)
{
    i->fix_mxcsr = mn == ZYDIS_MNEMONIC_FXRSTOR || mn == ZYDIS_MNEMONIC_FXRSTOR64;
    if (mn == ZYDIS_MNEMONIC_FXSAVE || mn == ZYDIS_MNEMONIC_FXSAVE64) {
        i->skip_from = 6; /* opcode and pointers: an Intel processor may leave them out */
        i->skip_to = 24;
    }
}

/* A CPUID bit of the host: leaf, register (0 EAX .. 3 EDX), bit. The compilers' own names of the newer features
 * differ. */
static bool cpuid_bit(unsigned leaf, unsigned reg, unsigned bit)
{
    unsigned r[4] = {0};
    __get_cpuid_count(leaf, 0, &r[0], &r[1], &r[2], &r[3]);
    return r[reg] >> bit & 1;
}
static bool host_avx(void)
{
    return __builtin_cpu_supports("avx"); /* with the operating system's consent */
}
/* What is newer than SSE4.2 may be missing on the host. */
static bool host_has(ZydisISASet set)
{
    switch (set) {
    case ZYDIS_ISA_SET_AES:
        return cpuid_bit(1, 2, 25);
    case ZYDIS_ISA_SET_PCLMULQDQ:
        return cpuid_bit(1, 2, 1);
    case ZYDIS_ISA_SET_SHA:
        return cpuid_bit(7, 1, 29);
    case ZYDIS_ISA_SET_AVXAES:
        return host_avx() && cpuid_bit(1, 2, 25);
    case ZYDIS_ISA_SET_AVX:
        return host_avx();
    case ZYDIS_ISA_SET_AVX2:
    case ZYDIS_ISA_SET_AVX2GATHER:
        return host_avx() && cpuid_bit(7, 1, 5);
    case ZYDIS_ISA_SET_FMA:
        return host_avx() && cpuid_bit(1, 2, 12);
    case ZYDIS_ISA_SET_F16C:
        return host_avx() && cpuid_bit(1, 2, 29);
    case ZYDIS_ISA_SET_GFNI:
        return cpuid_bit(7, 2, 8);
    case ZYDIS_ISA_SET_AVX_GFNI:
        return host_avx() && cpuid_bit(7, 2, 8);
    case ZYDIS_ISA_SET_VAES:
        return host_avx() && cpuid_bit(7, 2, 9);
    case ZYDIS_ISA_SET_VPCLMULQDQ:
        return host_avx() && cpuid_bit(7, 2, 10);
    case ZYDIS_ISA_SET_SSE4A:
        return cpuid_bit(0x80000001, 2, 6);
    case ZYDIS_ISA_SET_CLFLUSHOPT:
        return cpuid_bit(7, 1, 23);
    case ZYDIS_ISA_SET_CLWB:
        return cpuid_bit(7, 1, 24);
    default:
        return true;
    }
}

static void offer(struct insn *i, void (*fn)(struct insn *))
{
    ZydisDecodedInstruction in;
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, i->bytes, 15, &in)))
        return;
    i->len = in.length;
    if (in.meta.category == ZYDIS_CATEGORY_XSAVE || in.meta.category == ZYDIS_CATEGORY_XSAVEOPT)
        return; /* test-xsave.c */
    if (!emu_run(NULL, i) || uses_stack_pointer(i) || !host_has(in.meta.isa_set))
        return;
    special_rules(i, in.mnemonic);
    fn(i);
}

/* Escapes to other maps, and system calls, which simd_decode is not even asked about. */
static bool safe(unsigned map, unsigned opcode)
{
    static const uint8_t none[] = {0x05, 0x07, 0x0b, 0x34, 0x35, 0xa2, 0x31, 0x38, 0x3a};
    for (unsigned i = 0; i < sizeof(none); i++) {
        if (map == 0 && none[i] == opcode)
            return false;
    }
    return true;
}

/* form 0..7: a register operand, ModRM.reg = form; 8..15: [rsi+disp8] */
static void build(struct insn *i, uint8_t prefix, uint8_t rex, unsigned map, unsigned opcode,
                  unsigned form, uint8_t imm)
{
    static const uint8_t disps[] = {0x10, 0x10, 0x10, 0x11, 0x18};
    unsigned n = 0;
    memset(i, 0, sizeof(*i));
    if (prefix)
        i->bytes[n++] = prefix;
    if (rex)
        i->bytes[n++] = form < 8 ? rex : rex & ~1; /* the base stays RSI */
    i->bytes[n++] = 0x0f;
    if (map)
        i->bytes[n++] = map == 1 ? 0x38 : 0x3a;
    i->bytes[n++] = (uint8_t)opcode;
    if (form < 8) {
        i->bytes[n++] = (uint8_t)(0xc0 | form << 3 | (rnd() & 7));
    } else {
        i->bytes[n++] = (uint8_t)(0x46 | (form & 7) << 3);
        i->bytes[n++] = disps[rnd() % 5];
    }
    i->bytes[n++] = imm;
}

static const uint8_t prefixes[] = {0, 0x66, 0xf3, 0xf2}, rexes[] = {0, 0x48, 0x45};

void encode_init(void)
{
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
}

void encode_simd(void (*fn)(struct insn *))
{
    struct insn i;
    for (unsigned map = 0; map < 3; map++) {
        for (unsigned opcode = 0; opcode < 256; opcode++) {
            for (unsigned k = 0; k < 12 * 16 && safe(map, opcode); k++) {
                build(&i, prefixes[k & 3], rexes[k / 4 % 3], map, opcode, k / 12,
                      (uint8_t)(rnd() >> 40));
                offer(&i, fn);
            }
        }
    }
}

static void all_immediates(unsigned map, unsigned opcode, void (*fn)(struct insn *))
{
    struct insn i;
    for (unsigned k = 0; k < 4 * 16; k++) {
        for (unsigned imm = 0; imm < 256; imm++) {
            build(&i, prefixes[k & 3], 0, map, opcode, k / 4, (uint8_t)imm);
            offer(&i, fn);
        }
    }
}

void encode_immediates(void (*fn)(struct insn *))
{
    static const uint8_t two_byte[] = {0x70, 0x71, 0x72, 0x73, 0xc2, 0xc4, 0xc5, 0xc6};
    for (unsigned i = 0; i < sizeof(two_byte); i++)
        all_immediates(0, two_byte[i], fn);
    for (unsigned opcode = 0; opcode < 256; opcode++)
        all_immediates(2, opcode, fn);
}

bool host_has_xsavec(void)
{
    unsigned a = 0, b, c, d;
    return __get_cpuid_count(0xd, 1, &a, &b, &c, &d) && (a & 2);
}

bool host_is_amd(void)
{
    return __builtin_cpu_is("amd");
}

/* form 0..7: a register operand, ModRM.reg = form; 8..11: [rsi+disp8]; 12..15: [rsi+index+disp8] */
static void build_vex(struct insn *i, unsigned map, unsigned opcode, unsigned k, uint8_t imm)
{
    static const uint8_t disps[] = {0x10, 0x10, 0x20, 0x11, 0x18};
    unsigned pp = k & 3, form = k >> 4 & 15;
    uint64_t r = rnd();
    unsigned vvvv = r & 3 ? 15 : (unsigned)(r >> 8 & 15), n = 0;
    memset(i, 0, sizeof(*i));
    i->bytes[n++] = 0xc4;
    i->bytes[n++] = (uint8_t)(0x40 | map | (r & 0x10 ? 0x80 : 0) | (form >= 8 || r & 0x20 ? 0x20 : 0));
    if (r & 4)
        vvvv = (unsigned)(r >> 8 & 15);
    i->bytes[n++] = (uint8_t)((k & 8 ? 0x80 : 0) | vvvv << 3 | (k & 4) | pp);
    i->bytes[n++] = (uint8_t)opcode;
    if (form < 8) {
        i->bytes[n++] = (uint8_t)(0xc0 | form << 3 | (r >> 16 & 7));
    } else {
        i->bytes[n++] = (uint8_t)((form < 12 ? 0x46 : 0x44) | (form & 7) << 3);
        if (form >= 12)
            i->bytes[n++] = 0x06 | 5 << 3; /* index 5: RBP or YMM5 */
        i->bytes[n++] = disps[r >> 20 & 0xff ? (r >> 24) % 5 : 0];
    }
    i->bytes[n++] = imm;
}

/* General index registers hold anything, so only gathers take the form with an index. */
static bool vsib_rules(struct insn *i, unsigned k)
{
    ZydisDecodedInstruction in;
    bool gather = ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, i->bytes, 15, &in)) &&
                  (in.meta.isa_set == ZYDIS_ISA_SET_AVX2GATHER);
    if (gather) /* bit 0 of the opcode: 64-bit indexes */
        i->vsib = 6 | (i->bytes[3] & 1 ? 0x100 : 0);
    return gather == (k >> 4 >= 12);
}

void encode_vex(void (*fn)(struct insn *))
{
    struct insn i;
    for (unsigned map = 1; map <= 3; map++) {
        for (unsigned opcode = 0; opcode < 256; opcode++) {
            for (unsigned k = 0; k < 256 * 4; k++) {
                build_vex(&i, map, opcode, k & 255, (uint8_t)(rnd() >> 40));
                if (vsib_rules(&i, k & 255))
                    offer(&i, fn);
            }
        }
    }
}

void encode_vex_immediates(void (*fn)(struct insn *))
{
    static const uint8_t in_map1[] = {0x70, 0x71, 0x72, 0x73, 0xc2, 0xc4, 0xc5, 0xc6};
    struct insn i;
    for (unsigned n = 0; n < 256 + sizeof(in_map1); n++) {
        unsigned map = n < 256 ? 3 : 1, opcode = n < 256 ? n : in_map1[n - 256];
        for (unsigned k = 0; k < 192; k++) {
            for (unsigned imm = 0; imm < 256; imm++) {
                build_vex(&i, map, opcode, k, (uint8_t)imm);
                offer(&i, fn);
            }
        }
    }
}

/* The environment's pointers and opcode are not compared: the host may not record them. */
static void environment_rules(struct insn *i, uint8_t op, unsigned reg, bool short_env)
{
    if ((op == 0xd9 || op == 0xdd) && reg == 6) {
        i->skip_from = short_env ? 6 : 12;
        i->skip_to = short_env ? 14 : 28;
    }
}

static void x87_memory(uint8_t op, void (*fn)(struct insn *))
{
    for (unsigned k = 0; k < 16; k++) {
        struct insn i = {.len = 0};
        unsigned n = 0;
        if (k & 8)
            i.bytes[n++] = 0x66;
        i.bytes[n++] = op;
        i.bytes[n++] = (uint8_t)(0x46 | (k & 7) << 3);
        i.bytes[n++] = 0x10;
        environment_rules(&i, op, k & 7, k & 8);
        offer(&i, fn);
    }
}

void encode_x87(void (*fn)(struct insn *))
{
    struct insn wait = {.bytes = {0x9b}};
    for (unsigned op = 0xd8; op <= 0xdf; op++) {
        x87_memory((uint8_t)op, fn);
        for (unsigned modrm = 0xc0; modrm < 0x100; modrm++) {
            struct insn i = {.bytes = {(uint8_t)op, (uint8_t)modrm}};
            offer(&i, fn);
        }
    }
    offer(&wait, fn);
}
