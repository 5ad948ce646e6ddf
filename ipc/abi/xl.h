/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What translated code and the cpu-worker agree on: the frame that gs points at, which host register holds
 * which guest register, how translated code leaves, and what the code generator (vmm/translator) is given
 * and gives back. Owns the layout; must never hold policy (when to translate, what to keep).
 *
 * Guest registers while translated code runs:
 *   rax rbx rdx rsi rdi rbp r12-r15  the host register of the same name
 *   rcx = host r8, rsp = host r11, r8-r11 = frame gpr[8..11]
 *   arithmetic flags                 the host's flags, exact at every exit (DF is clear, AC and TF are too)
 *   XMM, YMM, MXCSR                  the host's, only while frame simd_dead is 0
 * Host rcx, r9 and r10 are scratch. Host rsp is the C stack of the vCPU's thread, aligned to 16 bytes.
 * gs base = the frame. The linear address of the guest's instruction is frame pgbase + a constant of the
 * translation: translations do not depend on the address their page is mapped at.
 *
 * Leaving. Every exit leaves the guest as it was before one instruction; nothing of it has been committed.
 *   jmp gs:[stub LEAVE]   ecx = offset of that instruction from pgbase (sign-extended), r10d = abi_xl_why.
 *                         Also every indirect or cross-page branch whose target is not in the jump cache:
 *                         the interpreter makes the branch.
 *   jmp gs:[stub POLL]    ecx likewise: exit_request or the code-page sequence wants attention there. The
 *                         instruction may have been executed before (a loop); it is the next to execute.
 *   call gs:[stub MISS]   r9 = linear address, ecx = abi_xl_miss word: fill the soft TLB for this access and return,
 *                         keeping everything but rcx and r9 (r10 and flags too, and SIMD state if it was
 *                         live). Returns rcx = 0: filled, or worth another try. Not 0: the access is not plain
 *                         memory (a fault, a device, a page with code or a watchpoint, two pages); the
 *                         translation then leaves.
 *   call gs:[stub SIMD]   load the guest's XMM, YMM and MXCSR, set simd_dead to 0; keeps everything but rcx.
 *   jmp gs:[slots + 8n]   ecx = n: to the translation the slot leads to. A slot that leads nowhere holds the
 *                         link stub: n says which exit of which translation it was (abi_xl_out.slot).
 *   jmp gs:[stub JUMP]    r9 = linear address, canonical, the next to execute: an indirect or cross-page branch that
 *                         is complete but for the jump, whose target is not in the jump cache.
 * A host fault inside a translation (#DE, #XM, #GP or #SS of an aligned operand or of an address that is not
 * canonical) happens at a host offset listed in the fault table: the worker's signal handler lets the thread
 * go on at the offset listed beside it, with all registers and flags as they were; the code there leaves.
 */
#ifndef BULKHEAD_IPC_ABI_XL_H
#define BULKHEAD_IPC_ABI_XL_H

#include <stddef.h>
#include <stdint.h>
#include "ipc/abi/cpu-features.h"
#include "ipc/abi/codepage.h"

/* Raised when generated code and the worker would no longer understand each other. */
#define ABI_XL_VERSION 2u

#define ABI_XL_TLB_SIZE 1024u
#define ABI_XL_JC_SIZE  4096u
#define ABI_XL_SLOTS    262144u
#define ABI_XL_WINDOWS  256u /* the first half for user code, the second for supervisor code */

/* First-level soft TLB. Index: page number of the first byte, modulo the size. Tag: of the last byte's page and
 * the context, rotated so that translated code can make it without touching flags (rorx by 60, then 16 bits
 * of the context over the offset and the four top bits; an address those four bits make different is not
 * canonical on the host either, and faults there). Host address = linear address + addend. */
#define ABI_XL_TLB_MASK    ((uint64_t)(ABI_XL_TLB_SIZE - 1) << 12) /* frame tlb_mask */
#define ABI_XL_TLB_INVALID 1ull /* as stored: no context is 0xffff, so no tag is its complement */
static inline uint64_t abi_xl_tag(uint64_t last_byte, uint32_t ctx)
{
    return ((last_byte << 4) & ~0xffffull) | (uint16_t)ctx;
}
/* rtag, wtag hold the tag negated: tag + stored == 0 is a hit. */

/* Jump cache of translated code: key equal to frame jc_key, lip to the linear address. Values negated. */
struct abi_xl_jc {
    uint64_t nlip, nkey;
    uint64_t tb;   /* host address of the translation's entry */
    uint64_t page; /* lip & ~0xfff: becomes pgbase */
};
#define ABI_XL_JC_MASK 0x3ffcull /* frame jc_mask */
static inline unsigned abi_xl_jc_index(uint64_t lip)
{
    return (unsigned)(lip >> 2) & (ABI_XL_JC_SIZE - 1);
}
/* nlip of an entry that is empty: the address it stands for is looked up elsewhere. */
static inline uint64_t abi_xl_jc_empty(unsigned index)
{
    return -(uint64_t)((index + 1) << 2);
}

enum abi_xl_stub { ABI_XL_LEAVE, ABI_XL_POLL, ABI_XL_MISS, ABI_XL_SIMD, ABI_XL_LINK, ABI_XL_JUMP, ABI_XL_STUBS = 16 };

/* Why LEAVE was taken: for counters. */
enum abi_xl_why {
    ABI_XL_WHY_INSN,     /* an instruction that is not translated */
    ABI_XL_WHY_BRANCH,   /* a branch whose target is not in the jump cache */
    ABI_XL_WHY_FAULT,    /* a host fault */
    ABI_XL_WHY_MEMORY,   /* MISS could not be made plain memory */
    ABI_XL_WHYS
};

/* ecx of MISS: size of the access in bytes, and whether it writes. */
#define ABI_XL_MISS_SIZE(w) ((w) & 0xffffu)
#define ABI_XL_MISS_WRITE   0x10000u
#define ABI_XL_MISS_AHEAD   0x20000u /* for later instructions too: fill only what may be stored to already (D set) */

struct abi_xl_frame {
    uint64_t gpr[18];               /* hardware numbers; [16] is 0, [17] the interpreter's */
    uint32_t fl;
    volatile uint32_t exit_request;
    uint64_t segbase[9];
    uint64_t eflags;
    uint64_t rip;
    uint32_t ctx;                   /* below 0xffff */
    uint32_t mode;
    uint64_t pgbase;                /* linear address of the page the running translation starts in */
    uint64_t jc_key;
    struct abi_codepage *cp;
    uint32_t cp_seq;
    uint32_t cp_nseq;               /* -cp_seq */
    uint64_t tlb_mask, jc_mask;     /* constants: ABI_XL_TLB_MASK, ABI_XL_JC_MASK */
    uint64_t simd_dead;             /* not 0: XMM, YMM and MXCSR are in the worker's memory */
    uint64_t stub[ABI_XL_STUBS];
    uint64_t scratch[8];            /* translated code's, inside one instruction */
    uint64_t df_mask;               /* constant: 0x400 */
    uint64_t spare[8];              /* the worker's */
    uint64_t page_mask;             /* constant: ~0xfff */
    uint64_t rtag[ABI_XL_TLB_SIZE], wtag[ABI_XL_TLB_SIZE], xtag[ABI_XL_TLB_SIZE];
    uint64_t addend[ABI_XL_TLB_SIZE];
    uint64_t wnpage[ABI_XL_WINDOWS], waddend[ABI_XL_WINDOWS];
    struct abi_xl_jc jc[ABI_XL_JC_SIZE];
    uint64_t slot[ABI_XL_SLOTS];
};
#define ABI_XL_AT(FIELD, OFFSET) _Static_assert(offsetof(struct abi_xl_frame, FIELD) == (OFFSET), "ABI")
ABI_XL_AT(gpr, 0);
ABI_XL_AT(fl, 144);
ABI_XL_AT(exit_request, 148);
ABI_XL_AT(segbase, 152);
ABI_XL_AT(eflags, 224);
ABI_XL_AT(rip, 232);
ABI_XL_AT(ctx, 240);
ABI_XL_AT(mode, 244);
ABI_XL_AT(pgbase, 248);
ABI_XL_AT(jc_key, 256);
ABI_XL_AT(cp, 264);
ABI_XL_AT(cp_seq, 272);
ABI_XL_AT(cp_nseq, 276);
ABI_XL_AT(tlb_mask, 280);
ABI_XL_AT(jc_mask, 288);
ABI_XL_AT(simd_dead, 296);
ABI_XL_AT(stub, 304);
ABI_XL_AT(scratch, 432);
ABI_XL_AT(df_mask, 496);
ABI_XL_AT(page_mask, 568);
ABI_XL_AT(rtag, 576);
ABI_XL_AT(wtag, 576 + 8192);
ABI_XL_AT(xtag, 576 + 2 * 8192);
ABI_XL_AT(addend, 576 + 3 * 8192);
ABI_XL_AT(wnpage, 576 + 4 * 8192);
ABI_XL_AT(waddend, 576 + 4 * 8192 + 2048);
ABI_XL_AT(jc, 576 + 4 * 8192 + 4096);
ABI_XL_AT(slot, 576 + 4 * 8192 + 4096 + 4096 * 32);

/* Windows: the page each place in translated code used last, filled by translated code itself from the soft TLB.
 * Even ones are for loads, odd ones for stores; user code has one half, supervisor code the other, so that a change
 * of CPL leaves both valid. What drops translations (a flush, INVLPG, a page that must not be stored to any more)
 * and a change of address space closes them all; an entry that only gives way to another in the TLB does not
 * matter. Translated code is not run with special rights (SMAP's AC, alignment checks). A closed window is of an
 * address that is not canonical: the host faults there. */
static inline void abi_xl_windows_close(struct abi_xl_frame *f)
{
    for (unsigned i = 0; i < ABI_XL_WINDOWS; i++)
        f->wnpage[i] = 0x8000000000000000ull;
}

/* Mode bits the generator looks at; the same values as in the worker's mode word (checked there). */
#define ABI_XL_MODE_64     0x01u
#define ABI_XL_MODE_CS32   0x02u
#define ABI_XL_MODE_PE     0x08u
#define ABI_XL_MODE_VM86   0x10u
#define ABI_XL_MODE_USER   0x20u
#define ABI_XL_MODE_EM     0x80u
#define ABI_XL_MODE_TS     0x100u
#define ABI_XL_MODE_TF     0x200u
#define ABI_XL_MODE_OSFXSR 0x400u
#define ABI_XL_MODE_AVX    0x800u

#define ABI_XL_SRC_MAX   1008u  /* guest bytes of one translation */
#define ABI_XL_INSN_MAX  64u
#define ABI_XL_CODE_MAX  24576u /* host bytes of one translation */
#define ABI_XL_SLOT_MAX  16u
#define ABI_XL_FAULT_MAX 512u

/* What the generator is given. Nothing of it is trusted. */
struct abi_xl_in {
    uint32_t mode;
    uint32_t page_off;  /* offset of the first byte in its page */
    uint32_t len;       /* bytes; one instruction may run over the page's end, if its bytes are given */
    uint32_t insns;     /* at most so many instructions */
    uint32_t slot_base; /* number of the first slot the translation may use */
    uint32_t vendor;    /* enum abi_cpu_vendor */
    uint32_t feat[ABI_CPU_WORDS]; /* advertised features: other instructions are left to the interpreter */
};
struct abi_xl_fault {
    uint32_t host;   /* offset in the code of a host instruction that may fault */
    uint32_t resume; /* offset in the code to continue at after its fault */
};
/* What it gives back, beside the code. */
struct abi_xl_out {
    uint32_t code_len;  /* 0: nothing was translated */
    uint32_t cold_len;  /* of the second part, if it was asked for */
    uint32_t src_len;   /* the translation is of the first src_len bytes */
    uint32_t insns;     /* instructions translated */
    uint32_t slots, faults;
    uint32_t uses_simd;
    int32_t slot[ABI_XL_SLOT_MAX];               /* target of each slot, from pgbase; in 0..4095 */
    struct abi_xl_fault fault[ABI_XL_FAULT_MAX]; /* ascending by host */
};
/* The entry is the first byte of the code. It is position independent and contains no absolute address. */

#endif
