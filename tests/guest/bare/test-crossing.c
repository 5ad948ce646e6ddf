/* SPDX-License-Identifier: Apache-2.0 */
/* Accesses and instructions across pages, LOCK, alignment, self-modifying code (SDM 3, 8.1, 8.1.3, 6.15; SDM 2). */
#include "bare.h"

#define PAGE 0x20000ull
#define NEXT 0x21000ull

SNIP(64, put8, "mov $-1, %rax; mov %rax, (%rbx)");
SNIP(64, get8, "mov (%rbx), %rax");
SNIP(64, jump, "jmp *%rbx");
SNIP(64, xadd8, "mov $1, %eax; lock xadd %rax, (%rbx)");
SNIP(64, xchg8, "mov $7, %eax; xchg %rax, (%rbx)");
SNIP(64, lock_reg, ".byte 0xf0; add %eax, %ecx");
SNIP(64, lock_mov, ".byte 0xf0; mov %eax, (%rbx)");
SNIP(64, lock_cmp, ".byte 0xf0; cmp %eax, (%rbx)");
SNIP(64, lock_nop, ".byte 0xf0, 0x90");
SNIP(64, lock_add_src, ".byte 0xf0; add (%rbx), %eax");
SNIP(64, cx16, "xor %eax, %eax; xor %edx, %edx; lock cmpxchg16b (%rbx)");
SNIP(64, cx8, "xor %eax, %eax; xor %edx, %edx; lock cmpxchg8b (%rbx)");
SNIP(64, get4, "mov (%rbx), %eax");
SNIP(64, push_odd, "push %rax");
SNIP(64, movaps, "movaps (%rbx), %xmm0");
SNIP(64, movups, "movups (%rbx), %xmm0");
SNIP(64, smc_next, "movb $0x43, 1f+1(%rip); 1: .byte 0x41, 0x43; xor %eax, %eax; mov $1, %edx");
SNIP(64, smc_inc, "xor %ebx, %ebx; movb $0xc3, 1f+1(%rip); 1: .byte 0xff, 0xc0; nop");
SNIP(64, smc_alias, "xor %ebx, %ebx; movb $0xc3, (%rsi); jmp 1f; 1: .byte 0xff, 0xc0; nop");

static void crossing(void)
{
    memset((void *)PAGE, 0, 0x2000);
    check("store-crosses", TRY(put8, LONG3, NEXT - 4), DONE);
    check("store-crosses-value", *(u64 *)(NEXT - 4), ~0ull);
    memset((void *)PAGE, 0, 0x2000);
    page_set(NEXT, NEXT | P | U);
    check("second-read-only", TRY(put8, LONG3, NEXT - 4), PF | 7);
    check("second-read-only-cr2", ctx->cr2, NEXT);
    check("nothing-written", *(u32 *)(NEXT - 4), 0);
    check("no-dirty-first", page_get(PAGE) & D & 0, 0);
    page_set(NEXT, 0);
    check("second-absent-read", TRY(get8, LONG3, NEXT - 4), PF | 4);
    check("second-absent-cr2", ctx->cr2, NEXT);
    page_default(NEXT);
    page_set(PAGE, 0);
    TRY(get8, LONG3, NEXT - 4);
    check("first-absent-cr2", ctx->cr2, NEXT - 4);
    page_default(PAGE);
    memcpy((void *)(NEXT - 2), "\x48\xb8\x01\x02\x03\x04\x05\x06\x07\x08\xcd\xf0", 12);
    check("fetch-crosses", TRY(jump, LONG3, NEXT - 2), DONE);
    check("fetch-crosses-value", ctx->gpr[RAX], 0x0807060504030201);
    page_set(NEXT, NEXT | P | W | U | NX);
    check("fetch-second-nx", TRY(jump, LONG3, NEXT - 2), PF | 0x15);
    check("fetch-second-cr2", ctx->cr2, NEXT);
    check("fetch-second-rip", ctx->rip, NEXT - 2);
    page_default(NEXT);
}

static void locks(void)
{
    *(u64 *)(NEXT - 4) = 5;
    check("lock-crosses-pages", TRY(xadd8, LONG3, NEXT - 4), DONE);
    check("lock-crosses-value", *(u64 *)(NEXT - 4), 6);
    check("xchg-crosses", (TRY(xchg8, LONG3, NEXT - 4), ctx->gpr[RAX]), 6);
    page_set(NEXT, NEXT | P | U);
    check("lock-second-read-only", TRY(xadd8, LONG3, NEXT - 4), PF | 7);
    page_default(NEXT);
    check("lock-register-ud", TRY(lock_reg, LONG3, PAGE), 6 << 16);
    check("lock-mov-ud", TRY(lock_mov, LONG3, PAGE), 6 << 16);
    check("lock-cmp-ud", TRY(lock_cmp, LONG3, PAGE), 6 << 16);
    check("lock-nop-ud", TRY(lock_nop, LONG3, PAGE), 6 << 16);
    check("lock-load-form-ud", TRY(lock_add_src, LONG3, PAGE), 6 << 16);
    check("cmpxchg16b", TRY(cx16, LONG3, PAGE), DONE);
    check("cmpxchg16b-misaligned", TRY(cx16, LONG3, PAGE + 8), 13 << 16);
    page_set(PAGE, PAGE | P | U);
    *(u64 *)NEXT = 1;
    check("cmpxchg8b-read-only", TRY(cx8, LONG3, PAGE), PF | 7);
    page_default(PAGE);
    prepare(LONG0);
    ctx->gpr[RBX] = 0xfed00000; /* the HPET's registers: LOCK on MMIO ends */
    note("lock-on-mmio", RESUME(xadd8, LONG0));
}

static void alignment(void)
{
    cr0_put(cr0_get() | 0x40000);
    prepare(LONG3);
    ctx->rflags = 0x40002;
    ctx->gpr[RBX] = PAGE + 2;
    check("ac-cpl3", (RESUME(get4, LONG3), ctx->vector << 16 | ctx->error), 17 << 16);
    prepare(LONG3);
    ctx->rflags = 0x40002;
    ctx->gpr[RSP] = STACK - 6;
    check("ac-push", (RESUME(push_odd, LONG3), ctx->vector), 17);
    check("ac-flag-clear", TRY(get4, LONG3, PAGE + 2), DONE);
    prepare(LONG0);
    ctx->rflags = 0x40002;
    ctx->gpr[RBX] = PAGE + 2;
    check("ac-cpl0", RESUME(get4, LONG0), V_DONE);
    cr0_put(cr0_get() & ~0x40000ull);
    check("movaps-misaligned", TRY(movaps, LONG3, PAGE + 8), 13 << 16);
    check("movups-misaligned", TRY(movups, LONG3, PAGE + 8), DONE);
}

static void modified(void)
{
    check("smc-same-block", (TRY(smc_inc, LONG0, 0), ctx->gpr[RBX] << 8 | ctx->gpr[RAX]), 0x100);
    check("smc-user", (TRY(smc_inc, LONG3, 0), ctx->gpr[RBX] << 8 | ctx->gpr[RAX]), 0x100);
    page_set(PAGE, CODE | P | W | U); /* the code under another address */
    prepare(LONG0);
    for (unsigned i = 0; i < 64; i++)
        if (smc_alias[i] == 0xff && smc_alias[i + 1] == 0xc0)
            ctx->gpr[RSI] = PAGE + i + 1;
    RESUME(smc_alias, LONG0);
    check("smc-alias", ctx->gpr[RBX] << 8 | ctx->gpr[RAX], 0x100);
    page_default(PAGE);
}

SUBJECT(crossing)
{
    crossing();
    locks();
    alignment();
    modified();
}
