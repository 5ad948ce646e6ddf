/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What faults become of each other: every pair of the double-fault table (SDM volume 3, table 6-5), a faulting
 * IRET and the blocking of NMIs (6.7.1), instructions of more than 15 bytes, UMIP. Trap list: "Nested faults";
 * "NMI blocking until IRET"; "15-byte limit #GP, prefix storms".
 */
#include "tests/unit/cpu/rig.h"

#include <string.h>
#include <unistd.h>

/* ---- the table ---- */
GUEST(f_de, "xor %ecx, %ecx; div %ecx");
GUEST(f_bp, "int3");
GUEST(f_ud, "ud2");
GUEST(f_nm, "fwait");
GUEST(f_ts, "int $0x21"); /* its gate wants IST7, which is beyond the TSS */
GUEST(f_np, "mov $0x78, %eax; mov %eax, %fs");
GUEST(f_ss, "mov $0x78, %eax; mov %eax, %ss");
GUEST(f_gp, "mov $0x800000000000, %rax; mov (%rax), %ebx");
GUEST(f_pf, "mov 0x800000, %eax");
GUEST(f_nmi, "mov $0xfee00300, %eax; movl $0x40400, (%rax); jmp 1f; 1: jmp 1b");
enum kind { BENIGN, CONTRIBUTORY, PAGE };
static const struct {
    const char *name;
    const uint8_t *code, *end;
    unsigned vector;
    enum kind kind;
} first[] = {
    {"#DE", f_de, f_de_end, 0, CONTRIBUTORY}, {"INT3", f_bp, f_bp_end, 3, BENIGN},
    {"#UD", f_ud, f_ud_end, 6, BENIGN},       {"#NM", f_nm, f_nm_end, 7, BENIGN},
    {"#TS", f_ts, f_ts_end, 10, CONTRIBUTORY}, {"#NP", f_np, f_np_end, 11, CONTRIBUTORY},
    {"#SS", f_ss, f_ss_end, 12, CONTRIBUTORY}, {"#GP", f_gp, f_gp_end, 13, CONTRIBUTORY},
    {"#PF", f_pf, f_pf_end, 14, PAGE},         {"NMI", f_nmi, f_nmi_end, 2, BENIGN},
};
static const unsigned second[] = {10, 11, 12, 13, 14};
static const char *const second_name[] = {"#TS", "#NP", "#SS", "#GP", "#PF"};

static void ist(unsigned vector, unsigned n)
{
    rig.ram[RIG_IDT + vector * 16 + 4] = (uint8_t)n;
}
/* The delivery of `vector` runs into exception `fault`: IST7 lies beyond the TSS, IST2 is not canonical, IST3
 * is a page that is not there. */
static void spoil(unsigned vector, unsigned fault)
{
    uint8_t *type = rig.ram + RIG_IDT + vector * 16 + 5;
    if (fault == 11)
        *type &= 0x7f;
    else if (fault == 13)
        *type = (uint8_t)((*type & 0xf0) | 0xc); /* a call gate */
    ist(vector, fault == 10 ? 7 : fault == 12 ? 2 : fault == 14 ? 3 : 1);
}
static void setup(unsigned i)
{
    const uint64_t hole = 0x800000000000, page = RIG_VA + 0x2000, absent = 0x00cf13000000ffff;
    rig_load(first[i].code, (unsigned)(first[i].end - first[i].code));
    rig_put(RIG_TSS + 0x2c, &hole, 8);
    rig_put(RIG_TSS + 0x34, &page, 8);
    rig_put(RIG_GDT + 0x78, &absent, 8);
    for (unsigned v = 0; v < 15; v++)
        ist(v, 1);
    ist(0x21, 7);
    rig.cpu->s->seg[ABI_TR].limit = 0x53;
    if (first[i].vector == 7)
        rig.cpu->s->cr0 |= 0xa; /* TS and MP */
    cpu_state_load(rig.cpu);
    tlb_flush_all(rig.cpu);
}
static int wanted(enum kind a, unsigned b)
{
    if (a == CONTRIBUTORY && b != 14)
        return 8;
    return a == PAGE ? 8 : (int)b;
}
static void table(void)
{
    for (unsigned i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
        bool good = true;
        for (unsigned k = 0; k < 5; k++) {
            setup(i);
            spoil(first[i].vector, second[k]);
            int want = wanted(first[i].kind, second[k]), v = rig_run();
            if (v != want || (v == 8 && !same_u64("error", rig_stack(0), 0)))
                good = false, printf("#   %s then %s: %d, not %d\n", first[i].name, second_name[k], v, want);
        }
        ok(good, "%s, then #TS #NP #SS #GP #PF in its delivery", first[i].name);
    }
    for (unsigned k = 0; k < 5; k++) {
        setup(7);
        spoil(13, 11);
        spoil(8, second[k]);
        ok(rig_run() == STOPPED && rig.cpu->shutdown, "#DF, then %s in its delivery: shutdown", second_name[k]);
    }
}

/* ---- IRET and NMI ---- the NMI handler asks for another one, then says IRET with a frame that faults. */
GUEST(g_nmi, "mov $0xfee00300, %edi; movl $0x40400, (%rdi); jmp 1f; 1: nop; jmp 1b");
GUEST(h_bad_iret, "inc %esi; cmp $2, %esi; je 1f; movl $0x40400, (%rdi); mov $0x800000, %esp; iretq; 1: " STOP);
GUEST(h_gp_iret, "inc %esi; cmp $2, %esi; je 1f; movl $0x40400, (%rdi); movw $0x1ff8, 8(%rsp); iretq; 1: " STOP);
GUEST(h_long, "inc %esi; cmp $2, %esi; je 1f; movl $0x40400, (%rdi); mov $1000, %ecx; 2: loop 2b; inc %ebp; iretq; 1: " STOP);
GUEST(h_skip, "inc %ebx; iretq");
static void nmi_handler(const uint8_t *code, const uint8_t *end)
{
    LOAD(g_nmi);
    rig_put(0x60000, code, (unsigned)(end - code));
    rig_gate(2, 0x60000, 0x8e);
    for (unsigned v = 13; v < 15; v++)
        ist(v, 1);
}
static void nmi(void)
{
    nmi_handler(h_long, h_long_end);
    ok(rig_run() == STOPPED && rig_reg(RSI) == 2 && rig_reg(RBP) == 1, "an NMI in the handler of one waits for IRET");
    nmi_handler(h_bad_iret, h_bad_iret_end);
    rig_put(0x61000, h_skip, (unsigned)(h_skip_end - h_skip));
    int v = rig_run();
    /* the page fault's frame is pushed first, then the NMI comes at its handler's first instruction */
    ok(v == STOPPED && rig_reg(RSI) == 2 && rig_stack(0) == RIG_STUBS + 16 * 14 && rig.cpu->s->cr2 == 0x800000,
       "IRET that faults at its stack lets the NMI come, before the first instruction of the handler of #PF (%d)", v);
    nmi_handler(h_gp_iret, h_gp_iret_end);
    v = rig_run();
    ok(v == STOPPED && rig_reg(RSI) == 2 && rig_stack(0) == RIG_STUBS + 16 * 13,
       "... and with a selector that is none (%d)", v);
}

/* ---- 15 bytes ---- */
static int run_bytes(uint64_t at, const uint8_t *b, unsigned len)
{
    GUEST(g_stop, STOP);
    LOAD(g_stop);
    rig_map(0, 0x200000 | 3);
    rig_map(1, 0x205000 | 3);
    for (unsigned i = 0; i < len; i++) {
        uint64_t va = at + i;
        if (va < RIG_VA)
            rig.ram[va] = b[i];
        else
            rig.ram[va < RIG_VA + 0x1000 ? 0x200000 + (va & 0xfff) : 0x205000 + (va & 0xfff)] = b[i];
    }
    rig.cpu->s->rip = at;
    cpu_state_load(rig.cpu);
    return rig_run();
}
static void length(void)
{
    static const uint64_t at[] = {RIG_CODE, RIG_VA + 0x1000 - 15, RIG_VA + 0x1000 - 14, RIG_VA + 0x1000 - 8, RIG_VA + 0x1000 - 1};
    uint8_t b[32];
    bool fits = true, over = true, longest = true;
    for (unsigned i = 0; i < 5; i++) {
        memset(b, 0x66, sizeof(b));
        b[14] = 0x90;
        memcpy(b + 15, "\x0f\x01\x1c\x25\x00\x06\x00\x00\x0f\x0b", 10);
        fits &= run_bytes(at[i], b, 25) == STOPPED;
        memset(b, 0x66, sizeof(b));
        b[15] = 0x90;
        int v = run_bytes(at[i], b, 16);
        over &= v == 13 && rig_stack(0) == 0 && same_u64("rip", rig_stack(1), at[i]);
        memset(b, 0x2e, sizeof(b));
        memcpy(b + 5, "\x81\x84\x9b\x44\x33\x22\x11\x88\x77\x66\x55", 11); /* ADD [rbx + 4*rbx + d32], i32 */
        v = run_bytes(at[i], b, 16);
        longest &= v == 13 && same_u64("rip", rig_stack(1), at[i]);
    }
    ok(fits, "15 bytes: an instruction, inside a page and over its end");
    ok(over, "15 prefixes: #GP(0) at the first");
    ok(longest, "16 bytes with displacement and immediate: #GP(0)");
    memset(b, 0x66, sizeof(b));
    LOAD(f_ud);
    rig_map(0, 0x200000 | 3);
    memset(rig.ram + 0x200000 + 0x1000 - 15, 0x66, 15);
    rig.cpu->s->rip = RIG_VA + 0x1000 - 15;
    cpu_state_load(rig.cpu);
    ok(rig_run() == 13 && rig_stack(1) == RIG_VA + 0x1000 - 15, "15 prefixes before a page that is not there: #GP, not #PF");
    LOAD(f_ud);
    rig_map(0, 0x200000 | 3);
    memset(rig.ram + 0x200000 + 0x1000 - 14, 0x66, 14);
    rig.cpu->s->rip = RIG_VA + 0x1000 - 14;
    cpu_state_load(rig.cpu);
    ok(rig_run() == 14 && rig.cpu->s->cr2 == RIG_VA + 0x1000 && rig_stack(1) == RIG_VA + 0x1000 - 14,
       "14 prefixes before it: #PF of the next page, rip at the first");
}

/* ---- UMIP ---- */
GUEST(u_sgdt, "sgdt 0x410000; int $0x80");
GUEST(u_sidt, "sidt 0x410000; int $0x80");
GUEST(u_sldt, "sldt %eax; int $0x80");
GUEST(u_sldt_m, "sldt 0x410000; int $0x80");
GUEST(u_str, "str %eax; int $0x80");
GUEST(u_smsw, "smsw %eax; int $0x80");
GUEST(u_smsw_m, "smsw 0x410000; int $0x80");
GUEST(k_all, "sgdt 0x20000; sidt 0x20010; sldt %eax; str %ebx; smsw %ecx; " STOP);
static void umip(void)
{
    static const struct {
        const char *name;
        const uint8_t *code, *end;
    } t[] = {{"SGDT", u_sgdt, u_sgdt_end}, {"SIDT", u_sidt, u_sidt_end}, {"SLDT", u_sldt, u_sldt_end},
             {"SLDT m16", u_sldt_m, u_sldt_m_end}, {"STR", u_str, u_str_end}, {"SMSW", u_smsw, u_smsw_end},
             {"SMSW m16", u_smsw_m, u_smsw_m_end}};
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        int v[2];
        for (unsigned on = 0; on < 2; on++) {
            rig_user(t[i].code, (unsigned)(t[i].end - t[i].code));
            rig.cpu->s->cr4 |= on ? 0x800 : 0;
            cpu_state_load(rig.cpu);
            v[on] = rig_run();
        }
        ok(v[0] == 0x80 && v[1] == 13 && rig_stack(0) == 0, "%s at CPL 3: with CR4.UMIP #GP(0)", t[i].name);
    }
    LOAD(k_all);
    rig.cpu->s->cr4 |= 0x800;
    cpu_state_load(rig.cpu);
    ok(rig_run() == STOPPED && rig_reg(RBX) == SEL_TSS, "UMIP is not about CPL 0");
}

int main(void)
{
    alarm(50);
    table();
    nmi();
    length();
    umip();
    return ctest_done();
}
