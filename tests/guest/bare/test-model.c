/* SPDX-License-Identifier: Apache-2.0 */
/* MSRs, CPUID, the TSC and the local APIC as a system program meets them (SDM 2, CPUID; SDM 3, 9, 10, 11.11; SDM 4). */
#include "bare.h"

#define APIC ((volatile u32 *)0xfee00000)

SNIP(64, tsc, "rdtsc");
SNIP(64, tscp, "rdtscp");
SNIP(64, pmc, "xor %ecx, %ecx; rdpmc");
SNIP(64, monitor, "mov $0x10000, %eax; xor %ecx, %ecx; xor %edx, %edx; monitor");
SNIP(64, rdpid, "rdpid %rax");
SNIP(64, serialize, ".byte 0x0f, 0x01, 0xe8");
SNIP(64, rdfsbase, "rdfsbase %rax");
SNIP(64, cpuid_user, "xor %eax, %eax; cpuid");
SNIP(64, sti_wait, "sti; mov $100000000, %ecx; 1: loop 1b; cli");
SNIP(64, rdrand, "rdrand %eax; setc %bl");

static u64 read_fault(u32 msr)
{
    u64 v;

    rdmsr_safe(msr, &v);
    return v;
}

static void msrs(void)
{
    u64 cap = rdmsr(0xfe), base = rdmsr(0x1b), v;

    check("unknown-msr", read_fault(0x12345678), 13);
    check("unknown-msr-write", wrmsr_safe(0x12345678, 0), 13);
    check("mtrr-cap-read-only", wrmsr_safe(0xfe, cap), 13);
    check("mtrr-fixed-bad-type", wrmsr_safe(0x250, 2), 13);
    check("mtrr-def-reserved", wrmsr_safe(0x2ff, 1ull << 13), 13);
    v = rdmsr(0x258);
    check("mtrr-fixed", wrmsr_safe(0x258, 0x0606060606060606), V_DONE);
    check("mtrr-fixed-value", rdmsr(0x258), 0x0606060606060606);
    wrmsr_safe(0x258, v);
    v = rdmsr(0x277);
    check("pat-power-on", v, 0x0007040600070406);
    check("pat-bad-type", wrmsr_safe(0x277, 2), 13);
    check("pat-write", wrmsr_safe(0x277, 0x0007010600070106), V_DONE);
    check("pat-value", rdmsr(0x277), 0x0007010600070106);
    wrmsr_safe(0x277, v);
    check("apic-base", base & 0x900, 0x900);
    check("apic-base-reserved", wrmsr_safe(0x1b, base | 1), 13);
    check("x2apic-msr-in-xapic", read_fault(0x802), 13);
    check("mcg-cap", read_fault(0x179), V_DONE);
    check("mc0-status-bad-write", (rdmsr(0x179) & 0xff) ? wrmsr_safe(0x401, 0x123) : 13, 13);
    check("efer-reserved", wrmsr_safe(0xc0000080, rdmsr(0xc0000080) | 1 << 9), 13);
    /* AMD's four counters are always there, Intel's when leaf 0Ah says so (APM 2, 13.2; SDM 3, 18.2) */
    check("perf-read", read_fault(is_amd() ? 0xc0010004 : 0xc1) == V_DONE, is_amd() || (cpuid(10, 0).a & 0xff));
}

static void counters(void)
{
    u64 a, b;

    cr4_put(cr4_get() | 4);
    check("tsd-rdtsc-cpl3", RUN(tsc, LONG3), 13);
    check("tsd-rdtsc-cpl0", RUN(tsc, LONG0), V_DONE);
    cr4_put(cr4_get() & ~4ull);
    check("rdtsc-cpl3", RUN(tsc, LONG3), V_DONE);
    a = ctx->gpr[RDX] << 32 | ctx->gpr[RAX];
    RUN(tsc, LONG3);
    b = ctx->gpr[RDX] << 32 | ctx->gpr[RAX];
    check("tsc-grows", b > a, 1);
    wrmsr_safe(0x10, 1ull << 40);
    check("tsc-write", rdmsr(0x10) >> 40, 1);
    wrmsr_safe(0xc0000103, 0x1234);
    RUN(tscp, LONG3);
    check("rdtscp-aux", ctx->gpr[RCX], 0x1234);
    check("rdpmc-cpl3", RUN(pmc, LONG3), 13);
    check("monitor-cpl3", RUN(monitor, LONG3), 6);
    if (cpuid(7, 0).c & 1 << 22) {
        RUN(rdpid, LONG3);
        check("rdpid", ctx->gpr[RAX], 0x1234);
    } else {
        note("rdpid", 0);
    }
    if (cpuid(7, 0).b & 2) {
        a = rdmsr(0x3b);
        check("tsc-adjust", wrmsr_safe(0x3b, a + (1ull << 41)), V_DONE);
        check("tsc-adjust-moves-tsc", rdmsr(0x10) >> 41 & 1, 1);
    } else {
        note("tsc-adjust", 0);
    }
}

static u64 or_ud(int advertised, u64 vector)
{
    return advertised ? vector != 6 : vector == 6;
}

static void leaves(void)
{
    struct cpuid l1 = cpuid(1, 0), l7 = cpuid(7, 0), e1 = cpuid(0x80000001, 0), top = cpuid(0, 0);

    check("cpuid-cpl3", RUN(cpuid_user, LONG3), V_DONE);
    check("leaf7-reachable", top.a >= 7, 1);
    check("apic-id", l1.b >> 24, APIC[0x20 / 4] >> 24);
    check("hypervisor-bit", l1.c >> 31, 1);
    check("long-mode-bit", e1.d >> 29 & 1, 1);
    check("address-widths", (cpuid(0x80000008, 0).a & 0xff) >= 36 && (cpuid(0x80000008, 0).a >> 8 & 0xff) >= 48, 1);
    check("beyond-extended", cpuid(0x80000000, 0).a >> 16, 0x8000);
    check("fsgsbase-gated", or_ud(0, RUN(rdfsbase, LONG3)), 1);
    if (l7.b & 1) {
        cr4_put(cr4_get() | 1 << 16);
        check("fsgsbase", RUN(rdfsbase, LONG3), V_DONE);
        cr4_put(cr4_get() & ~(1ull << 16));
    } else {
        note("fsgsbase", 0);
    }
    check("serialize-as-advertised", or_ud(l7.d >> 14 & 1, RUN(serialize, LONG3)), 1);
    check("rdrand-as-advertised", or_ud(l1.c >> 30 & 1, RUN(rdrand, LONG3)), 1);
    check("xsave-leaf", l1.c & 1 << 26 ? cpuid(13, 0).a & 3 : 3, 3);
    check("avx-needs-xsave", !(l1.c & 1 << 28) || l1.c & 1 << 26, 1);
    check("amd-leaf-edx", is_amd() ? (e1.d & 0x0183f3ff) == (l1.d & 0x0183f3ff) : 1, 1);
}

static void apic(void)
{
    u64 base = rdmsr(0x1b);

    APIC[0xf0 / 4] = 0x1ff;
    check("apic-version", APIC[0x30 / 4] >> 16 & 0xff, is_amd() ? APIC[0x30 / 4] >> 16 & 0xff : 5);
    APIC[0x3e0 / 4] = 0xb;
    APIC[0x320 / 4] = 0x61;
    APIC[0x380 / 4] = 1000;
    check("timer-one-shot", RUN(sti_wait, LONG0), 0x61);
    check("isr-set", APIC[(0x100 + 0x10 * 3) / 4] >> 1 & 1, 1);
    APIC[0xb0 / 4] = 0;
    check("eoi-clears-isr", APIC[(0x100 + 0x10 * 3) / 4] >> 1 & 1, 0);
    APIC[0x280 / 4] = 0;
    APIC[0x300 / 4] = 0x44005; /* vector 5: below 16 */
    APIC[0x280 / 4] = 0;
    check("esr-send-illegal", APIC[0x280 / 4] & 0x20, 0x20);
    if (cpuid(1, 0).c & 1 << 24) {
        APIC[0x320 / 4] = 0x40062;
        wrmsr_safe(0x6e0, rdmsr(0x10) + 10000);
        check("tsc-deadline", RUN(sti_wait, LONG0), 0x62);
        APIC[0xb0 / 4] = 0;
        check("tsc-deadline-disarms", rdmsr(0x6e0), 0);
    } else {
        note("tsc-deadline", 0);
    }
    APIC[0x320 / 4] = 0x10000;
    if (cpuid(1, 0).c & 1 << 21) {
        check("x2apic-on", wrmsr_safe(0x1b, base | 0x400), V_DONE);
        check("x2apic-id", read_fault(0x802), V_DONE);
        check("x2apic-icr-high-gone", read_fault(0x831), 13);
        check("x2apic-reserved-bits", wrmsr_safe(0x808, 0x100), 13);
        check("x2apic-self-ipi", (wrmsr_safe(0x83f, 0x63), RUN(sti_wait, LONG0)), 0x63);
        wrmsr_safe(0x80b, 0);
        check("x2apic-eoi-nonzero", wrmsr_safe(0x80b, 1), 13);
        check("x2apic-to-xapic", wrmsr_safe(0x1b, base), 13);
        wrmsr_safe(0x1b, base & ~0x800ull);
        wrmsr_safe(0x1b, base);
    } else {
        note("x2apic-on", 0);
    }
}

SUBJECT(model)
{
    msrs();
    counters();
    leaves();
    apic();
}
