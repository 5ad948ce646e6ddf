/* SPDX-License-Identifier: Apache-2.0 */
/* 5-level paging, entered and left by way of protected mode, since CR4.LA57 is fixed in IA-32e mode (SDM 3, 4.5). */
#include "bare.h"

#define PAGE 0x20000ull
#define LA57 0x1000u

SNIP(64, touch, "mov (%rbx), %eax");
SNIP(64, off, "mov %cr4, %rax; mov %rax, %rdx; and $~0x1000, %rdx; mov %rdx, %cr4");
SNIP(64, nothing, "nop");
SNIP(32, nothing32, "nop");

static void tables(void)
{
    pml5[0] = (u64)pml4 | P | W | U;
    pml5[1] = (u64)pml4 | P | W | U;
    pml5[3] = (u64)pml4 | P | W | U | 0x80; /* PS */
    pml5[511] = (u64)pml4 | P | W;
    long_root = (u32)(u64)pml5;
    long_cr4 |= LA57;
}

SUBJECT(la57)
{
    if (!(cpuid(7, 0).c & 1 << 16)) {
        note("absent", 0);
        return;
    }
    tables();
    check("entered", RUN(nothing32, PM32), V_DONE);
    check("cr4", cr4_get() & LA57, LA57);
    *(volatile u32 *)PAGE = 0x5757;
    check("first-half", TRY(touch, LONG3, PAGE), DONE);
    check("second-half", (TRY(touch, LONG3, 1ull << 48 | PAGE), ctx->gpr[RAX]), 0x5757);
    check("upper-end", TRY(touch, LONG0, 0xffff000000000000 | PAGE), DONE);
    check("supervisor-entry", TRY(touch, LONG3, 0xffff000000000000 | PAGE), PF | 5);
    check("absent-entry", TRY(touch, LONG3, 2ull << 48), PF | 4);
    check("ps-reserved", TRY(touch, LONG0, 3ull << 48), PF | 9);
    check("noncanonical", TRY(touch, LONG0, 1ull << 56), 13 << 16);
    check("cleared-in-long", RUN(off, LONG0), 13);
    long_root = (u32)(u64)pml4;
    long_cr4 &= ~LA57;
    check("left", RUN(nothing32, PM32), V_DONE);
    check("four-levels", TRY(touch, LONG0, 1ull << 48), 13 << 16);
    check("goes-on", RUN(nothing, LONG3), V_DONE);
}
