/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of the boot processor: reset values (Intel SDM volume 3, table 9-1) with the boot
 * protocol's entry conditions on top. Must never be applied to a vCPU that runs.
 */
#include "vmm/machine/linux-boot.h"

#include <string.h>
#include <x86intrin.h>

#define ATTR_CODE64 (0xbu | ABI_SEG_S | ABI_SEG_P | ABI_SEG_L | ABI_SEG_G)
#define ATTR_CODE32 (0xbu | ABI_SEG_S | ABI_SEG_P | ABI_SEG_DB | ABI_SEG_G)
#define ATTR_DATA   (0x3u | ABI_SEG_S | ABI_SEG_P | ABI_SEG_DB | ABI_SEG_G)
#define ATTR_TSS    (0xbu | ABI_SEG_P)
#define ATTR_LDT    (0x2u | ABI_SEG_P)

#define CR0_PE   0x1u
#define CR0_ET   0x10u
#define CR0_PG   0x80000000u
#define CR4_PAE  0x20u
#define EFER_LME 0x100u
#define EFER_LMA 0x400u
#define REG_RAX  0
#define REG_RBX  3
#define REG_RSP  4
#define REG_RSI  6

/* MTRRs as firmware leaves them: write-back by default, the VGA hole uncached. */
static void mtrr_set(struct abi_vcpu_state *v)
{
    v->mtrr_def_type = 0xc06; /* enabled, fixed ranges enabled, write-back */
    for (unsigned i = 0; i < 11; i++)
        v->mtrr_fixed[i] = i == 2 ? 0 : 0x0606060606060606ull; /* [2] = A0000-BFFFF */
}

void linux_vcpu_reset(struct abi_vcpu_state *v)
{
    memset(v, 0, sizeof(*v));
    v->rflags = 2;
    v->cr0 = CR0_ET;
    v->dr[6] = 0xffff0ff0;
    v->dr[7] = 0x400;
    v->pat = 0x0007040600070406ull;
    v->smbase = ABI_SMBASE_RESET;
    v->misc_enable = 1 | 1u << 18; /* fast strings, MONITOR */
    v->xcr0 = 1;
    v->mxcsr = 0x1f80;
    v->fcw = 0x37f;
    v->ftw = 0xffff;
    v->idtr.limit = 0xffff;
    v->seg[ABI_LDTR] = (struct abi_segment){.attr = ATTR_LDT, .limit = 0xffff};
    v->seg[ABI_TR] = (struct abi_segment){.attr = ATTR_TSS, .limit = 0xffff};
    v->tsc_offset = 0 - __rdtsc(); /* the TSC counts from zero after a reset */
    mtrr_set(v);
}

void linux_vcpu_state(const struct linux_image *im, struct abi_vcpu_state *v)
{
    linux_vcpu_reset(v);
    for (unsigned s = ABI_ES; s <= ABI_GS; s++)
        v->seg[s] = (struct abi_segment){.selector = 0x18, .attr = ATTR_DATA, .limit = 0xffffffff};
    v->seg[ABI_CS] = (struct abi_segment){
        .selector = 0x10, .attr = im->entry64 ? ATTR_CODE64 : ATTR_CODE32, .limit = 0xffffffff};
    v->gdtr = (struct abi_dtable){.base = LINUX_GDT, .limit = 4 * 8 - 1};
    v->idtr.limit = 0; /* interrupts stay off until the kernel has a table of its own */
    v->gpr[REG_RSP] = LINUX_STACK;
    v->gpr[im->kind == LINUX_MULTIBOOT || im->kind == LINUX_PVH ? REG_RBX : REG_RSI] =
        LINUX_ZERO_PAGE; /* where each protocol's information starts */
    if (im->kind == LINUX_MULTIBOOT)
        v->gpr[REG_RAX] = 0x2badb002; /* Multiboot 3.2 */
    if (im->kind == LINUX_PVH)
        v->seg[ABI_TR].limit = 0x67;
    v->rip = im->entry;
    v->cr0 |= CR0_PE;
    if (im->entry64) {
        v->cr0 |= CR0_PG;
        v->cr3 = LINUX_PAGETABLES;
        v->cr4 = CR4_PAE;
        v->efer = EFER_LME | EFER_LMA;
    }
}
