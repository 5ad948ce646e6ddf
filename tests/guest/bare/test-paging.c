/* SPDX-License-Identifier: Apache-2.0 */
/* Paging: permissions, accessed and dirty, reserved bits, SMEP, SMAP, PKU, PCID (SDM 3, chapter 4; APM 2, 5). */
#include "bare.h"

#define PAGE 0x20000ull /* a user page of the data area the tests bend */

SNIP(64, touch, "mov (%rbx), %eax");
SNIP(64, put, "movl $0x77, (%rbx)");
SNIP(64, exec, "call *%rbx");
SNIP(64, stac_touch, "stac; mov (%rbx), %eax; clac");
SNIP(64, rdpkru, "xor %ecx, %ecx; rdpkru");
SNIP(64, wrpkru_touch, "xor %ecx, %ecx; xor %edx, %edx; wrpkru; mov (%rbx), %edi; xor %eax, %eax; wrpkru");
SNIP(64, wrpkru_put, "xor %ecx, %ecx; xor %edx, %edx; wrpkru; mov %edi, (%rbx); xor %eax, %eax; wrpkru");
SNIP(64, put_cr0, "mov %cr0, %rdx; mov %rbx, %cr0; mov %rdx, %cr0");
SNIP(64, put_cr4, "mov %cr4, %rdx; mov %rbx, %cr4; mov %rdx, %cr4");
SNIP(64, put_cr3, "mov %cr3, %rdx; mov %rbx, %cr3; mov %rdx, %cr3");
SNIP(64, invpcid, "invpcid (%rbx), %rcx");
SNIP(32, pae_cr3, "movl %cr3, %edx; movl %ebx, %cr3; movl %edx, %cr3");
SNIP(64, cmpxchg_fail, "xor %eax, %eax; movl $1, %ecx; lock cmpxchg %ecx, (%rbx)");

static void permissions(void)
{
    page_set(PAGE, PAGE | P | U);
    check("user-write-read-only", TRY(put, LONG3, PAGE), PF | 7);
    check("wp-write", TRY(put, LONG0, PAGE), PF | 3);
    cr0_put(cr0_get() & ~0x10000ull);
    check("no-wp-write", TRY(put, LONG0, PAGE), DONE);
    cr0_put(cr0_get() | 0x10000);
    page_set(PAGE, PAGE | P | W);
    check("user-supervisor-page", TRY(touch, LONG3, PAGE), PF | 5);
    page_set(PAGE, PAGE | W | U);
    check("not-present-user-write", TRY(put, LONG3, PAGE), PF | 6);
    page_set(PAGE, PAGE | P | W | U | NX);
    check("nx-fetch", TRY(exec, LONG0, PAGE), PF | 0x11);
    check("nx-fetch-cr2", ctx->cr2, PAGE);
    wrmsr_safe(0xc0000080, rdmsr(0xc0000080) & ~0x800ull);
    check("nx-reserved-without-nxe", TRY(touch, LONG0, PAGE), PF | 9);
    wrmsr_safe(0xc0000080, rdmsr(0xc0000080) | 0x800);
    page_set(PAGE, PAGE | P | W | U | 1ull << 51);
    check("reserved-address-bit", TRY(touch, LONG0, PAGE), (cpuid(0x80000008, 0).a & 0xff) < 52 ? PF | 9 : DONE);
    page_set(PAGE, PAGE | P | W | U);
    pd[1024] |= 1 << 13; /* a large page's address below its size (at 2 GiB) */
    check("large-reserved", TRY(touch, LONG0, 0x80000000), PF | 9);
    pd[1024] &= ~(1ull << 13);
    __asm__ volatile("invlpg (%0)" ::"r"(0x80000000ull));
    pdpt[5] = (6ull << 30) | P | W | 0x80;
    note("gib-page", TRY(touch, LONG0, 5ull << 30));
    pdpt[5] = 0;
    pml4[3] = (u64)pdpt | P | W | 0x80; /* PS is reserved in a PML4 entry */
    check("pml4-ps-reserved", TRY(touch, LONG0, 3ull << 39), PF | 9);
    pml4[3] = 0;
    page_default(PAGE);
}

static void accessed_dirty(void)
{
    page_set(PAGE, PAGE | P | W | U);
    TRY(touch, LONG0, PAGE);
    check("read-sets-a", page_get(PAGE) & (A | D), A);
    TRY(put, LONG0, PAGE);
    check("write-sets-d", page_get(PAGE) & (A | D), A | D);
    page_set(PAGE, PAGE | P | U);
    TRY(put, LONG0, PAGE);
    check("failed-write-no-d", page_get(PAGE) & D, 0);
    page_set(PAGE, PAGE | P | W | U);
    *(volatile u32 *)PAGE;
    TRY(cmpxchg_fail, LONG0, PAGE);
    check("cmpxchg-writes-always", page_get(PAGE) & D, D);
    page_set(PAGE, PAGE | P | U);
    check("cmpxchg-fails-read-only", TRY(cmpxchg_fail, LONG0, PAGE), PF | 3);
    page_default(PAGE);
    pd[1025] &= ~(A | D);
    TRY(put, LONG0, 0x80200000 - 0x200000 * 1023ull); /* a large page: 0x400000 */
    check("large-a-d", pd[2] & (A | D), A | D);
}

static void supervisor_modes(void)
{
    u32 b = cpuid(7, 0).b, c = cpuid(7, 0).c;

    if (b & 1 << 7) {
        memcpy((void *)PAGE, "\xc3", 1);
        check("no-smep-fetch", TRY(exec, LONG0, PAGE), DONE);
        page_set(CODE, CODE | P | W); /* the snippet itself must be the supervisor's */
        cr4_put(cr4_get() | 1 << 20);
        check("smep-fetch", TRY(exec, LONG0, PAGE), PF | 0x11);
        cr4_put(cr4_get() & ~(1ull << 20));
        page_default(CODE);
    } else {
        note("smep-fetch", 0);
    }
    if (b & 1 << 20) {
        page_set(STACK - 0x1000, (STACK - 0x1000) | P | W);
        cr4_put(cr4_get() | 1 << 21);
        check("smap-read", TRY(touch, LONG0, PAGE), PF | 1);
        check("smap-write", TRY(put, LONG0, PAGE), PF | 3);
        check("smap-stac", TRY(stac_touch, LONG0, PAGE), DONE);
        check("stac-cpl3", TRY(stac_touch, LONG3, PAGE), 6 << 16);
        cr4_put(cr4_get() & ~(1ull << 21));
        page_default(STACK - 0x1000);
    } else {
        note("smap-read", 0);
    }
    if (c & 1 << 3) {
        check("rdpkru-without-pke", TRY(rdpkru, LONG0, 0), 6 << 16);
        cr4_put(cr4_get() | 1 << 22);
        page_set(PAGE, PAGE | P | W | U | 3ull << 59);
        prepare(LONG3);
        ctx->gpr[RBX] = PAGE;
        ctx->gpr[RAX] = 1 << 6;
        RESUME(wrpkru_touch, LONG3);
        check("pku-access-disabled", ctx->vector << 16 | ctx->error, PF | 0x25);
        prepare(LONG3);
        ctx->gpr[RBX] = PAGE;
        ctx->gpr[RAX] = 2 << 6;
        RESUME(wrpkru_put, LONG3);
        check("pku-write-disabled", ctx->vector << 16 | ctx->error, PF | 0x27);
        check("pku-clear", TRY(wrpkru_put, LONG3, PAGE), DONE);
        cr4_put(cr4_get() & ~(1ull << 22));
        page_default(PAGE);
    } else {
        note("pku-access-disabled", 0);
    }
}

static void stale(void)
{
    u64 gp = P | W | U | 0x100;

    /* the entry may stay in the TLB until INVLPG or a write of CR3; a global one survives CR3 */
    page_set(PAGE, PAGE | P | W | U);
    TRY(touch, LONG0, PAGE);
    pt0[PAGE >> 12] = 0;
    cr3_put(cr3_get());
    check("cr3-flushes", TRY(touch, LONG0, PAGE), PF);
    page_set(PAGE, PAGE | gp);
    cr4_put(cr4_get() | 0x80);
    TRY(touch, LONG0, PAGE);
    pt0[PAGE >> 12] = 0;
    note("global-survives-cr3", (cr3_put(cr3_get()), TRY(touch, LONG0, PAGE)));
    cr4_put(cr4_get() & ~0x80ull);
    check("pge-flushes-global", TRY(touch, LONG0, PAGE), PF);
    page_default(PAGE);
    if (!(cpuid(1, 0).c & 1 << 17)) {
        note("pcid-needs-cr3-zero", 0);
        return;
    }
    prepare(LONG0);
    ctx->gpr[RBX] = cr4_get() | 1 << 17;
    cr3_put(cr3_get() | 0x18);
    check("pcid-needs-cr3-zero", (RESUME(put_cr4, LONG0), ctx->vector), 13);
    cr3_put(cr3_get() & ~0x18ull);
    check("pcid-on", TRY(put_cr4, LONG0, cr4_get() | 1 << 17), DONE);
    cr4_put(cr4_get() | 1 << 17);
    check("cr3-noflush-bit", TRY(put_cr3, LONG0, cr3_get() | 1ull << 63), DONE);
    *(u64 *)DATA = 0;
    *(u64 *)(DATA + 8) = 1ull << 63;
    prepare(LONG0);
    ctx->gpr[RBX] = DATA;
    ctx->gpr[RCX] = 0;
    if (cpuid(7, 0).b & 1 << 10) {
        check("invpcid-noncanonical", (RESUME(invpcid, LONG0), ctx->vector), 13);
        ctx->rip = CODE;
        ctx->gpr[RCX] = 4;
        check("invpcid-type", (RESUME(invpcid, LONG0), ctx->vector), 13);
        ctx->rip = CODE;
        ctx->gpr[RCX] = 2;
        check("invpcid-all", (RESUME(invpcid, LONG0), ctx->vector), V_DONE);
    }
    cr4_put(cr4_get() & ~(1ull << 17));
}

static void registers(void)
{
    u64 cr0 = cr0_get(), cr4 = cr4_get();

    check("cr0-pg-without-pe", TRY(put_cr0, LONG0, cr0 & ~1ull), 13 << 16);
    check("cr0-nw-without-cd", TRY(put_cr0, LONG0, cr0 | 1 << 29), 13 << 16);
    check("cr0-high-half", TRY(put_cr0, LONG0, cr0 | 1ull << 32), 13 << 16);
    check("cr0-no-paging-in-long", TRY(put_cr0, LONG0, cr0 & 0x7fffffff), 13 << 16);
    check("cr4-pae-off-in-long", TRY(put_cr4, LONG0, cr4 & ~0x20ull), 13 << 16);
    check("cr4-reserved", TRY(put_cr4, LONG0, cr4 | 1 << 15), 13 << 16);
    check("cr4-high-half", TRY(put_cr4, LONG0, cr4 | 1ull << 40), 13 << 16);
    check("cr3-reserved", TRY(put_cr3, LONG0, cr3_get() | 1ull << 62), 13 << 16);
    check("efer-lme-while-paging", wrmsr_safe(0xc0000080, rdmsr(0xc0000080) & ~0x100ull), 13);
    prepare(PAE);
    memcpy((void *)DATA, (void *)(u64)ctx->cr3, 32);
    ((u64 *)DATA)[3] |= 2; /* PDPTE: bits 1 and 2 are reserved in PAE mode */
    ctx->gpr[RBX] = DATA;
    check("pae-pdpte-reserved", (RESUME(pae_cr3, PAE), ctx->vector), 13);
}

SUBJECT(paging)
{
    permissions();
    accessed_dirty();
    supervisor_modes();
    stale();
}

/* Apart, because an emulator that takes one of these loses its footing. */
SUBJECT(control)
{
    registers();
}
