/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the generator share while one block is translated. Internal to vmm/translator.
 */
#ifndef BULKHEAD_VMM_TRANSLATOR_GEN_H
#define BULKHEAD_VMM_TRANSLATOR_GEN_H

#include "vmm/translator/emit.h"
#include "vmm/translator/guest-insn.h"
#include "vmm/translator/plan.h"

#define AT(FIELD) offsetof(struct abi_xl_frame, FIELD)
#define GS(FIELD) rm_gs(AT(FIELD))
#define GS_GPR(G) rm_gs(AT(gpr) + (size_t)(G) * 8)
#define GS_STUB(S) rm_gs(AT(stub) + (size_t)(S) * 8)

/* Code that is rarely reached, emitted after the block. */
enum cold_kind { COLD_MISS, COLD_LEAVE, COLD_OUT, COLD_POLL, COLD_JUMP, COLD_JUMP_KEY, COLD_CALL,
                 COLD_CALL_KEY };
struct cold {
    uint8_t kind, insn;
    bool twin;      /* it belongs to the twin */
    bool looked;    /* MISS: of the TLB itself, there is no window to fill */
    bool to_twin;   /* MISS: what cannot be done for the group is tried one by one */
    uint32_t from;  /* displacement that leads here */
    uint32_t retry; /* MISS */
    uint32_t word;  /* MISS: for the stub. POLL: offset. LEAVE, OUT: enum abi_xl_why */
    uint32_t off;   /* LEAVE: where. JUMP: where the branch is; word: what it adds to rsp */
    struct gea ea;  /* MISS */
};
#define COLD_MAX 512u

struct gen {
    const struct abi_xl_in *in;
    struct abi_xl_out *out;
    struct emit e;
    uint32_t cold_at, cold_room; /* where the cold part goes; 0: behind the rest */
    uint32_t hot_len;
    struct ginsn g[ABI_XL_INSN_MAX];
    unsigned n;              /* decoded */
    unsigned at;             /* being emitted */
    unsigned sub;            /* number of its next access */
    uint32_t here;           /* offset of what is being emitted: its instruction, or the end of the block */
    struct plan plan;
    bool twin;               /* the twin is being emitted: the same block with every access checked by itself */
    bool twin_wanted;
    int poll_at;             /* the block polls before this instruction; -1: before its branch, if that needs it */
    uint32_t start[ABI_XL_INSN_MAX]; /* host offsets of instructions already emitted */
    uint32_t twin_entry[ABI_XL_INSN_MAX]; /* of the twin, behind what saves flags */
    uint32_t pad[ABI_XL_INSN_MAX];   /* host offset of the instruction's way out, 0 if not emitted yet */
    uint32_t refill[2];      /* host offsets of the block's own routines for loads and stores, 0 */
    struct cold cold[COLD_MAX];
    unsigned colds;
    uint8_t fault_insn[ABI_XL_FAULT_MAX]; /* of out->fault[] */
    bool fault_twin[ABI_XL_FAULT_MAX];
    int cached;              /* guest register of r8-r11 that host r10 holds, too, all through the block; or -1 */
    int cached2;             /* one that host r9 holds, in a block that does not access memory */
    int8_t temp[4];          /* host registers of guest r8-r11 inside one instruction, -1 */
    uint8_t temps_free;      /* bit per host register */
};

int gen_host(const struct gen *t, int guest); /* host register, or -1: in the frame only */

/* address.c */
bool gen_flags_free(const struct gen *t);           /* the current instruction's checks may clobber flags */
void gen_address(struct gen *t, const struct gea *ea, unsigned d, unsigned tmp); /* linear address into d */
struct rm gen_access(struct gen *t, const struct gea *ea, unsigned size, bool write); /* checked; r9 is part of
                                                            the result, rcx and r10 are free */
void gen_fault_here(struct gen *t); /* the next host instruction may fault */
void gen_cold(struct gen *t, enum cold_kind kind, uint32_t from, uint32_t word);
void gen_colds_emit(struct gen *t);
/* registers.c: operands of one instruction, and the register kept in r10 */
void gen_cache_choose(struct gen *t, bool loop);
void gen_cache_load(struct gen *t);
void gen_written(struct gen *t, unsigned guest); /* its host register has a new value */
void gen_temps_begin(struct gen *t, unsigned free_mask);
int gen_temp(struct gen *t, unsigned guest, bool load); /* host register, or -1 */
unsigned gen_read(struct gen *t, unsigned guest, unsigned tmp); /* a host register that holds it: tmp if it has to be loaded */
/* operate.c, stack.c, branch.c: false = not translated after all, nothing may have been emitted */
bool gen_operate(struct gen *t, const struct ginsn *g);
void gen_simd_ready(struct gen *t); /* the guest's SIMD state is live from here on */
bool gen_lea(struct gen *t, const struct ginsn *g);
bool gen_moffs(struct gen *t, const struct ginsn *g);
bool gen_push(struct gen *t, const struct ginsn *g);
bool gen_pop(struct gen *t, const struct ginsn *g);
bool gen_leave(struct gen *t, const struct ginsn *g);
bool gen_string(struct gen *t, const struct ginsn *g);
bool gen_branch(struct gen *t, const struct ginsn *g);
void gen_go(struct gen *t, int64_t target); /* to an address relative to pgbase */
bool gen_branch_polls(const struct ginsn *g); /* its target may close a cycle */
void gen_poll(struct gen *t);                 /* leave before the current instruction if somebody wants the vCPU */
void gen_jump_emit(struct gen *t, const struct cold *c);
void gen_leave_at(struct gen *t, int64_t off, enum abi_xl_why why);
/* recipe.c: flags that the instruction left, made again from what is left of its operands */
bool gen_recipe_ok(const struct ginsn *g, uint16_t written); /* registers written since */
void gen_flags_make(struct gen *t, unsigned insn); /* as they have to be before it */
void gen_flags_save(struct gen *t);
bool gen_string_from(const struct ginsn *g);
bool gen_string_to(const struct ginsn *g);
/* classify.c */
enum gen_kind { K_NONE, K_NOP, K_COPY, K_OPERATE, K_LEA, K_MOFFS, K_PUSH, K_POP, K_LEAVE, K_STRING, K_BRANCH };
enum gen_kind gen_classify(const struct ginsn *g);

#endif
