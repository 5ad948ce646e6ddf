/* SPDX-License-Identifier: Apache-2.0 */
/* Segment limits, types, expand-down, wraps, unreal mode (SDM 3, 3.4.5, 5.3; APM 2, 4.7 to 4.12). */
#include "bare.h"

#define S1 (SEL_FREE)
#define S2 (SEL_FREE + 8)

SNIP(32, fs_load, "movw %cx, %fs; movl %fs:(%ebx), %eax");
SNIP(32, fs_store, "movw %cx, %fs; movl %eax, %fs:(%ebx)");
SNIP(32, ss_load, "movw %cx, %ss; movl $0x10, %eax; movw %ax, %ss");
SNIP(32, ss_use, "movw %cx, %ss; movl (%ebp), %eax");
SNIP(32, ds_null, "xorl %eax, %eax; movw %ax, %es; movl %es:(%ebx), %eax");
SNIP(16, at_ffff, "movw $0xffff, %bx; movw (%bx), %ax");
SNIP(16, ss_ffff, "movw $0xffff, %bp; movw (%bp), %ax");
SNIP(16, above_64k, "movl $0x10000, %ebx; movl %ds:(%ebx), %eax");
SNIP(16, hma, "movw $0xffff, %ax; movw %ax, %ds; movw (0x10), %ax; movl $0, %ebx; movw %bx, %ds");
SNIP(16, push_wrap, "movw $0, %sp; pushw $0x1234; movw %sp, %bx; movw $0x7000, %sp");
SNIP(16, wrap_add, "movw $0xfff0, %bx; movw $0x20, %si; movb (%bx,%si), %al");
SNIP(64, ds_ignored, "mov %cx, %ds; mov 0x10000, %eax; mov $0x10, %ecx; mov %ecx, %ds");
SNIP(64, fs_67, "mov %fs:(%ebx), %eax");
SNIP(64, fs_64, "mov %fs:(%rbx), %rax");
SNIP(64, lsl_lar, "lsl %ecx, %eax; lar %ecx, %edx; verr %cx; setz %bl; verw %cx; setz %bh");
SNIP(16, cs_limit, ".skip 16, 0x90");
SNIP(16, cs_limit_cut, ".skip 8, 0x90; movl $0x90909090, %eax; .skip 4, 0x90");

static u64 fault(void)
{
    return ctx->vector << 16 | ctx->error;
}

static u64 use(const u8 *code, const u8 *end, u64 desc, u32 off)
{
    prepare(PM32);
    gdt_set(S1, desc);
    ctx->gpr[RCX] = S1;
    ctx->gpr[RBX] = ctx->gpr[RBP] = off;
    resume(code, end, PM32);
    return fault();
}
#define USE(name, desc, off) use(name, name##_end, desc, off)
#define DONE                 (V_DONE << 16)

static void limits(void)
{
    u64 up = seg_desc(DATA, 0xfff, 0x4093), down = seg_desc(DATA, 0xfff, 0x4097),
        down16 = seg_desc(DATA, 0xfff, 0x0097);

    check("limit-last", USE(fs_load, up, 0xffc), DONE);
    check("limit-partly", USE(fs_load, up, 0xffd), 13 << 16);
    check("limit-over", USE(fs_load, up, 0x1000), 13 << 16);
    check("limit-wrap", USE(fs_load, up, 0xfffffffe), 13 << 16);
    gdt_set(S1, seg_desc(DATA, 0xfff, 0x40f3)); /* at CPL 3: the event has another stack */
    prepare(PM32_3);
    ctx->gpr[RCX] = S1 | 3;
    ctx->gpr[RBP] = 0xffd;
    check("limit-ss", (RESUME(ss_use, PM32_3), fault()), 12 << 16);
    check("down-below", USE(fs_load, down, 0xffc), 13 << 16);
    check("down-at-limit", USE(fs_load, down, 0xfff), 13 << 16);
    check("down-above", USE(fs_load, down, 0x1000), DONE);
    check("down-high", USE(fs_load, down, 0x8000000), DONE);
    check("down16-top", USE(fs_load, down16, 0xfffc), DONE);
    check("down16-over", USE(fs_load, down16, 0xfffd), 13 << 16);
    check("g-limit", USE(fs_load, seg_desc(DATA, 0, 0xc093), 0xffc), DONE);
    check("g-limit-over", USE(fs_load, seg_desc(DATA, 0, 0xc093), 0xffd), 13 << 16);
}

static void types(void)
{
    check("read-only-store", USE(fs_store, seg_desc(DATA, 0xfff, 0x4091), 0), 13 << 16);
    check("code-load", USE(fs_load, seg_desc(DATA, 0xfff, 0x409b), 0), DONE);
    check("code-store", USE(fs_store, seg_desc(DATA, 0xfff, 0x409b), 0), 13 << 16);
    check("execute-only", USE(fs_load, seg_desc(DATA, 0xfff, 0x4099), 0), 13 << 16 | S1);
    check("system-descriptor", USE(fs_load, seg_desc(DATA, 0xfff, 0x4082), 0), 13 << 16 | S1);
    check("not-present", USE(fs_load, seg_desc(DATA, 0xfff, 0x4013), 0), 11 << 16 | S1);
    check("ss-not-present", USE(ss_load, seg_desc(0, 0xfffff, 0xc013), 0), 12 << 16 | S1);
    check("ss-read-only", USE(ss_load, seg_desc(0, 0xfffff, 0xc091), 0), 13 << 16 | S1);
    check("ss-dpl3", USE(ss_load, seg_desc(0, 0xfffff, 0xc0f3), 0), 13 << 16 | S1);
    prepare(PM32);
    ctx->gpr[RCX] = 0;
    check("ss-null", (RESUME(ss_load, PM32), fault()), 13 << 16);
    prepare(PM32);
    ctx->gpr[RCX] = 0x1000;
    check("beyond-gdt", (RESUME(fs_load, PM32), fault()), 13 << 16 | 0x1000);
    check("null-use", (RUN(ds_null, PM32), fault()), 13 << 16);
    gdt_set(S1, seg_desc(DATA, 0xfff, 0x4092));
    prepare(PM32);
    ctx->gpr[RCX] = S1;
    RESUME(fs_load, PM32);
    check("accessed-bit-set", ((u64 *)GDT)[S1 >> 3] >> 40 & 1, 1);
    prepare(LONG0);
    ctx->gpr[RCX] = S1;
    RESUME(lsl_lar, LONG0);
    check("lsl", ctx->gpr[RAX], 0xfff);
    check("lar", ctx->gpr[RDX], 0x409300);
    check("verr-verw", ctx->gpr[RBX] & 0xffff, 0x0101);
}

static void sixteen_bit(void)
{
    check("real-word-at-ffff", RUN(at_ffff, REAL), 13);
    check("real-ss-word-at-ffff", RUN(ss_ffff, REAL), 12);
    check("real-above-64k", RUN(above_64k, REAL), 13);
    check("unreal-above-64k", RUN(above_64k, UNREAL), V_DONE);
    *(u16 *)0x100000 = 0xbeef;
    RUN(hma, REAL);
    check("real-ffff-0010", ctx->gpr[RAX] & 0xffff, 0xbeef);
    RUN(push_wrap, REAL);
    check("real-push-wraps-sp", ctx->gpr[RBX] & 0xffff, 0xfffe);
    *(u8 *)0x10 = 0x5a;
    RUN(wrap_add, REAL);
    check("address-wraps-64k", ctx->gpr[RAX] & 0xff, *(u8 *)0x10);
    check("vm86-word-at-ffff", RUN(at_ffff, VM86), 13);
    gdt_set(S2, seg_desc(CODE, 7, 0x009b));
    prepare(PM16);
    ctx->cs = S2;
    ctx->rip = 0;
    RESUME(cs_limit, PM16);
    check("cs-limit-fetch", ctx->vector << 16 | ctx->rip, 13 << 16 | 8);
    gdt_set(S2, seg_desc(CODE, 0xa, 0x009b)); /* the limit cuts the MOV behind eight NOPs in two */
    prepare(PM16);
    ctx->cs = S2;
    ctx->rip = 0;
    RESUME(cs_limit_cut, PM16);
    check("cs-limit-inside-instruction", ctx->vector << 16 | ctx->rip, 13 << 16 | 8);
    gdt_set(S2, seg_desc(CODE, 0x13, 0x009b)); /* the whole of it fits */
    prepare(PM16);
    ctx->cs = S2;
    ctx->rip = 0;
    check("cs-limit-last-byte", RESUME(cs_limit_cut, PM16), V_DONE);
    check("cs-limit-last-byte-ran", ctx->gpr[RAX] & 0xffffffff, 0x90909090);
}

static void long_mode(void)
{
    gdt_set(S1, seg_desc(0x1000, 0, 0x4093));
    *(u32 *)DATA = 0x600d;
    prepare(LONG0);
    ctx->gpr[RCX] = S1;
    RESUME(ds_ignored, LONG0);
    check("long-ds-base-limit-ignored", ctx->gpr[RAX] & 0xffffffff, 0x600d);
    check("fs-base-noncanonical", wrmsr_safe(0xc0000100, 0x800000000000ull), 13);
    wrmsr_safe(0xc0000100, DATA);
    prepare(LONG0);
    wrmsr_safe(0xc0000100, DATA);
    prepare(LONG0);
    ctx->fs = 0;
    ctx->gpr[RBX] = 0xffffffff00000000;
    /* the load of FS in the world switch clears the base on Intel: only the rule is tested */
    note("fs-67h-vector", RESUME(fs_67, LONG0));
    prepare(LONG0);
    ctx->gpr[RBX] = 0x800000000000;
    check("noncanonical-is-gp", (RESUME(fs_64, LONG0), fault()), 13 << 16);
}

SUBJECT(segments)
{
    limits();
    types();
    sixteen_bit();
    long_mode();
}
