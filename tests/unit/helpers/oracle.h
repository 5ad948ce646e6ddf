/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host processor as the oracle of the SIMD helpers: one instruction is run natively and through
 * simd_decode + handler from the same state, and everything it may change is compared. Must never
 * run an instruction natively that simd_decode did not accept.
 */
#ifndef BULKHEAD_TESTS_UNIT_HELPERS_ORACLE_H
#define BULKHEAD_TESTS_UNIT_HELPERS_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

#define ORACLE_MEM 4096u /* bytes an instruction may use; RSI and RDI point to the middle */

/* FXSAVE64 image */
struct fx_image {
    uint16_t fcw, fsw;
    uint8_t ftw, r0;
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mask;
    struct {
        uint64_t mant;
        uint16_t se, pad[3];
    } st[8];
    uint64_t xmm[16][2];
    uint8_t rest[96];
} __attribute__((aligned(16)));

struct machine {
    struct fx_image fx;
    uint64_t high[16][2]; /* upper halves of the YMM registers */
    uint32_t env[7];      /* FNSTENV; all ones after a fault, which it is not taken from */
    uint64_t gpr[16];
    uint64_t rflags;
    uint8_t *mem; /* ORACLE_MEM bytes; the same address for both runs */
    int vector;   /* -1, or the exception it ended with */
};

struct insn {
    uint8_t bytes[16];
    unsigned len;
    unsigned skip_from, skip_to; /* bytes of the memory operand that are not compared */
    unsigned vsib;               /* index register of a gather + 1, 0 if it is none */
    void (*prepare)(uint8_t *p); /* of an image at [RSI + prepare_at], whose masks are RAX and RDX */
    unsigned prepare_at;
    bool fix_mxcsr;              /* the memory operand is an FXSAVE image */
};

/* Both run `i` on the state in m and leave the result there. mem is read and written in place. */
void native_init(void);
void native_run(struct machine *m, const struct insn *i);
void emu_init(void);
/* False: simd_decode does not know it. m may be NULL to ask only that. */
bool emu_run(struct machine *m, const struct insn *i);
/* The state as an instruction that does nothing would leave it. */
void emu_reread(struct machine *m);
/* The vector the instruction raises under `mode`, -1 none, -2 not decoded. */
int emu_gate(const struct insn *i, uint32_t mode, uint64_t cr0);

/* Runs `i` on the state in m with no memory mapped at all: every access is a page fault. */
bool emu_run_unmapped(struct machine *m, const struct insn *i);

/* Calls fn for each encoding that simd_decode accepts: maps 0F, 0F38, 0F3A with one immediate each;
 * all 256 immediates of those that have one; D8..DF and FWAIT. */
void encode_init(void);
void encode_simd(void (*fn)(struct insn *));
void encode_immediates(void (*fn)(struct insn *));
void encode_x87(void (*fn)(struct insn *));
/* VEX maps 1 to 3, registers and memory; and all immediates of those that have one. */
void encode_vex(void (*fn)(struct insn *));
void encode_vex_immediates(void (*fn)(struct insn *));
bool host_is_amd(void);
bool host_has_xsavec(void);

uint64_t rnd(void);
void rnd_seed(uint64_t seed);
/* Random bits that are often special numbers of all the formats. */
void rnd_fill(void *p, unsigned bytes);
void rnd_x87(uint64_t *mant, uint16_t *se);
/* A random state. fp_masks: allow unmasked exceptions; sse_controls: rounding, DAZ, FTZ. */
void rnd_machine(struct machine *m, bool unmasked, bool controls);

/* Compares everything; prints the differences under `name` (NULL: not) and returns false. */
bool machine_same(const char *name, const struct insn *i, const struct machine *before,
                  const struct machine *native, const struct machine *emu,
                  const uint8_t *mem_native, const uint8_t *mem_emu);

/* Runs instruction i natively and emulated `rounds` times; counts failures (at most 3 reported). */
unsigned oracle_compare(const char *name, const struct insn *i, unsigned rounds, bool unmasked);
const char *insn_name(const struct insn *i);

#endif
