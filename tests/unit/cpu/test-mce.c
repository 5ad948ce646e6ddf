/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machine-check errors that the vmm leaves: the bank registers, #MC, shutdown without CR4.MCE or with one in
 * progress (SDM volume 3, 15.3, and chapter 6, interrupt 18).
 */
#include "tests/unit/cpu/rig.h"

#include <unistd.h>
#include "cpu-worker/interp/msr.h"

#define VAL  (1ull << 63)
#define OVER (1ull << 62)
#define UC   (1ull << 61)
#define ADDRV (1ull << 58)

GUEST(g_wait, "nop; nop; " STOP);
GUEST(g_hlt, "hlt; " STOP);
GUEST(g_iret, "inc %ebx; nop; " STOP);
GUEST(h_mc, "inc %esi; mov $0x17a, %ecx; xor %eax, %eax; xor %edx, %edx; wrmsr; iretq");

static void leave(uint32_t bank, uint64_t status, uint64_t mcg)
{
    struct abi_mce *e = &rig.page->mce[0];
    uint32_t seq = e->seq;
    *e = (struct abi_mce){.seq = seq + 1, .bank = bank, .status = status, .mcg_status = mcg, .addr = 0x1234000, .misc = 0x77};
}
static void load(const uint8_t *code, const uint8_t *end, bool mce)
{
    rig_load(code, (unsigned)(end - code));
    struct abi_vcpu_state *s = rig.cpu->s;
    s->cr4 |= mce ? 0x40 : 0;
    s->mcg_ctl = ~0ull;
    for (unsigned i = 0; i < ABI_MCE_BANKS; i++)
        s->mci_ctl[i] = ~0ull;
    cpu_state_load(rig.cpu);
}
static uint64_t rd(uint32_t msr)
{
    uint64_t v = 0x5a5a;
    msr_read(rig.cpu, msr, &v);
    return v;
}

static void uncorrected(void)
{
    load(g_wait, g_wait_end, true);
    leave(4, VAL | UC | ADDRV | 0x136, 1);
    int v = rig_run();
    ok(v == 18 && same_u64("rip", rig_stack(0), RIG_CODE) && !(rig_stack(2) & 0x10000), "an uncorrected error: #MC, no error code (%d)", v);
    ok(same_u64("status", rd(0x411), VAL | UC | ADDRV | 0x136) && same_u64("addr", rd(0x412), 0x1234000) && !rd(0x413) &&
           same_u64("mcg", rd(0x17a), 5),
       "... its bank tells, MISC only when valid; MCIP is set");
    bool amd = rig.cpu->vendor == ABI_CPU_AMD;
    rig.cpu->s->hwcr = 0;
    ok(!msr_write(rig.cpu, 0x411, 1) && msr_write(rig.cpu, 0x411, 0) && !rd(0x411), "STATUS takes zero and nothing else");
    rig.cpu->vendor = ABI_CPU_AMD;
    rig.cpu->s->hwcr = 1u << 18;
    ok(msr_write(rig.cpu, 0x411, 0x99) && rd(0x411) == 0x99, "... but on AMD with HWCR.McStatusWrEn");
    rig.cpu->vendor = amd ? ABI_CPU_AMD : ABI_CPU_INTEL;
    load(g_iret, g_iret_end, true);
    rig_put(0x60000, h_mc, (unsigned)(h_mc_end - h_mc));
    rig_gate(18, 0x60000, 0x8e);
    leave(0, VAL | UC, 1);
    ok(rig_run() == STOPPED && rig_reg(RSI) == 1 && rig_reg(RBX) == 1 && !rd(0x17a), "the handler clears MCIP and returns");
    load(g_hlt, g_hlt_end, true);
    rig.cpu->s->halted = 1;
    leave(0, VAL | UC, 1);
    ok(rig_run() == 18 && !rig.cpu->s->halted, "it ends HLT, whatever IF says");
}
static void shutdowns(void)
{
    load(g_wait, g_wait_end, false);
    leave(0, VAL | UC, 1);
    ok(rig_run() == STOPPED && rig.cpu->shutdown && rig.cpu->rip == RIG_CODE, "CR4.MCE clear: shutdown");
    load(g_wait, g_wait_end, true);
    rig.cpu->s->mcg_status = 4;
    leave(0, VAL | UC, 1);
    ok(rig_run() == STOPPED && rig.cpu->shutdown && rig.cpu->rip == RIG_CODE, "another one in progress: shutdown");
}
static void quiet(void)
{
    load(g_wait, g_wait_end, true);
    rig.cpu->s->mci_ctl[2] = 0;
    leave(2, VAL | UC, 1);
    ok(rig_run() == STOPPED && !rd(0x409) && rig.cpu->rip != RIG_CODE, "a bank whose CTL is not all ones reports nothing");
    load(g_wait, g_wait_end, true);
    leave(ABI_MCE_BANKS, VAL | UC, 1);
    ok(rig_run() == STOPPED && rig.cpu->rip != RIG_CODE, "a bank that is not there: nothing");
    load(g_wait, g_wait_end, false);
    leave(3, VAL | 0x11, 0);
    ok(rig_run() == STOPPED && rig.cpu->rip != RIG_CODE && same_u64("status", rd(0x40d), VAL | 0x11) && !rd(0x17a),
       "a corrected error is logged and nothing more");
    rig.cpu->s->mce_bank[3] = (struct abi_mce_bank){.status = VAL | 0x11};
    load(g_wait, g_wait_end, true);
    rig.cpu->s->mce_bank[3] = (struct abi_mce_bank){.status = VAL | 0x11};
    leave(3, VAL | 0x22, 0);
    ok(rig_run() == STOPPED && same_u64("status", rd(0x40d), VAL | OVER | 0x11), "a second one is lost, and OVER says so");
    load(g_wait, g_wait_end, true);
    rig.cpu->s->mce_bank[3] = (struct abi_mce_bank){.status = VAL | 0x11};
    leave(3, VAL | UC | 0x33, 0);
    ok(rig_run() == 18 && same_u64("status", rd(0x40d), VAL | OVER | UC | 0x33), "an uncorrected one goes over a corrected one");
}

int main(void)
{
    alarm(30);
    LOAD(g_wait);
    uncorrected();
    shutdowns();
    quiet();
    return ctest_done();
}
