/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Performance counters: AMD's four count retired instructions and cycles; Intel's are absent, as leaf 0AH says
 * (APM volume 2, 13.2; SDM volume 3, 18.2). Trap list: "RDPMC".
 */
#include "tests/unit/cpu/rig.h"

#include "cpu-worker/interp/msr.h"

#define CTL(EVENT) (1ull << 22 | 3ull << 16 | (EVENT))

GUEST(g_count, "mov $1, %ecx; rdpmc; mov %eax, %esi; nop; nop; mov (%rsp), %ebx; inc %ebx; jmp 1f; 1: nop; rdpmc; sub %esi, %eax\n"
      "mov %eax, %edi; mov $4, %ebp; 2: dec %ebp; jnz 2b; rdpmc; sub %esi, %eax; " STOP);
GUEST(g_still, "mov $2, %ecx; rdpmc; mov %eax, %esi; nop; nop; rdpmc; sub %esi, %eax; " STOP);
GUEST(g_index, "mov $4, %ecx; rdpmc");
GUEST(u_pmc, "xor %ecx, %ecx; rdpmc; int $0x80");

static uint64_t rd(uint32_t msr)
{
    uint64_t v = 0x5a5a;
    msr_read(rig.cpu, msr, &v);
    return v;
}
static void amd(void)
{
    rig.cpu->vendor = ABI_CPU_AMD;
    LOAD(g_count);
    msr_write(rig.cpu, PERF_CTL0 + 1, CTL(0xc0));
    msr_write(rig.cpu, PERF_CTL0 + 5, 1000);
    int v = rig_run();
    ok(v == STOPPED && same_u64("first", rig_reg(RDI), 8) && same_u64("second", rig_reg(RAX), 8 + 1 + 1 + 1 + 1 + 8),
       "retired instructions, to the one");
    LOAD(g_still);
    msr_write(rig.cpu, PERF_CTL0 + 2, CTL(0x99));
    ok(rig_run() == STOPPED && rig_reg(RAX) == 0, "an event that never happens");
    LOAD(g_still);
    msr_write(rig.cpu, PERF_CTL0 + 2, CTL(0x76));
    ok(rig_run() == STOPPED && rig_reg(RAX) > 0, "cycles");
    msr_write(rig.cpu, PERF_CTL0 + 2, CTL(0x76) & ~(1ull << 22));
    uint64_t a = rd(PERF_CTL0 + 6);
    ok(a && a == rd(PERF_CTL0 + 6), "a counter that is switched off keeps its value");
    msr_write(rig.cpu, PERF_CTL0 + 3, ~0ull);
    msr_write(rig.cpu, PERF_CTL0 + 7, ~0ull);
    ok(same_u64("ctl", rd(PERF_CTL0 + 3), 0x00000f00ffffffff), "the event select keeps the bits it has");
    msr_write(rig.cpu, PERF_CTL0 + 3, 0);
    msr_write(rig.cpu, PERF_CTL0 + 7, ~0ull);
    ok(same_u64("ctr", rd(PERF_CTL0 + 7), (1ull << 48) - 1), "a counter has 48 bits");
    LOAD(g_index);
    ok(rig_run() == 13, "RDPMC of a fifth: #GP");
}
static void rights(void)
{
    LOAD_USER(u_pmc);
    ok(rig_run() == 13, "RDPMC at CPL 3: #GP");
    LOAD_USER(u_pmc);
    rig.cpu->s->cr4 |= 0x100;
    cpu_state_load(rig.cpu);
    ok(rig_run() == 0x80, "... allowed by CR4.PCE");
}
static void intel(void)
{
    uint64_t v;
    rig.cpu->vendor = ABI_CPU_INTEL;
    LOAD(g_still);
    ok(rig_run() == 13 && !msr_read(rig.cpu, 0xc1, &v) && !msr_read(rig.cpu, 0x186, &v) && !msr_read(rig.cpu, PERF_CTL0, &v),
       "Intel: leaf 0AH has no counters, RDPMC and the MSRs are #GP");
}

int main(void)
{
    LOAD(g_index);
    amd();
    rights();
    intel();
    return ctest_done();
}
