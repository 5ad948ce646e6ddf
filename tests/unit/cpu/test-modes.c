/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other modes: compatibility mode and back, 32-bit protected mode with segment limits, real
 * mode; and what is invalid everywhere: addresses, LOCK, instructions that CPUID does not announce.
 */
#include "tests/unit/cpu/rig.h"

#include <string.h>
#include <unistd.h>

GUEST(g_compat, "8: ljmpl *9f(%rip); 9: .long 0x100000+7f-8b; .word 0x60\n"
                "7: .code32; mov $0x12345678, %eax; inc %eax; mov %esp, %ebx; push %eax; ljmp "
                "$0x10, $0x100000+6f-8b\n"
                "6: .code64; mov $-1, %rcx; " STOP);
GUEST(g_call_far, "8: lcall *9f(%rip); mov $5, %ebx; " STOP
                  "9: .long 0x100000+7f-8b; .word 0x10\n7: mov $3, %ecx; lret");
GUEST(g_wrap32, "8: ljmpl *9f(%rip); 9: .long 0x100000+7f-8b; .word 0x60\n"
                "7: .code32; mov $0xfffffff0, %esi; mov 0x20010(%esi), %eax; lidt 0x600; ud2");

GUEST(g_user32, ".code32; mov $5, %ebx; pushl $0x77; int $0x80");
static void load_user32(const uint8_t *code, unsigned len)
{
    struct abi_segment *cs = &rig.cpu->s->seg[ABI_CS];
    rig_user(code, len);
    *cs = (struct abi_segment){.selector = SEL_UCODE32, .attr = 0xc0fb, .limit = ~0u};
    cpu_state_load(rig.cpu);
}
static void compatibility_user(void)
{
    load_user32(g_user32, (unsigned)(g_user32_end - g_user32));
    int v = rig_run();
    ok(v == 0x80 && rig_stack(0) == RIG_USER + 9 && rig_stack(1) == SEL_UCODE32 &&
           rig_stack(3) == RIG_USER + 0x10000 - 4 && rig_reg(RSP) == RIG_STACK0 - 40 &&
           (rig.cpu->mode & MODE_64),
       "INT from 32-bit user code: 64-bit frame (%d)", v);
}
/* The kernel's tables lie above 4 GiB while 32-bit code runs; here rsp0 of the TSS crosses a page.
 */
static void compatibility_high(void)
{
    const uint64_t base = 0xffff800000007ffa, rsp0 = RIG_STACK0;
    load_user32(g_user32, (unsigned)(g_user32_end - g_user32));
    ((uint64_t *)(rig.ram + 0x1000))[256] = 0xd003;
    ((uint64_t *)(rig.ram + 0xd000))[0] = 0xe003;
    ((uint64_t *)(rig.ram + 0xe000))[0] = 0x1000083;
    rig_put(0x1007ffe, &rsp0, 8);
    rig.cpu->s->seg[ABI_TR].base = base;
    int v = rig_run();
    ok(v == 0x80 && rig_reg(RSP) == RIG_STACK0 - 40, "a TSS above 4 GiB across a page (%d)", v);
}
static void compatibility(void)
{
    LOAD(g_compat);
    rig.cpu->gpr[RCX] = rig.cpu->gpr[RBX] = ~0ull;
    int v = rig_run();
    ok(v == STOPPED && rig_reg(RAX) == 0x12345679 && rig_reg(RCX) == ~0ull &&
           rig_reg(RBX) == RIG_STACK && rig_reg(RSP) == RIG_STACK - 4 &&
           rig_mem32(RIG_STACK - 4) == 0x12345679,
       "to compatibility mode and back (%d)", v);
    LOAD(g_call_far);
    v = rig_run();
    ok(v == STOPPED && rig_reg(RBX) == 5 && rig_reg(RCX) == 3 && rig_reg(RSP) == RIG_STACK,
       "far call and return (%d)", v);
    LOAD(g_wrap32);
    rig_put(0x20000, "\1\2\3\4", 4);
    v = rig_run();
    ok(rig_reg(RAX) == 0x04030201, "32-bit addresses wrap (%d)", v);
}

/* 32-bit protected mode without paging; 8-byte gates at RIG_IDT lead to 32-bit stubs. */
static void load32(const uint8_t *code, unsigned len)
{
    struct abi_vcpu_state *s;
    rig_load(code, len);
    for (unsigned v = 0; v < 256; v++) {
        uint32_t g[2] = {(uint32_t)SEL_CODE32 << 16 | (RIG_STUBS + 16 * v), 0x8e00};
        rig_put(RIG_IDT + 8 * v, g, 8);
        rig_put(RIG_STUBS + 16 * v, "\x2e\x0f\x01\x1d\x00\x06\x00\x00\x0f\x0b", 10);
    }
    s = rig.cpu->s;
    s->cr0 = 0x11;
    s->efer = 0;
    s->seg[ABI_CS] = (struct abi_segment){.selector = SEL_CODE32, .attr = 0xc09b, .limit = ~0u};
    s->idtr.limit = 0x7ff;
    cpu_state_load(rig.cpu);
}
#define LOAD32(NAME) load32(NAME, (unsigned)(NAME##_end - NAME))
#define STOP32       "lidt 0x600; ud2\n"
GUEST(g_limit, ".code32; mov $0x58, %eax; mov %eax, %ds; mov 0xffc, %ebx; mov 0xffd, %ecx");
GUEST(g_limit_w, ".code32; mov $0x58, %eax; mov %eax, %es; mov $0xffe, %edi; stosw; stosw");
GUEST(g_limit_ss, ".code32; mov $0x58, %eax; mov %eax, %ss; mov $0x1004, %esp; pop %ebx");
GUEST(g_down, ".code32; mov $0x70, %eax; mov %eax, %ds; mov 0x1000, %ebx; mov 0xfff, %bl");
GUEST(g_code_w, ".code32; movl $1, %cs:0x2000");
GUEST(g_code_limit,
      ".code32; 1: ljmp $0x68, $0xff0; .org g_code_limit+0xff0; 2: .fill 16, 1, 0x40");
GUEST(g_jmp_limit, ".code32; 1: ljmp $0x68, $8f-1b; 8: mov $0x1000, %eax; jmp *%eax");
GUEST(g_null, ".code32; xor %eax, %eax; mov %eax, %ds; mov 0x100, %ebx");
GUEST(g_pushad,
      ".code32; mov $1, %eax; pushal; mov (%esp), %ebx; popal; pushw $0x1234; pop %cx; " STOP32);
GUEST(g_into, ".code32; mov $0x7fffffff, %eax; inc %eax; into");
GUEST(g_bound, ".code32; mov $5, %eax; bound %eax, 0x600");
GUEST(g_addr16,
      ".code32; mov $0x12340010, %ebx; mov $0xfff8, %esi; addr16 mov (%bx,%si), %eax; " STOP32);
static void fault32(const uint8_t *code, const uint8_t *end, int vector, uint32_t error,
                    uint32_t off, const char *name)
{
    load32(code, (unsigned)(end - code));
    int v = rig_run();
    uint64_t sp = rig_reg(RSP);
    ok(same_u64("vector", (uint64_t)v, (uint64_t)vector) &&
           same_u64("error", rig_mem32(sp), error) && same_u64("eip", rig_mem32(sp + 4), off),
       "%s", name);
}
static void protected_mode(void)
{
    fault32(g_limit, g_limit_end, 13, 0, RIG_CODE + 13, "read beyond the limit: #GP");
    ok(rig.cpu->s->seg[ABI_DS].limit == 0xfff, "... the last doubleword inside is read");
    fault32(g_limit_w, g_limit_w_end, 13, 0, RIG_CODE + 14, "STOS beyond the limit: #GP");
    ok(rig_reg(RDI) == 0x1000, "... after one element");
    fault32(g_down, g_down_end, 13, 0, RIG_CODE + 13, "expand-down segment: below the limit");
    fault32(g_code_w, g_code_w_end, 13, 0, RIG_CODE, "write to a code segment");
    fault32(g_null, g_null_end, 13, 0, RIG_CODE + 4, "null selector");
    fault32(g_jmp_limit, g_jmp_limit_end, 13, 0, 12,
            "jump beyond the code segment: #GP at the jump");
    fault32(g_code_limit, g_code_limit_end, 13, 0, 0x1000, "running over the code segment's end");
    LOAD32(g_pushad);
    int v = rig_run();
    ok(v == STOPPED && rig_reg(RBX) == 0 && rig_reg(RAX) == 1 &&
           (rig_reg(RCX) & 0xffff) == 0x1234 && rig_reg(RSP) == RIG_STACK,
       "PUSHAD, POPAD, 16-bit pushes (%d)", v);
    LOAD32(g_into);
    v = rig_run();
    ok(v == 4 && rig_mem32((uint32_t)rig_reg(RSP)) == RIG_CODE + 7, "INTO");
    LOAD32(g_bound);
    v = rig_run();
    ok(v == 5 && rig_mem32((uint32_t)rig_reg(RSP)) == RIG_CODE + 5, "BOUND");
    LOAD32(g_addr16);
    rig_put(0x8, "\1\2\3\4", 4);
    v = rig_run();
    ok(v == STOPPED && rig_reg(RAX) == 0x04030201, "16-bit addresses wrap at 64 KiB (%d)", v);
}

/* Real mode: code at 1000:0000, stack 2000:1000, interrupt table at 0. The end is an empty IDT. */
GUEST(g_real,
      ".code16; mov $0x3000, %ax; mov %ax, %ds; movw $0x1234, 0x10; mov %ds:0x10, %bx; int $0x21\n"
      "mov $0x55, %si; pushw $0x77; pop %di; jmp 1f; nop; 1: lidtw 0x100; ud2");
GUEST(g_real_isr, ".code16; mov $0x99, %cx; iret");
GUEST(g_real_far, ".code16; ljmp $0x1100, $0x10");
GUEST(g_real_far2, ".code16; mov %cs, %ax; push %cs; pop %bx; mov $0xffff, %sp; mov $0xfff0, %di\n"
                   "mov $0x30, %cx; xor %dx, %dx; cld; rep stosb; lidtw 0x100; ud2");
static void load16(const uint8_t *code, unsigned len)
{
    struct abi_vcpu_state *s;
    rig_load(code, len);
    memset(rig.ram, 0, 0x10000);
    rig_put(0x10000, code, len);
    s = rig.cpu->s;
    s->cr0 = 0x10;
    s->efer = 0;
    s->rip = 0;
    s->gpr[RSP] = 0x1000;
    s->idtr = (struct abi_dtable){.limit = 0x3ff};
    for (unsigned i = 0; i < 6; i++)
        s->seg[i] = (struct abi_segment){.selector = i == ABI_CS   ? 0x1000
                                                     : i == ABI_SS ? 0x2000
                                                                   : 0,
                                         .attr = 0x93,
                                         .limit = 0xffff};
    s->seg[ABI_CS].base = 0x10000;
    s->seg[ABI_SS].base = 0x20000;
    cpu_state_load(rig.cpu);
}
static void real_mode(void)
{
    load16(g_real, (unsigned)(g_real_end - g_real));
    rig_put(0x21 * 4, "\0\0\0\x50", 4); /* 5000:0000 */
    rig_put(0x50000, g_real_isr, 8);
    int r = bare_run(&rig);
    ok(r == CPU_EXIT_TRIPLE_FAULT && (uint16_t)rig_reg(RBX) == 0x1234 &&
           (uint16_t)rig_reg(RCX) == 0x99 && (uint16_t)rig_reg(RSI) == 0x55 &&
           (uint16_t)rig_reg(RDI) == 0x77 && rig_reg(RSP) == 0x1000 && rig_mem32(0x30010) == 0x1234,
       "segments, INT through the vector table, IRET");
    load16(g_real_far, (unsigned)(g_real_far_end - g_real_far));
    rig_put(0x11010, g_real_far2, (unsigned)(g_real_far2_end - g_real_far2));
    r = bare_run(&rig);
    ok(r == CPU_EXIT_TRIPLE_FAULT && (uint16_t)rig_reg(RAX) == 0x1100 &&
           (uint16_t)rig_reg(RBX) == 0x1100 && (uint16_t)rig_reg(RDI) == 0x20 &&
           !(uint16_t)rig_reg(RCX) && rig.cpu->s->seg[ABI_CS].base == 0x11000,
       "far jump; indexes wrap at 64 KiB");
}

struct bytes {
    const char *name;
    uint8_t b[12];
};
/* Each must raise #UD in 64-bit mode at CPL 0. */
static const struct bytes undefined[] = {
    {"LOCK MOV", {0xf0, 0x89, 0x03}},
    {"LOCK ADD reg", {0xf0, 0x01, 0xc3}},
    {"LOCK CMP", {0xf0, 0x39, 0x03}},
    {"LOCK ADD reg, mem", {0xf0, 0x03, 0x03}},
    {"LOCK BT", {0xf0, 0x0f, 0xa3, 0x03}},
    {"LOCK NOP", {0xf0, 0x90}},
    {"LOCK JMP", {0xf0, 0xeb, 0}},
    {"LOCK POP", {0xf0, 0x8f, 0x03}},
    {"PUSH ES", {0x06}},
    {"AAA", {0x37}},
    {"DAA", {0x27}},
    {"PUSHA", {0x60}},
    {"BOUND / EVEX", {0x62, 0x03}},
    {"LES / VEX", {0xc4, 0x03}},
    {"LDS / VEX", {0xc5, 0x03}},
    {"INTO", {0xce}},
    {"AAM", {0xd4, 10}},
    {"82 group", {0x82, 0xc0, 0}},
    {"JMP far immediate", {0xea}},
    {"MOV CS", {0x8e, 0xc8}},
    {"MOV CR1", {0x0f, 0x22, 0xc8}},
    {"UD0", {0x0f, 0xff, 0xc0}},
    {"UD1", {0x0f, 0xb9, 0xc0}},
    {"UD2", {0x0f, 0x0b}},
    {"VADDPS xmm", {0xc5, 0xf8, 0x58, 0xc1}},
    {"VADDPS ymm", {0xc5, 0xfc, 0x58, 0xc1}},
    {"VZEROUPPER", {0xc5, 0xf8, 0x77}},
    {"VMOVDQU", {0xc5, 0xfa, 0x6f, 0x03}},
    {"VPXORD zmm", {0x62, 0xf1, 0x75, 0x48, 0xef, 0xc2}},
    {"KMOVW", {0xc5, 0xf8, 0x92, 0xc0}},
    {"VFMADD", {0xc4, 0xe2, 0x71, 0x98, 0xc2}},
    {"VAESENC", {0xc4, 0xe2, 0x71, 0xdc, 0xc2}},
    {"XGETBV", {0x0f, 0x01, 0xd0}},
    {"XSAVE", {0x0f, 0xae, 0x23}},
    {"XRSTOR", {0x0f, 0xae, 0x2b}},
    {"XSAVEC", {0x0f, 0xc7, 0x23}},
    {"VMCALL", {0x0f, 0x01, 0xc1}},
    {"VMXON", {0xf3, 0x0f, 0xc7, 0x33}},
    {"XBEGIN", {0xc7, 0xf8, 0, 0, 0, 0}},
    {"XTEST", {0x0f, 0x01, 0xd6}},
    {"RDPKRU", {0x0f, 0x01, 0xee}},
    {"ENCLS", {0x0f, 0x01, 0xcf}},
    {"UMWAIT", {0xf2, 0x0f, 0xae, 0xf1}},
    {"TPAUSE", {0x66, 0x0f, 0xae, 0xf1}},
    {"INCSSP", {0xf3, 0x0f, 0xae, 0xe9}},
    {"PTWRITE", {0xf3, 0x0f, 0xae, 0xe1}},
    {"ENQCMD", {0xf2, 0x0f, 0x38, 0xf8, 0x03}},
    {"VMRUN", {0x0f, 0x01, 0xd8}},
    {"RDPRU", {0x0f, 0x01, 0xfd}},
    {"XOP", {0x8f, 0xe9, 0x78, 0x01, 0xc9}},
    {"MOV DR8", {0x44, 0x0f, 0x23, 0xc0}},
    {"RSM", {0x0f, 0xaa}},
    {"GETSEC", {0x0f, 0x37}},
    {"PCONFIG", {0x0f, 0x01, 0xc5}},
    {"SAVEPREVSSP", {0xf3, 0x0f, 0x01, 0xea}},
};
/* Each is a hint that a processor without the extension ignores. */
static const struct bytes hints[] = {
    {"ENDBR64", {0xf3, 0x0f, 0x1e, 0xfa}},
    {"RDSSPQ", {0xf3, 0x48, 0x0f, 0x1e, 0xc8}},
    {"RDSSPD", {0xf3, 0x0f, 0x1e, 0xc8}},
    {"BNDMK", {0xf3, 0x0f, 0x1b, 0x03}},
    {"BNDMOV", {0x66, 0x0f, 0x1a, 0xc1}},
    {"BNDSTX", {0x0f, 0x1b, 0x03}},
    {"CLDEMOTE", {0x0f, 0x1c, 0x03}},
    {"PREFETCHT0", {0x0f, 0x18, 0x0b}},
    {"PREFETCHW", {0x0f, 0x0d, 0x0b}},
    {"PREFETCH /7", {0x0f, 0x0d, 0x3b}},
    {"reserved NOP", {0x0f, 0x19, 0xc0}},
    {"WBNOINVD", {0xf3, 0x0f, 0x09}},
    {"NOP 9 bytes", {0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0}},
    {"BND JMP", {0xf2, 0xeb, 0}},
    {"PAUSE", {0xf3, 0x90}},
};
GUEST(g_stop, STOP);
static void bytes_run(const struct bytes *t, unsigned n, int want, const char *what)
{
    unsigned bad = 0;
    for (unsigned i = 0; i < n; i++) {
        uint8_t code[32];
        unsigned len = 12;
        memcpy(code, t[i].b, 12);
        while (want == STOPPED && len > 1 && !code[len - 1])
            len--; /* a trailing 00 byte would be an instruction; the table's forms of 00 operands
                      follow */
        if (want == STOPPED && t[i].b[1] == 0x0f && t[i].b[2] == 0x1f)
            len = 9;
        if (want == STOPPED && t[i].b[1] == 0xeb)
            len = 3;
        memcpy(code + len, g_stop, (unsigned)(g_stop_end - g_stop));
        rig_load(code, 32);
        rig.cpu->gpr[RBX] = 0x20000;
        rig.cpu->gpr[RAX] = rig.cpu->gpr[RCX] = 0;
        rig.cpu->s->cr4 |= 0x200;
        cpu_state_load(rig.cpu);
        rig.cpu->gpr[RBX] = 0x20000;
        int v = rig_run();
        bool good = v == want && (want == STOPPED || same_u64("rip", rig_stack(0), RIG_CODE));
        bad += !good;
        if (!good)
            printf("#   %s: vector %d\n", t[i].name, v);
    }
    ok(!bad, "%s", what);
}

GUEST(g_cpuid,
      "mov $1, %eax; cpuid; mov %ecx, %esi; mov %edx, %r8d; mov $7, %eax; xor %ecx, %ecx; cpuid\n"
      "mov %ebx, %r9d; mov $0x80000001, %eax; cpuid; mov %ecx, %r10d; " STOP);
static void cpuid(void)
{
    LOAD(g_cpuid);
    int v = rig_run();
    uint32_t ecx = (uint32_t)rig_reg(RSI), ebx7 = (uint32_t)rig_reg(9);
    ok(v == STOPPED && !(ecx & (1u << 5 | 1u << 27)) && (ecx & 1u << 26),
       "XSAVE, but no VMX; OSXSAVE only with CR4.OSXSAVE");
    ok(!(ebx7 & (1u << 11 | 1u << 14 | 1u << 16)), "no RTM MPX AVX512F");
}

GUEST(g_jmp_bad, "mov $0x800000000000, %rax; mov $7, %ebx; jmp *%rax");
GUEST(g_call_bad, "mov $0x800000000000, %rax; mov $7, %ebx; call *%rax");
GUEST(g_ret_bad, "mov $0x800000000000, %rax; mov $7, %ebx; push %rax; ret");
GUEST(g_load_bad, "mov $0x800000000000, %rax; mov $7, %ebx; mov (%rax), %ecx");
GUEST(g_bp_bad, "mov $0x800000000000, %rbp; mov $7, %ebx; mov 8(%rbp), %ecx");
GUEST(g_push_bad, "mov $0x800000000008, %rsp; mov $7, %ebx; push %rax");
static void addresses(void)
{
    static const struct {
        const uint8_t *code, *end;
        unsigned vector, off;
        const char *name;
    } t[] = {{g_jmp_bad, g_jmp_bad_end, 13, 15, "JMP"},
             {g_call_bad, g_call_bad_end, 13, 15, "CALL"},
             {g_ret_bad, g_ret_bad_end, 13, 16, "RET"},
             {g_load_bad, g_load_bad_end, 13, 15, "load"},
             {g_bp_bad, g_bp_bad_end, 12, 15, "load by RBP: #SS"},
             {g_push_bad, g_push_bad_end, 12, 15, "PUSH: #SS"}};
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        rig_load(t[i].code, (unsigned)(t[i].end - t[i].code));
        rig_ist(12, 1);
        int v = rig_run();
        uint64_t rsp = i == 2 ? RIG_STACK - 8 : i == 5 ? 0x800000000008 : RIG_STACK;
        ok(v == (int)t[i].vector && rig_stack(0) == 0 &&
               same_u64("rip", rig_stack(1), RIG_CODE + t[i].off) &&
               same_u64("rsp", rig_stack(4), rsp),
           "not canonical: %s (%d)", t[i].name, v);
    }
}

int main(void)
{
    alarm(30);
    compatibility();
    compatibility_user();
    compatibility_high();
    protected_mode();
    real_mode();
    bytes_run(undefined, sizeof(undefined) / sizeof(undefined[0]), 6, "#UD for what is not there");
    bytes_run(hints, sizeof(hints) / sizeof(hints[0]), STOPPED, "hints are ignored");
    cpuid();
    addresses();
    return ctest_done();
}
