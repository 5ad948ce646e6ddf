/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Architectural state of one vCPU, in the machine page. Only writer: the cpu-worker, except while the
 * vCPU is parked (before the first RUN, or paused), when the vmm may set it (boot, reset).
 * Owns the layout; must never hold anything that is not guest-visible state.
 */
#ifndef BULKHEAD_IPC_ABI_VCPU_STATE_H
#define BULKHEAD_IPC_ABI_VCPU_STATE_H

#include <stdint.h>

/* Order is the hardware encoding. */
enum abi_seg { ABI_ES, ABI_CS, ABI_SS, ABI_DS, ABI_FS, ABI_GS, ABI_LDTR, ABI_TR, ABI_SEGS };

/* Segment attributes: bits 8..23 of the descriptor's second doubleword, shifted right by 8
 * (type 0-3, S 4, DPL 5-6, P 7, AVL 12, L 13, D/B 14, G 15), plus "unusable" in bit 16. */
#define ABI_SEG_TYPE     0x000fu
#define ABI_SEG_S        0x0010u
#define ABI_SEG_DPL      0x0060u
#define ABI_SEG_P        0x0080u
#define ABI_SEG_AVL      0x1000u
#define ABI_SEG_L        0x2000u
#define ABI_SEG_DB       0x4000u
#define ABI_SEG_G        0x8000u
#define ABI_SEG_UNUSABLE 0x10000u

#define ABI_SMM_ACTIVE 0x1u
#define ABI_SMM_NMI    0x2u /* NMIs were blocked when the SMI came */
#define ABI_SMBASE_RESET 0x30000u

struct abi_segment {
    uint16_t selector;
    uint16_t pad;
    uint32_t attr;
    uint32_t limit; /* byte granular, already scaled by G */
    uint32_t pad2;
    uint64_t base;
};
struct abi_dtable {
    uint64_t base;
    uint32_t limit;
    uint32_t pad;
};
#define ABI_MCE_BANKS 10u
#define ABI_PERF_COUNTERS 4u
struct abi_mce_bank {
    uint64_t status, addr, misc;
};
struct abi_vcpu_state {
    uint64_t gpr[16]; /* rax rcx rdx rbx rsp rbp rsi rdi r8..r15 */
    uint64_t rip;
    uint64_t rflags;
    struct abi_segment seg[ABI_SEGS];
    struct abi_dtable gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4, cr8, efer;
    uint64_t dr[8];
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t mcg_status, mcg_ctl, mci_ctl[ABI_MCE_BANKS];
    uint64_t syscfg, hwcr, nb_cfg, de_cfg;     /* AMD: C0010010H, C0010015H, C001001FH, C0011029H */
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat, tsc_aux, xcr0, misc_enable;
    uint64_t tsc_offset; /* guest TSC = host TSC + tsc_offset */
    uint64_t tsc_adjust;
    uint64_t spec_ctrl;
    uint64_t mtrr_def_type, mtrr_fixed[11], mtrr_var[16];
    uint64_t pdpte[4]; /* PAE paging: loaded with CR3 */
    uint32_t pkru;
    uint32_t pad_pkru;
    uint32_t mxcsr;
    uint16_t fcw, fsw;
    uint16_t ftw; /* full tag word as FNSTENV stores it, 2 bits per register */
    uint16_t fop;
    uint32_t pad0;
    uint64_t fip, fdp;
    uint16_t fcs, fds;
    uint32_t pad1;
    struct { /* physical registers R0..R7, not relative to TOP */
        uint64_t mant;
        uint16_t se;
        uint16_t pad[3];
    } fpr[8];
    uint8_t ymm[16][32] __attribute__((aligned(64)));
    uint32_t halted;      /* in HLT, waiting for an interrupt */
    uint32_t intr_shadow; /* 1 after STI, 2 after MOV SS: no interrupt before the next instruction ends */
    uint32_t nmi_blocked;
    uint32_t nmi_pending;
    uint32_t db_pending;  /* DR6 bits of a debug trap that waits for the next instruction boundary */
    uint32_t wait_sipi;   /* after INIT, and after power-on for all but the first: a start-up IPI starts it */
    uint32_t debugctl;    /* IA32_DEBUGCTL */
    uint32_t smm;         /* ABI_SMM_* */
    uint32_t smbase;      /* ABI_SMBASE_RESET at power-on, then what SMM handlers moved it to */
    uint32_t smm_db;      /* db_pending of the program that the SMI interrupted */
    struct abi_mce_bank mce_bank[ABI_MCE_BANKS];
    uint64_t perf_ctl[ABI_PERF_COUNTERS], perf_ctr[ABI_PERF_COUNTERS]; /* AMD: C0010000H on; ctr = value - event */
};
_Static_assert(sizeof(struct abi_segment) == 24, "ABI");
_Static_assert(sizeof(struct abi_vcpu_state) <= 4096, "ABI");

#endif
