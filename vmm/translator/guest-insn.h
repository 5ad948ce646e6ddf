/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest instruction as the generator sees it: what Zydis found, reduced to the fields that are encoded again.
 * Owns the only use of Zydis in the translator; must never emit anything.
 */
#ifndef BULKHEAD_VMM_TRANSLATOR_GUEST_INSN_H
#define BULKHEAD_VMM_TRANSLATOR_GUEST_INSN_H

#include <stdbool.h>
#include <stdint.h>
#include <Zydis/Zydis.h>
#include "ipc/abi/xl.h"

enum { G_RAX, G_RCX, G_RDX, G_RBX, G_RSP, G_RBP, G_RSI, G_RDI };

/* A linear address before it is known: [seg + base + index * scale + disp], or relative to pgbase. */
struct gea {
    int8_t base, index; /* guest registers, -1: none */
    uint8_t scale;
    int8_t seg;         /* ABI_FS, ABI_GS, or -1 */
    bool rip, a32;
    int64_t disp;
};

enum field_class { F_NONE, F_GPR, F_GPR8H, F_VECTOR, F_OTHER }; /* GPR8H: AH CH DH BH, by number 0-3 */
struct field { /* a register number in the encoding */
    uint8_t class, num;
    uint16_t bits;
    bool rd, wr;
};

struct ginsn {
    uint16_t mn;         /* ZydisMnemonic */
    uint8_t len, opsize; /* bytes; bits of the operation */
    uint16_t off;        /* from pgbase */
    uint16_t isa;        /* ZydisISASet */
    uint8_t bytes[15];
    bool vex, p66, lock, p67;
    uint8_t rep;         /* last of F2H, F3H, or 0 */
    bool rep_string;     /* rep means repetition */
    uint8_t map, op, w, pp, l;
    bool modrm;
    struct field reg, rm, v, opreg; /* ModRM.reg, ModRM.rm when a register, VEX.vvvv, low bits of the opcode */
    uint8_t raw_vvvv;
    bool mem;            /* ModRM.rm is memory */
    bool mem_rd, mem_wr;
    uint8_t reg_num;     /* ModRM.reg as number when it is no register (part of the opcode) */
    uint16_t mem_size;   /* bytes */
    struct gea ea;
    uint8_t imm_len, imm_at;
    int64_t imm;         /* first immediate, sign-extended if it is signed */
    bool relative;       /* imm is a branch displacement */
    bool implicit_mem;   /* a memory operand that is not ModRM's */
    bool mmx, x87;       /* uses that state */
    bool simd;           /* uses vector registers or MXCSR */
    uint32_t fl_read, fl_write; /* ZYDIS_CPUFLAG_* among CF PF AF ZF SF OF; write: always, to defined values */
    bool fl_any;         /* may write some */
    uint16_t writes;     /* guest registers it may write */
};
#define ARITH_FLAGS \
    ((uint32_t)(ZYDIS_CPUFLAG_CF | ZYDIS_CPUFLAG_PF | ZYDIS_CPUFLAG_AF | ZYDIS_CPUFLAG_ZF | ZYDIS_CPUFLAG_SF | \
                ZYDIS_CPUFLAG_OF))

/* False: not an instruction, or not all of it in the bytes. */
bool ginsn_decode(struct ginsn *g, const uint8_t *bytes, unsigned avail, uint32_t off);
/* The features allow it, and the state it uses is one that translations carry (no x87, MMX). */
bool ginsn_allowed(const struct ginsn *g, const struct abi_xl_in *in);

#endif
