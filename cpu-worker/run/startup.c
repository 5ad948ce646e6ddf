/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking INIT and start-up IPIs: see startup.h. Owns the values of table 9-1; must never touch the time
 * stamp counter, TSC_ADJUST, the MTRRs or the FPU at INIT, which leaves them alone.
 */
#include "cpu-worker/run/startup.h"

#include <string.h>
#include "cpu-worker/helpers/simd.h"
#include "cpu-worker/interp/cpuid.h"
#include "cpu-worker/run/run.h"
#include "cpu-worker/run/watch.h"

#define CR0_CD_NW 0x60000000ull
#define CR0_ET    0x10ull

static struct abi_segment seg_real(uint16_t selector, uint64_t base, uint32_t attr)
{
    return (struct abi_segment){.selector = selector, .base = base, .limit = 0xffff, .attr = attr};
}

static void power_on_state(struct abi_vcpu_state *s)
{
    uint64_t offset = s->tsc_offset;
    memset(s, 0, sizeof(*s));
    s->tsc_offset = offset;
    s->cr0 = CR0_CD_NW;
    s->fcw = 0x40;
    s->ftw = 0x5555;
    s->mxcsr = 0x1f80;
    s->pat = 0x0007040600070406ull;
    s->xcr0 = 1;
    s->misc_enable = 1 | 1u << 18; /* fast strings, MONITOR */
    s->smbase = ABI_SMBASE_RESET;
}

void startup_state_reset(struct abi_vcpu_state *s, bool power_on)
{
    if (power_on)
        power_on_state(s);
    memset(s->gpr, 0, sizeof(s->gpr));
    s->rip = 0xfff0;
    s->rflags = 2;
    for (unsigned i = 0; i < ABI_SEGS; i++)
        s->seg[i] = seg_real(0, 0, 0x93);
    s->seg[ABI_CS] = seg_real(0xf000, 0xffff0000u, 0x9b);
    s->seg[ABI_LDTR] = seg_real(0, 0, 0x82);
    s->seg[ABI_TR] = seg_real(0, 0, 0x8b);
    s->gdtr = s->idtr = (struct abi_dtable){.limit = 0xffff};
    s->cr0 = (s->cr0 & CR0_CD_NW) | CR0_ET;
    s->cr2 = s->cr3 = s->cr4 = s->cr8 = s->efer = 0;
    memset(s->dr, 0, sizeof(s->dr));
    s->dr[6] = 0xffff0ff0;
    s->dr[7] = 0x400;
    s->halted = s->intr_shadow = s->nmi_blocked = s->nmi_pending = s->db_pending = 0;
    s->wait_sipi = 1;
}

void startup_take(struct cpu *c)
{
    unsigned vector;
    uint32_t what = chipset_startup_take(c->chipset, c->index, &vector);
    if (what & ABI_LAPIC_INIT) {
        simd_state_save(c);
        cpu_state_save(c);
        startup_state_reset(c->s, false);
        c->s->gpr[2] = cpuid_signature(&c->model); /* EDX */
    }
    if ((what & ABI_LAPIC_SIPI) && c->s->wait_sipi) {
        c->s->wait_sipi = 0;
        c->s->rip = 0;
        c->s->seg[ABI_CS].selector = (uint16_t)(vector << 8);
        c->s->seg[ABI_CS].base = vector << 12;
    } else if (!(what & ABI_LAPIC_INIT)) {
        return; /* not waiting: a start-up IPI means nothing */
    }
    c->link_slot = NULL;
    watch_disarm(c);
    cpu_state_load(c);
    simd_state_load(c);
}
