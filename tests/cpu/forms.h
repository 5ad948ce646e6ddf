/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every form of every instruction the pre-decoder accepts, run on the host and in the interpreter from the
 * same state. Owns what the parts of the program share; must never hold instruction semantics.
 */
#ifndef BULKHEAD_TESTS_CPU_FORMS_H
#define BULKHEAD_TESTS_CPU_FORMS_H

#include <stdbool.h>
#include <stdint.h>
#include <Zydis/Zydis.h>

/* One window of memory at the same address in this process and in the guest (physical = linear). */
#define WINDOW    0x1000000ul
#define CODE      WINDOW /* read and execute */
#define CODE_HOLE (CODE + 0x7000) /* not mapped: an instruction may run into it */
#define CODE_END  (CODE + 0x9000)
#define DATA      (WINDOW + 0x10000)
#define DATA_A    DATA            /* two pages to read and write */
#define DATA_HOLE (DATA + 0x2000) /* not mapped */
#define DATA_B    (DATA + 0x3000) /* one page to read and write */
#define DATA_RO   (DATA + 0x4000) /* one page to read only */
#define DATA_SIZE 0x5000u
#define CENTRE    (DATA + 0x1000) /* boundary of two pages that are there */
#define SAVE      (WINDOW + 0x40000) /* this process only: states and the way back */
#define WINDOW_SIZE 0x200000ul
#define GS_BASE   0x3000ul

#define CELL       64u
#define CELL_ENTRY 24u
#define ENCODINGS  48u /* cells of one form, and three at page edges */

#define FL_COMPARED 0xcd5u /* CF PF AF ZF SF DF OF */
#define FPU_PARTS   7u     /* x87, SSE, AVX */

struct fpu { /* XSAVE image, standard format */
    uint16_t fcw, fsw;
    uint8_t ftw, r0;
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mask;
    struct {
        uint64_t mant;
        uint16_t se, pad[3];
    } st[8];
    uint8_t xmm[16][16];
    uint8_t rest[96];
    uint64_t xstate_bv, xcomp_bv, reserved[6];
    uint8_t ymmh[16][16];
} __attribute__((aligned(64)));

struct state {
    struct fpu fpu;
    uint64_t gpr[16], rip, rflags, cr2;
    int vector; /* of the fault; -1: the next instruction was reached */
    uint32_t error;
};

/* An encoding's recipe: what stays when its operands are drawn again. */
struct shape {
    bool m64, vex, reg_form;
    uint8_t prefix, w, map, opcode, pp, l, reg, rm;
};
struct insn {
    uint8_t bytes[16];
    unsigned len;
    uint64_t at; /* where its first byte is */
    bool m64, branch, rep;
    uint32_t refused; /* LOCK before what cannot be locked: map and opcode, else 0 */
    ZydisDecodedInstruction in;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
};

enum group { G_INTEGER, G_BRANCH, G_STRING, G_BIT, G_SYSTEM, G_X87, G_MMX, G_SSE, G_AVX, G_CRYPTO, G_N };
#define SHAPES 8
struct form {
    uint64_t key;
    char name[64];
    enum group group;
    bool m64, fp;
    bool refused; /* #UD, not an instruction */
    bool listed; /* not for this process to run */
    const char *cover; /* test of what user mode cannot show, or NULL */
    ZydisMnemonic mnemonic;
    struct shape shape[SHAPES];
    unsigned shapes;
    unsigned cases, differ;
};

/* enumerate.c */
struct form *forms_all(unsigned *n);
bool shape_build(const struct shape *s, struct insn *i, bool fixed_reg);
bool shape_decode(struct insn *i);
uint64_t form_key(const struct insn *i);
/* encode.c: draw an encoding of the form and put it into the cell that starts at `at`. */
bool encoding_random(const struct form *f, struct insn *i, uint64_t at);
void cells_clear(void);
/* operands.c */
void operands_random(const struct form *f, const struct insn *i, struct state *s);
/* images.c: what XSAVE, FXSAVE and their like are given; nothing for other instructions. */
void image_components(const struct insn *i, struct state *s); /* only those both processors have or lack */
void image_random(const struct insn *i, uint64_t at);
/* random.c */
uint64_t rnd(void);
void rnd_seed(uint64_t seed);
void rnd_fill(void *p, unsigned bytes);
void rnd_fpu(struct fpu *f);
/* native.c */
void native_init(uint8_t *ram);
void native_run(struct state *s, const struct insn *i);
uint64_t native_extra_state(void); /* components of XCR0 beyond those of the guest */
/* engine.c */
void engine_init(void);
uint8_t *engine_ram(void);
void engine_mode(bool m64);
void engine_flush(void);
void engine_run(struct state *s, const struct insn *i);
uint32_t engine_mxcsr_mask(void);
bool engine_accepts(const struct insn *i);
void engine_describe(uint32_t *mode, uint32_t *vendor, uint32_t *feat);
/* translated.c: the instruction as translated code. NONE: it is not translated; LEFT: the translation left it to
 * the interpreter (a fault, a branch whose target was not at hand); both times the interpreter has executed it. */
enum translated_how { TR_NONE, TR_LEFT, TR_DONE };
bool translated_init(void); /* false: not on this host */
enum translated_how translated_run(struct state *s, const struct insn *i, const struct state *host,
                                   const uint8_t *mem_before);
void translated_forget(void); /* the code at the cell has changed */
bool translated_fault(void *ucontext);
/* Code of n instructions in len bytes at s->rip; false: none of it is translated. s becomes the state where it stops. */
bool translated_block(struct state *s, unsigned n, unsigned len);
/* blocks.c: random blocks against the interpreter; the number of those that differ. */
unsigned blocks_run(const struct form *forms, unsigned count, unsigned blocks);
/* compare.c: what may be compared of this instruction; prints and returns false on a difference. */
bool states_same(const struct insn *i, const struct state *before, struct state *host, struct state *ours,
                 const uint8_t *mem_before, const uint8_t *mem_host, const uint8_t *mem_ours, bool print);
const char *insn_text(const struct insn *i);
/* cover.c: instructions user mode cannot compare, and the test of the tree that covers each. */
const char *cover_of(ZydisMnemonic m);
bool cover_listed(const struct insn *i, const char **file); /* not to be run here; *file: NULL or its test */
bool cover_check(const char *source_root, bool (*used)(ZydisMnemonic m));

#endif
