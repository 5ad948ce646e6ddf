/* SPDX-License-Identifier: Apache-2.0 */
/* LDT, task register, #DF by a task gate, #DB held back by MOV SS (SDM 3, 2.4, 3.5.1, 6.15, 6.8.3). */
#include "bare.h"

#define LDT    (SEL_FREE)
#define TASK   (SEL_FREE + 16)
#define TABLE  (DATA + 0x800)
#define OTHER  (DATA + 0x1000)

extern u32 idt32[512];
extern u8 stubs64[];

SNIP(32, lldt_use, "lldt %cx; movw $0x0c, %ax; movw %ax, %fs; movl %fs:0, %ebx; xorl %eax, %eax; movw %ax, %fs");
SNIP(32, lldt_only, "lldt %cx; sldt %ebx");
SNIP(32, lldt_null_use, "xorl %eax, %eax; lldt %ax; movw $0x0c, %ax; movw %ax, %fs");
SNIP(32, ltr_only, "ltr %cx");
SNIP(32, gp, "movw $0x7ff0, %ax; movw %ax, %fs");
SNIP(32, df_task, "popl %ebx; str %ecx; movl %cr0, %edx");
SNIP(64, mov_ss_int, "mov 0x10000, %ss; int $0xf0; nop");
SNIP(64, mov_ss_nop, "mov 0x10000, %ss; nop; nop");
SNIP(64, lldt64, "lldt %cx; sldt %rbx");

static u64 with(const u8 *code, const u8 *end, enum mode m, u64 rcx)
{
    prepare(m);
    ctx->gpr[RCX] = rcx;
    resume(code, end, m);
    return ctx->vector << 16 | ctx->error;
}
#define WITH(name, m, rcx) with(name, name##_end, m, rcx)
#define DONE               (V_DONE << 16)

static void ldt(void)
{
    gdt_set(LDT, seg_desc(TABLE, 15, 0x82));
    ((u64 *)TABLE)[1] = seg_desc(DATA, 0xfff, 0x4093);
    *(u32 *)DATA = 0x1d7;
    check("ldt", WITH(lldt_use, PM32, LDT), DONE);
    check("ldt-value", ctx->gpr[RBX], 0x1d7);
    check("ldt-null-use", WITH(lldt_null_use, PM32, 0), 13 << 16 | 0xc);
    check("lldt-not-a-table", WITH(lldt_only, PM32, SEL_DATA), 13 << 16 | SEL_DATA);
    check("lldt-in-ldt", WITH(lldt_only, PM32, LDT | 4), 13 << 16 | LDT | 4);
    gdt_set(LDT, seg_desc(TABLE, 15, 0x02));
    check("lldt-not-present", WITH(lldt_only, PM32, LDT), 11 << 16 | LDT);
    gdt_set(LDT, seg_desc(TABLE, 15, 0x82));
    check("lldt-cpl3", WITH(lldt_only, PM32_3, LDT), 13 << 16);
    check("lldt-real-ud", WITH(lldt_only, REAL, LDT), 6 << 16);
    gdt_set(LDT + 8, 0);
    check("lldt-long", WITH(lldt64, LONG0, LDT), DONE);
    check("sldt-long", ctx->gpr[RBX], LDT);
    check("ltr-busy", WITH(ltr_only, PM32, SEL_TSS32), 13 << 16 | SEL_TSS32);
    check("ltr-null", WITH(ltr_only, PM32, 0), 13 << 16);
}

static void double_fault(void)
{
    u32 *t = (u32 *)OTHER, save[2] = {idt32[16], idt32[17]};

    memset(t, 0, 0x68);
    t[8] = CODE + 0x100;
    t[9] = 2;
    t[14] = STACK - 0x400;
    for (unsigned i = 18; i < 24; i++)
        t[i] = SEL_DATA;
    t[19] = SEL_CODE32;
    gdt_set(TASK, seg_desc(OTHER, 0x67, 0x89));
    idt32[16] = TASK << 16;
    idt32[17] = 0x8500;
    idt32[2 * 13 + 1] &= ~0x8000u;
    memcpy((void *)(CODE + 0x100), df_task, (size_t)(df_task_end - df_task));
    prepare(PM32);
    check("df-task", RESUME(gp, PM32), V_DONE);
    check("df-task-error-code", ctx->gpr[RBX], 0);
    check("df-task-tr", ctx->gpr[RCX], TASK);
    check("df-task-sets-ts", ctx->gpr[RDX] & 8, 8);
    idt32[2 * 13 + 1] |= 0x8000u;
    idt32[16] = save[0];
    idt32[17] = save[1];
}

static void held_back(void)
{
    u64 dr6;

    *(u32 *)DATA = SEL_DATA;
    __asm__ volatile("mov %0, %%dr0; mov %1, %%dr6; mov %2, %%dr7" ::"r"(DATA + 0ull), "r"(0xffff0ff0ull),
                     "r"(0x70402ull));
    RUN(mov_ss_nop, LONG0);
    check("mov-ss-db-one-later", ctx->vector << 16 | OFF, 1 << 16 | 8);
    /* with INT behind it the trap is taken at the handler's first instruction (CVE-2018-8897) */
    __asm__ volatile("mov %0, %%dr6" ::"r"(0xffff0ff0ull));
    RUN(mov_ss_int, LONG0);
    check("mov-ss-db-after-int", ctx->vector << 32 | (u32)ctx->rip, 1ull << 32 | (u32)((u64)stubs64 + 16 * V_DONE));
    __asm__ volatile("mov %1, %%dr7; mov %%dr6, %0; mov %2, %%dr6" : "=&r"(dr6) : "r"(0x400ull), "r"(0xffff0ff0ull));
    check("mov-ss-db-dr6", dr6 & 1, 1);
}

SUBJECT(tables)
{
    ldt();
    held_back();
    double_fault();
}
