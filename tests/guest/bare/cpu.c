/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptor tables, page tables and the C half of entering a snippet. Must never hold a test.
 */
#include "bare.h"

extern const u8 stubs64[], stubs32[], low_start[], low_end[], common16[];
extern u8 ist_top[], legacy_stack_top[];
struct gate64 { u16 lo, sel; u8 ist, attr; u16 mid; u32 hi, zero; } idt64[256];
struct gate32 { u16 lo, sel; u8 zero, attr; u16 hi; } idt32[256];
u8 tss64[0x2100] __attribute__((aligned(4096)));
u8 tss32[0x2100] __attribute__((aligned(4096)));
static u32 pd32[1024] __attribute__((aligned(4096)));
static u32 pt32[1024] __attribute__((aligned(4096)));
static u64 pae_pdpt[4] __attribute__((aligned(4096)));

void cpu_tables_init(void);

void *memset(void *p, int v, size_t n)
{
    __asm__ volatile("rep stosb" : "+D"(*(void **)&(void *){p}), "+c"(n) : "a"(v) : "memory");
    return p;
}

void *memcpy(void *to, const void *from, size_t n)
{
    void *d = to;

    __asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(n)::"memory");
    return to;
}

u64 seg_desc(u32 base, u32 limit, u32 attr)
{
    return (u64)(base >> 24 << 24 | (limit & 0xf0000) | attr << 8 | (base >> 16 & 0xff)) << 32 |
           base << 16 | (limit & 0xffff);
}

void gdt_set(unsigned sel, u64 descriptor)
{
    ((u64 *)GDT)[sel >> 3] = descriptor;
}

void idt_ist(unsigned vector, unsigned ist)
{
    idt64[vector].ist = (u8)ist;
}

void idt_dpl(unsigned vector, unsigned dpl)
{
    idt64[vector].attr = idt32[vector].attr = (u8)(0x8e | dpl << 5);
}

static void idt_init(void)
{
    for (unsigned i = 0; i < 256; i++) {
        u64 a = (u64)stubs64 + 16 * i, b = (u64)stubs32 + 16 * i;

        idt64[i] = (struct gate64){(u16)a, SEL_CODE64, 1, 0x8e, (u16)(a >> 16), (u32)(a >> 32), 0};
        idt32[i] = (struct gate32){(u16)b, SEL_CODE32, 0, 0x8e, (u16)(b >> 16)};
    }
    idt_dpl(V_DONE, 3);
    idt_dpl(3, 3);
    idt_dpl(4, 3);
}

static void gdt_init(void)
{
    static const u64 flat[] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff,
                               0x00cffb000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff,
                               0x00009b000000ffff, 0x000093000000ffff};
    struct { u16 limit; u64 base; } __attribute__((packed)) gdtr = {64 * 8 - 1, GDT};

    memset((void *)GDT, 0, 64 * 8);
    memcpy((void *)GDT, flat, sizeof(flat));
    gdt_set(SEL_TSS64, seg_desc((u32)(u64)tss64, 0x20ff, 0x89));
    gdt_set(SEL_TSS32, seg_desc((u32)(u64)tss32, 0x20ff, 0x89));
    gdt_set(SEL_UCODE16, 0x0000fb000000ffff);
    __asm__ volatile("lgdt %0" ::"m"(gdtr));
    *(u64 *)(tss64 + 4) = (u64)legacy_stack_top;
    *(u64 *)(tss64 + 0x24) = (u64)ist_top;
    *(u16 *)(tss64 + 0x66) = 0x68; /* I/O bitmap: 8 KiB of zeros, all ports open */
    *(u32 *)(tss32 + 4) = (u32)(u64)legacy_stack_top;
    *(u16 *)(tss32 + 8) = SEL_DATA;
    *(u16 *)(tss32 + 0x66) = 0x88; /* behind the 32-byte interrupt redirection map of VME */
    tss32[0x68 + V_DONE / 8] |= 1 << V_DONE % 8; /* the closing INT is never redirected */
    tss64[0x68 + 0x2000] = tss32[0x88 + 0x2000] = 0xff;
    __asm__ volatile("lidt long_idtr; ltr %w0" ::"r"(SEL_TSS64));
}

static int user_page(u64 va)
{
    return (va >= CODE && va < STACK) || (va >= DATA && va < DATA_END);
}

void page_set(u64 va, u64 entry)
{
    pt0[va >> 12 & 511] = entry;
    __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

u64 page_get(u64 va)
{
    return pt0[va >> 12 & 511];
}

void page_default(u64 va)
{
    page_set(va, (va & ~0xfffull) | P | W | (user_page(va) ? U : 0));
}

static void paging_init(void)
{
    for (u64 va = 0; va < 0x200000; va += 4096) {
        pt0[va >> 12] = va | P | W | (user_page(va) ? U : 0);
        pt32[va >> 12] = (u32)pt0[va >> 12];
    }
    pd[0] = (u64)pt0 | P | W | U;
    cr3_put(cr3_get());
    /* the same map for the other two kinds of paging; 2-level: the first 4 MiB by 4 KiB pages */
    for (u32 i = 512; i < 1024; i++)
        pt32[i] = i << 12 | 3;
    pd32[0] = (u32)(u64)pt32 | 7;
    for (u32 i = 0; i < 4; i++)
        pae_pdpt[i] = ((u64)pd + 4096 * i) | 1;
}

static void low_init(void)
{
    u16 common = (u16)(LOW + (common16 - low_start));

    memcpy((void *)LOW, low_start, (size_t)(low_end - low_start));
    for (u32 i = 0; i < 256; i++) {
        u16 at = (u16)(LOW_STUB + 6 * i);
        u8 *s = (u8 *)(u64)at;

        s[0] = 0x68; /* pushw $i */
        *(u16 *)(s + 1) = (u16)i;
        s[3] = 0xe9; /* jmp common16 */
        *(u16 *)(s + 4) = (u16)(common - (at + 6));
        ((volatile u32 *)0)[i] = at;
    }
}

void cpu_tables_init(void)
{
    gdt_init();
    idt_init();
    __asm__ volatile("lidt long_idtr");
    paging_init();
    low_init();
    for (unsigned i = 0; i < 2; i++) {
        outb(i ? 0xa1 : 0x21, 0xff); /* no interrupts from the 8259s */
    }
}

/* ---- entering
 * ----------------------------------------------------------------------------------- */
static const struct mode_desc {
    u16 cs, data;
    u32 kind, cr0, cr4;
    u64 flags;
} modes[MODES] = {
    [LONG0] = {SEL_CODE64, SEL_DATA, 0, 0, 0, 0},
    [LONG3] = {SEL_UCODE64, SEL_UDATA, 0, 0, 0, 0},
    [COMPAT0] = {SEL_CODE32, SEL_DATA, 0, 0, 0, 0},
    [COMPAT3] = {SEL_UCODE32, SEL_UDATA, 0, 0, 0, 0},
    [COMPAT16] = {SEL_UCODE16, SEL_UDATA, 0, 0, 0, 0},
    [PM32] = {SEL_CODE32, SEL_DATA, MODE_PM, 0x31, 0, 0},
    [PM32_3] = {SEL_UCODE32, SEL_UDATA, MODE_PM, 0x31, 0, 0},
    [PM16] = {SEL_CODE16, SEL_DATA, MODE_PM, 0x31, 0, 0},
    [PAGED] = {SEL_CODE32, SEL_DATA, MODE_PM, 0x80010031, 0x10, 0},
    [PAGED_3] = {SEL_UCODE32, SEL_UDATA, MODE_PM, 0x80010031, 0x10, 0},
    [PAE] = {SEL_CODE32, SEL_DATA, MODE_PM, 0x80010031, 0x20, 0},
    [PAE_3] = {SEL_UCODE32, SEL_UDATA, MODE_PM, 0x80010031, 0x20, 0},
    [REAL] = {0, 0, MODE_REAL, 0, 0, 0},
    [UNREAL] = {0, 0, MODE_REAL, 0, 0, 0},
    [VM86] = {0, 0, MODE_VM86, 0x31, 0, 0x23000},
};

void prepare(enum mode m)
{
    const struct mode_desc *d = &modes[m];

    memset(ctx, 0, sizeof(*ctx));
    ctx->cs = d->cs;
    ctx->ss = ctx->ds = ctx->es = ctx->fs = ctx->gs = d->data;
    ctx->rip = CODE;
    ctx->gpr[RSP] = STACK;
    ctx->rflags = 2 | d->flags;
    ctx->cr0 = d->cr0;
    ctx->cr4 = d->cr4;
    ctx->cr3 = (u32)(u64)(m == PAE || m == PAE_3 ? (u64 *)pae_pdpt : (u64 *)pd32);
    ctx->mode = d->kind;
    ctx->unreal = m == UNREAL;
}

/* What the 32-bit stub copied: gs fs es ds, edi..eax, vector, error, eip cs eflags [esp ss]. */
static void raw32_take(void)
{
    const u32 *r = (const u32 *)RAW;
    static const u8 order[8] = {RDI, RSI, RBP, RSP, RBX, RDX, RCX, RAX};
    int vm = r[16] >> 17 & 1;

    for (unsigned i = 0; i < 8; i++)
        ctx->gpr[order[i]] = r[4 + i];
    ctx->gs = (u16)r[0];
    ctx->fs = (u16)r[1];
    ctx->es = (u16)r[2];
    ctx->ds = (u16)r[3];
    ctx->vector = r[12];
    ctx->error = r[13];
    ctx->rip = r[14];
    ctx->cs = (u16)r[15];
    ctx->rflags = r[16];
    if (vm || ctx->cs & 3) {
        ctx->gpr[RSP] = r[17];
        ctx->ss = (u16)r[18];
    } else {
        ctx->gpr[RSP] += 20; /* vector, error and the frame */
    }
    if (vm) {
        ctx->es = (u16)r[19];
        ctx->ds = (u16)r[20];
        ctx->fs = (u16)r[21];
        ctx->gs = (u16)r[22];
    }
}

/* gs fs es ds (words), edi..eax (doublewords), vector, ip cs flags. */
static void raw16_take(void)
{
    const u16 *r = (const u16 *)RAW;
    static const u8 order[8] = {RDI, RSI, RBP, RSP, RBX, RDX, RCX, RAX};

    for (unsigned i = 0; i < 8; i++)
        ctx->gpr[order[i]] = r[4 + 2 * i] | (u32)r[5 + 2 * i] << 16;
    ctx->gs = r[0];
    ctx->fs = r[1];
    ctx->es = r[2];
    ctx->ds = r[3];
    ctx->vector = r[20];
    ctx->error = 0;
    ctx->rip = r[21];
    ctx->cs = r[22];
    ctx->rflags = r[23];
    ctx->ss = r[0x30];
    ctx->gpr[RSP] += 8;
}

void enter_long(void);
void enter_legacy(void);

u64 resume(const u8 *code, const u8 *end, enum mode m)
{
    if (cr4_get() & 1 << 21) /* SMAP: the snippet's page is a user page */
        __asm__ volatile("stac");
    memcpy((void *)CODE, code, (size_t)(end - code));
    if (m < PM32) {
        enter_long();
    } else {
        enter_legacy();
        if (m == REAL || m == UNREAL)
            raw16_take();
        else
            raw32_take();
    }
    return ctx->vector;
}

u64 run_at(const u8 *code, const u8 *end, enum mode m)
{
    prepare(m);
    return resume(code, end, m);
}

u64 try_at(const u8 *code, const u8 *end, enum mode m, u64 va)
{
    prepare(m);
    ctx->gpr[RBX] = va;
    resume(code, end, m);
    return ctx->vector << 16 | ctx->error;
}

/* ---- CPUID and MSRs
 * ----------------------------------------------------------------------------- */
struct cpuid cpuid(u32 leaf, u32 sub)
{
    struct cpuid r;

    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(sub));
    return r;
}

int is_amd(void)
{
    u32 b = cpuid(0, 0).b;

    return b == 0x68747541 || b == 0x6f677948; /* Auth, Hygo */
}

u64 rdmsr(u32 msr)
{
    u32 lo, hi;

    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (u64)hi << 32 | lo;
}

SNIP(64, snip_rdmsr, "rdmsr");
SNIP(64, snip_wrmsr, "wrmsr");

u64 rdmsr_safe(u32 msr, u64 *vector)
{
    prepare(LONG0);
    ctx->gpr[RCX] = msr;
    *vector = RESUME(snip_rdmsr, LONG0);
    return (ctx->gpr[RDX] & 0xffffffff) << 32 | (ctx->gpr[RAX] & 0xffffffff);
}

u64 wrmsr_safe(u32 msr, u64 v)
{
    prepare(LONG0);
    ctx->gpr[RCX] = msr;
    ctx->gpr[RAX] = (u32)v;
    ctx->gpr[RDX] = v >> 32;
    return RESUME(snip_wrmsr, LONG0);
}
