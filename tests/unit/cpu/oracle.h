/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host processor as the oracle of the integer interpreter. One window of memory has the same
 * address in this process and in the guest, so that addresses, return addresses and rip-relative
 * operands are equal; one instruction is run natively and through the pre-decoder and block cache
 * from the same state. Must never run natively what encode.c has not declared harmless.
 */
#ifndef BULKHEAD_TESTS_UNIT_CPU_ORACLE_H
#define BULKHEAD_TESTS_UNIT_CPU_ORACLE_H

#include <stdbool.h>
#include <stdint.h>
#include <Zydis/Zydis.h>

#define WINDOW      0x1000000ul /* guest physical = guest linear = host address */
#define WINDOW_SIZE 0x1800000ul
#define CODE        WINDOW
#define CODE_SIZE   0x1700000ul
#define CELL        64u /* bytes of code per encoding, filled with INT3 */
#define CELL_ENTRY  24u /* where in the cell the instruction is */
#define DATA        (WINDOW + CODE_SIZE)
#define DATA_SIZE   0x8000u
#define CENTRE      (DATA + 0x4000) /* memory operands are around this page boundary */

#define FL_COMPARED 0xcd5u /* CF PF AF ZF SF DF OF */

struct state {
    uint64_t gpr[16];
    uint64_t rip;
    uint64_t rflags;
    int vector; /* of the exception that ended it; 3 = it ran into the INT3 after it */
};

struct insn {
    uint8_t bytes[16];
    unsigned len;
    uint64_t cell; /* address of its cell */
    bool m64;
    bool known; /* Zydis decodes it: in and ops are valid */
    ZydisDecodedInstruction in;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
};

/* Map the window at its address; `ram` is the guest's RAM, a shared mapping. */
void native_init(uint8_t *ram);
void native_run(struct state *s, bool m64);

void engine_init(void);
uint8_t *engine_ram(void);
void engine_mode(bool m64); /* user mode, flat, 64-bit or 32-bit code */
void engine_run(struct state *s);
uint64_t engine_gs_base(void);

/* Calls fn for every harmless encoding of the one- and two-byte maps and of 0F38F0/F1, placed in a
 * cell of its own. density = random operand forms per opcode and prefix. */
void encode_all(bool m64, unsigned density, void (*fn)(struct insn *));

/* A random state and random data on which the instruction stays inside the window. */
void operands_random(const struct insn *i, struct state *s);

uint64_t rnd(void);
void rnd_seed(uint64_t seed);

#endif
