/* SPDX-License-Identifier: Apache-2.0 */
/* See rig32.h. */
#include "tests/unit/cpu/rig32.h"

#include <string.h>

static uint64_t sysdesc(uint32_t base, uint32_t limit, unsigned attr)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)attr << 40 |
           (uint64_t)(base >> 24) << 56;
}
static uint64_t gate32(uint16_t sel, uint32_t off, unsigned attr, unsigned params)
{
    return (off & 0xffff) | (uint64_t)sel << 16 | (uint64_t)params << 32 | (uint64_t)attr << 40 |
           (uint64_t)(off >> 16) << 48;
}
void rig32_desc(uint16_t sel, uint64_t v)
{
    rig_put(R32_GDT + (sel & ~7u), &v, 8);
}
uint64_t rig32_desc_get(uint16_t sel)
{
    uint64_t v;
    memcpy(&v, rig.ram + R32_GDT + (sel & ~7u), 8);
    return v;
}
void rig32_tss(uint32_t base, unsigned off, uint32_t v)
{
    rig_put(base + off, &v, 4);
}
uint32_t rig32_stack(unsigned n)
{
    return rig_mem32((uint32_t)rig.cpu->s->seg[ABI_SS].base + (uint32_t)rig_reg(RSP) + 4 * n);
}

static void tables(void)
{
    rig32_desc(S_CODE, 0x00cf9b000000ffff);
    rig32_desc(S_DATA, 0x00cf93000000ffff);
    rig32_desc(S_UCODE, 0x00cffb000000ffff);
    rig32_desc(S_UDATA, 0x00cff3000000ffff);
    rig32_desc(S_TSSA, sysdesc(R32_TSSA, 0x67, 0x8b));
    rig32_desc(S_TSSB, sysdesc(R32_TSSB, 0x67, 0x89));
    rig32_desc(S_TSS16, sysdesc(R32_TSS16, 0x2b, 0x81));
    rig32_desc(S_TGATE, gate32(S_TSSB, 0, 0x85, 0));
    rig32_desc(S_CG32, gate32(S_CODE, R32_B, 0xec, 2));
    rig32_desc(S_CG16, gate32(S_CODE, 0x5000, 0xe4, 1));
    rig32_desc(S_CONF, 0x00cf9f000000ffff);
    rig32_desc(S_DATA16, 0x000093000000ffff);
    rig32_desc(S_TINY, 0x004093000000000f);
    rig32_tss(R32_TSSA, 4, R32_SP0);
    rig32_tss(R32_TSSA, 8, S_DATA);
    rig32_tss(R32_TSSB, 0x20, R32_B);
    rig32_tss(R32_TSSB, 0x24, 2);
    for (unsigned i = 0; i < 8; i++)
        rig32_tss(R32_TSSB, 0x28 + 4 * i, i == RSP ? R32_SPB : 0xb0 + i);
    for (unsigned i = 0; i < 6; i++)
        rig32_tss(R32_TSSB, 0x48 + 4 * i, i == ABI_CS ? S_CODE : S_DATA);
    for (unsigned v = 0; v < 256; v++) {
        uint64_t g = gate32(S_CODE, RIG_STUBS + 16 * v, v == 3 || v == 0x80 ? 0xee : 0x8e, 0);
        rig_put(RIG_IDT + 8 * v, &g, 8);
        rig_put(RIG_STUBS + 16 * v, "\x2e\x0f\x01\x1d\x00\x06\x00\x00\x0f\x0b", 10);
    }
}
static void segment(unsigned i, uint16_t sel, uint32_t attr)
{
    rig.cpu->s->seg[i] = (struct abi_segment){.selector = sel, .attr = attr, .limit = ~0u};
}
void rig32_load(const uint8_t *code, unsigned len)
{
    rig_load(code, len);
    tables();
    struct abi_vcpu_state *s = rig.cpu->s;
    s->cr0 = 0x11;
    s->cr4 = 0;
    s->efer = 0;
    s->db_pending = 0;
    s->gdtr = (struct abi_dtable){.base = R32_GDT, .limit = 0xfff};
    s->idtr.limit = 0x7ff;
    for (unsigned i = 0; i < 6; i++)
        segment(i, i == ABI_CS ? S_CODE : S_DATA, i == ABI_CS ? 0xc09b : 0xc093);
    s->seg[ABI_TR] = (struct abi_segment){.selector = S_TSSA, .attr = 0x8b, .base = R32_TSSA, .limit = 0x67};
    cpu_state_load(rig.cpu);
}
void rig32_user(void)
{
    for (unsigned i = 0; i < 6; i++)
        segment(i, i == ABI_CS ? S_UCODE : S_UDATA, i == ABI_CS ? 0xc0fb : 0xc0f3);
    cpu_state_load(rig.cpu);
}
