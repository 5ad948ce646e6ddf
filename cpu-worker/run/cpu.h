/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vCPU as the interpreter sees it: hot state first, then the soft TLB, then the shared
 * architectural state (ipc/abi/vcpu-state.h). While the vCPU runs, general registers, rip and flags
 * live here; cpu_state_save/cpu_state_load move them to and from the shared page at pauses.
 */
#ifndef BULKHEAD_CPU_WORKER_RUN_CPU_H
#define BULKHEAD_CPU_WORKER_RUN_CPU_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include "ipc/abi/codepage.h"
#include "ipc/abi/machine-page.h"
#include "ipc/abi/vcpu-state.h"
#include "ipc/abi/xl.h"

struct cpu;
struct op;
struct block;
struct chipset;
struct team;

/* An operation handler: executes *o, returns the next operation, or NULL to leave the block (c->rip is
 * then the next instruction). A fault leaves through cpu_raise (longjmp): no state may have been
 * committed before the last access that can fault. */
typedef const struct op *(*op_fn)(struct cpu *c, const struct op *o);

enum { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
       REG_ZERO = 16,  /* always 0: absent base or index */
       REG_BLOCK = 17, /* rip of the block being executed: base of rip-relative operands */
       REG_COUNT = 18 };

struct op { /* 40 bytes */
    op_fn fn;
    uint64_t imm;   /* immediate, sign-extended; or private to the handler */
    int32_t disp;
    uint8_t dst;    /* register operands: GPR number (8-bit operands: byte offset into gpr[], so that */
    uint8_t src;    /* AH is 1), XMM/MMX/ST number, whatever the handler expects */
    uint8_t base, index, scale; /* memory operand: gpr[base] + (gpr[index] << scale) + disp + segbase */
    uint8_t seg;    /* enum abi_seg used for its base; ABI_SEG_FLAT where the base is 0 */
    uint8_t ea;     /* 0: 64-bit flat address arithmetic; else EA_* bits: ask cpu_ea_slow */
    uint8_t len;    /* bytes of the instruction */
    uint16_t off;   /* of the instruction from the block's first byte */
    uint16_t aux;   /* private to the handler */
    uint32_t next_off; /* off + len: where the next instruction starts, from the block's first byte */
    uint32_t aux2;
};
#define ABI_SEG_FLAT 8 /* segbase[8] == 0 for ever */
#define EA_16      1u  /* 16-bit address size */
#define EA_32      2u  /* 32-bit address size */
#define EA_LEGACY  4u  /* not 64-bit mode: check segment limit and type, wrap at 4 GiB */
#define EA_STACK   8u  /* faults are #SS */

#define TLB_SIZE ABI_XL_TLB_SIZE
#define TLB_INVALID (~0ull)

/* The second level: translations of several address spaces, pages of any size as one entry each. What a
 * page allows is kept as the tables say it; rights of the moment are applied when the first level is filled. */
#define TLB2_SIZE  4096u
#define TLB2_LARGE 512u
struct tlb2_entry {
    uint64_t tag;  /* virtual base | kind << 10 | generation (0: global) */
    uint64_t page; /* physical base | PAGE_* (mmu/walk.h) */
};

#define JC_SIZE 4096u /* jump cache entries */
struct jc_entry {
    uint64_t lip; /* linear address of the block's first byte */
    uint64_t key; /* cpu->jc_key at the time it was entered */
    struct block *block;
};

/* Flags of the guest while running: `fl` holds the six arithmetic flags exactly as the host produced
 * them: bit 0 = OF (SETO), bits 8-15 = AH of LAHF (SF ZF - AF - PF - CF). Everything else of RFLAGS
 * (DF, IF, TF, IOPL, NT, RF, VM, AC, ID, ...) is in `eflags`. */
#define FL_CF 0x0100u
#define FL_PF 0x0400u
#define FL_AF 0x1000u
#define FL_ZF 0x4000u
#define FL_SF 0x8000u
#define FL_OF 0x0001u

struct cpu {
    /* ---- as in struct abi_xl_frame, on which translated code is built (run/xl.c checks) ---- */
    uint64_t gpr[REG_COUNT];
    uint32_t fl;
    volatile uint32_t exit_request; /* set by any thread: look at cpu->work at the next boundary */
    uint64_t segbase[9];            /* enum abi_seg order, [8] = 0 */
    uint64_t eflags;
    uint64_t rip;                   /* valid outside blocks and at block ends */
    uint32_t ctx;                   /* TLB context: generation of the address space << 2 | CTX_* rights */
    uint32_t mode;                  /* MODE_*: what decoding depends on */
    uint64_t pgbase;                /* translated code: its page's first byte */
    uint64_t jc_key;                /* generation, context and mode: what a jump cache entry must match */
    struct abi_codepage *cp;
    uint32_t cp_seq, cp_nseq;       /* cp_seq_set */
    uint64_t tlb_mask, jc_mask, simd_dead;
    uint64_t xl_stub[ABI_XL_STUBS], xl_scratch[8], df_mask;
    /* the frame's spare words */
    uint64_t insns;                 /* retired instructions, whole blocks, without those of translated code */
    struct op *link_slot;           /* terminator slot waiting for its target block, or NULL */
    uint64_t link_lip;              /* linear address of the block that holds link_slot */
    struct abi_vcpu_state *s;       /* shared state: control registers, segments, FP, ... */
    uint32_t mem_user;              /* 1: data accesses are made with user rights */
    uint32_t cpl;
    struct xl *xl;                  /* translations, NULL: none */
    uint64_t xl_cold;               /* not 0: the next block is interpreted even if it has a translation */
    uint64_t frame_spare[1];
    uint64_t page_mask;
    /* The soft TLB's first level. The frame's tags are in translated code's own form. Host address = virtual
     * address + addend. */
    uint64_t xl_rtag[TLB_SIZE], xl_wtag[TLB_SIZE], xtag[TLB_SIZE];
    uintptr_t addend[TLB_SIZE];
    uint64_t xl_wnpage[ABI_XL_WINDOWS], xl_waddend[ABI_XL_WINDOWS]; /* abi_xl_windows_close */
    struct abi_xl_jc xl_jc[ABI_XL_JC_SIZE];
    uint64_t xl_slot[ABI_XL_SLOTS];
    /* ---- the end of the frame ---- */
    /* Tag = virtual page | context number, compared against the page of the last byte. */
    uint64_t rtag[TLB_SIZE], wtag[TLB_SIZE];
    struct jc_entry jc[JC_SIZE];
    /* cold */
    sigjmp_buf *unwind; /* where cpu_raise goes */
    struct {
        int vector;     /* pending exception, -1 none */
        uint32_t error;
        bool has_error;
    } exc;
    struct chipset *chipset;
    struct abi_machine_page *page;
    struct mmu_host *mem;
    unsigned index;
    uint32_t asid_next, asid_age, asid_cur;
    struct { uint32_t pcid, gen, age; } asid[8];
    volatile uint32_t intr_wake; /* futex word for HLT */
    volatile uint32_t pause_req; /* any thread: park at the next boundary */
    uint64_t lg_filter; /* 1 GiB regions (hashed) with pieces of large pages that left tlb2_large */
    uint32_t tlb2_kinds; /* which kinds of pages tlb2_large may hold; << 4: which are global */
    uint8_t allow[3][8]; /* [CTX_*][PAGE_W | PAGE_U | PAGE_NX]: ALLOW_* under the current control registers */
    bool rmw_alone;      /* in an exclusive section of mmu_rmw_slow */
    uint8_t va_shift;    /* 64 - bits of a linear address: 16, or 7 with CR4.LA57 */
    uint64_t cr4_mask;   /* bits of CR4 this processor has */
    uint64_t jc_gen;
    bool jc_global;      /* supervisor code is looked for among global pages, whatever the address space */
    uint32_t jc_strange; /* blocks of supervisor code that were not in one */
    uint64_t tlb_gpa[TLB_SIZE]; /* guest physical page of each entry; bit 0: piece of a large page, bit 1: global */
    uint8_t *tlb_host_x[TLB_SIZE]; /* host page for fetches */
    struct tlb2_entry tlb2[TLB2_SIZE], tlb2_large[TLB2_LARGE];
    struct block_cache *blocks;
    bool delivering;            /* an event is being delivered: exceptions combine */
    int deliver_vector;
    bool shutdown;
    const char *internal_error; /* what the vCPU cannot do, or NULL */
    unsigned soft_len;          /* length of the INT instruction being delivered */
    uint32_t cs_tight;          /* CS ends inside a page: straight-line code is checked one by one */
    uint32_t dbg_armed;         /* DBG_*: kinds of breakpoints that are enabled */
    uint32_t dbg_hit;           /* DR6 bits of the data and I/O breakpoints the instruction touched */
    uint32_t sweep_req;         /* another thread asks for tlb_protect_display */
    uint32_t flush_req;         /* another thread asks for tlb_flush_all */
    uint64_t tsc_ratio;         /* guest ticks per host tick, times 2^32; 0: the same rate */
    uint32_t vendor;            /* enum abi_cpu_vendor: whose documented behaviour */
    uint32_t feat[ABI_CPU_WORDS]; /* model.feat: cpu_has */
    struct abi_cpu_model model; /* checked copy of page->cpu */
    struct team *team;
    uint64_t unsettled; /* newest own mark that other vCPUs may not have obeyed, 0 none: team_unsettled */
    volatile uint32_t asleep;   /* waits on intr_wake */
    uint32_t pauses;            /* PAUSE since the processor was last offered to others */
    uint32_t mwait;             /* MWAIT_*: waits for a store to the monitored line (run/watch.h) */
    bool watch_armed, watch_exact;
    uint32_t watch_store_len;   /* a locked store to a watched page is not told yet, at watch_store */
    uint64_t watch_store, watch_page, watch_mark;
    uint64_t mwait_until;       /* guest TSC */
    uint8_t watch_line[64];
};

/* Is the feature advertised? Decides what is #UD, #GP or reserved. */
static inline bool cpu_has(const struct cpu *c, enum cpu_feature f)
{
    return abi_cpu_has(c->feat, f);
}

/* Rights of data accesses, the low bits of ctx and of the tags. CTX_CHECK is in no tag: every access then
 * takes the slow path, which checks alignment. Fetches know only the first two. */
#define CTX_SYSTEM 0u /* supervisor; with SMAP, user pages are out of reach */
#define CTX_USER   1u
#define CTX_AC     2u /* supervisor with EFLAGS.AC under SMAP */
#define CTX_CHECK  3u /* user with alignment checks (CR0.AM and EFLAGS.AC) */
#define CTX_FETCH(ctx) ((ctx) & ~2u)

static inline void cp_seq_set(struct cpu *c, uint32_t seq)
{
    c->cp_seq = seq;
    c->cp_nseq = -seq;
}

/* What decoded code depends on. */
#define MODE_64   0x01u /* CS.L in IA-32e mode */
#define MODE_CS32 0x02u /* CS.D */
#define MODE_SS32 0x04u /* SS.B */
#define MODE_PE   0x08u /* protected (not real, not VM86) */
#define MODE_VM86 0x10u
#define MODE_USER 0x20u /* CPL 3 */
#define MODE_LMA  0x40u
#define MODE_EM   0x80u  /* CR0.EM */
#define MODE_TS   0x100u /* CR0.TS: FP and SIMD raise #NM */
#define MODE_TF   0x200u
#define MODE_OSFXSR 0x400u
#define MODE_AVX  0x800u /* CR4.OSXSAVE, and XCR0 has SSE and AVX */
#define MODE_SMM  0x1000u /* sees SMRAM: the same address may be other code */
#define MODE_BITS 13u

/* intr_shadow: no interrupt before the next instruction ends; after a load of SS no debug trap either. */
enum { SHADOW_STI = 1, SHADOW_SS = 2 };

/* Exceptions: never return. The faulting instruction is o: rip = gpr[REG_BLOCK] + o->off. */
void cpu_raise(struct cpu *c, const struct op *o, int vector) __attribute__((noreturn));
void cpu_fp_error(struct cpu *c, const struct op *o); /* an x87 error is pending; returns if the board ignores it */
void cpu_fp_cleared(struct cpu *c);                   /* none is any more */
void cpu_raise_err(struct cpu *c, const struct op *o, int vector, uint32_t error)
    __attribute__((noreturn));
void cpu_raise_pf(struct cpu *c, const struct op *o, uint64_t va, uint32_t error)
    __attribute__((noreturn));

enum { VEC_DE, VEC_DB, VEC_NMI, VEC_BP, VEC_OF, VEC_BR, VEC_UD, VEC_NM, VEC_DF, VEC_TS = 10, VEC_NP,
       VEC_SS, VEC_GP, VEC_PF, VEC_MF = 16, VEC_AC, VEC_MC, VEC_XM };

/* The bits above the linear address repeat its top bit (SDM volume 1, 3.3.7.1). */
static inline bool cpu_canonical(const struct cpu *c, uint64_t va)
{
    return (uint64_t)((int64_t)(va << c->va_shift) >> c->va_shift) == va;
}
/* The time-stamp counter as the guest reads it. */
static inline uint64_t cpu_guest_tsc(const struct cpu *c)
{
    uint64_t host = __builtin_ia32_rdtsc();
    if (__builtin_expect(c->tsc_ratio != 0, 0))
        host = (uint64_t)((unsigned __int128)host * c->tsc_ratio >> 32);
    return host + c->s->tsc_offset;
}

/* RFLAGS as the guest sees them, and setting all of them. */
uint64_t cpu_rflags(const struct cpu *c);
void cpu_set_rflags(struct cpu *c, uint64_t v);

#endif
