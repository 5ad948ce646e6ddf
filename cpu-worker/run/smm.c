/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See smm.h. The save area is that of AMD64 (APM volume 2, table 10-1) for processors with long mode, and that
 * of the P6 family (SDM volume 3, table 34-1) for those without. What the manuals leave reserved there, and a
 * processor needs to come back, lies where KVM and QEMU keep it. x87 and SIMD registers are the handler's.
 */
#include "cpu-worker/run/smm.h"

#include <string.h>
#include "cpu-worker/interp/handlers.h"
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/mmu/control.h"
#include "cpu-worker/run/run.h"
#include "cpu-worker/run/watch.h"

#define AREA_BASE 0xfe00u /* from SMBASE; offsets below are from here */
#define AREA_SIZE 0x200u
#define ENTRY_RIP 0x8000u
#define ATTR_REAL 0x8093u /* present, writable, accessed, 4 GiB */
#define CR0_EM 4ull
#define CR0_TS 8ull
#define DR7_FIXED 0x400u
#define REV_AMD64 0x20064u /* bit 17: SMBASE can be relocated; bit 16 clear: no restart of I/O instructions */
#define REV_P6    0x20000u

enum { A64_IO_RESTART = 0xc8, A64_HALT = 0xc9, A64_EFER = 0xd0, A64_REV = 0xfc, A64_SMBASE = 0x100,
       A64_CR4 = 0x148, A64_CR3 = 0x150, A64_CR0 = 0x158, A64_DR7 = 0x160, A64_DR6 = 0x168,
       A64_RFLAGS = 0x170, A64_RIP = 0x178, A64_RAX = 0x1f8,
       A64_GDTR = 0x60, A64_LDTR = 0x70, A64_IDTR = 0x80, A64_TR = 0x90 };
enum { P6_SMBASE = 0xf8, P6_REV = 0xfc, P6_HALT = 0x102, P6_CR4 = 0x114, P6_IDTR = 0x154, P6_TR = 0x15c,
       P6_GDTR = 0x170, P6_LDTR = 0x178, P6_SEL = 0x1a8, P6_LDTR_SEL = 0x1c0, P6_TR_SEL = 0x1c4,
       P6_DR7 = 0x1c8, P6_DR6 = 0x1cc, P6_EAX = 0x1d0, P6_EIP = 0x1f0, P6_EFLAGS = 0x1f4, P6_CR3 = 0x1f8,
       P6_CR0 = 0x1fc };

struct area {
    uint8_t b[AREA_SIZE];
};
static void put(struct area *a, unsigned at, unsigned size, uint64_t v)
{
    memcpy(a->b + at, &v, size);
}
static uint64_t get(const struct area *a, unsigned at, unsigned size)
{
    uint64_t v = 0;
    memcpy(&v, a->b + at, size);
    return v;
}

/* Physical and by the view of SMM. SMBASE need not be aligned. */
static void area_write(struct cpu *c, const struct area *a)
{
    uint64_t gpa = (uint64_t)c->s->smbase + AREA_BASE;
    unsigned n = gpa & 7 ? 1 : 8;
    for (unsigned i = 0; i < AREA_SIZE; i += n)
        mmio_write(c, gpa + i, n, get(a, i, n));
}
static void area_read(struct cpu *c, struct area *a)
{
    uint64_t gpa = (uint64_t)c->s->smbase + AREA_BASE;
    unsigned n = gpa & 7 ? 1 : 8;
    for (unsigned i = 0; i < AREA_SIZE; i += n)
        put(a, i, n, mmio_read(c, gpa + i, n));
}
static void view_set(struct cpu *c, uint32_t smm)
{
    c->s->smm = smm;
    mmio_smm_set(c->mem, smm & ABI_SMM_ACTIVE);
}

/* ---- AMD64 ---- */

/* "Unusable" is no bit there: a segment register without P is. */
static uint32_t attr_loaded(uint64_t v)
{
    uint32_t attr = (uint32_t)v & 0xf0ff;
    return attr & ABI_SEG_P ? attr : attr | ABI_SEG_UNUSABLE;
}
static unsigned seg_at64(unsigned i)
{
    return i == ABI_LDTR ? A64_LDTR : i == ABI_TR ? A64_TR : 16 * i;
}
static void save64(const struct abi_vcpu_state *s, struct area *a)
{
    for (unsigned i = 0; i < ABI_SEGS; i++) {
        unsigned at = seg_at64(i);
        put(a, at, 2, s->seg[i].selector);
        put(a, at + 2, 2, s->seg[i].attr & 0xf0ff);
        put(a, at + 4, 4, s->seg[i].limit);
        put(a, at + 8, 8, s->seg[i].base);
    }
    put(a, A64_GDTR + 4, 4, s->gdtr.limit);
    put(a, A64_GDTR + 8, 8, s->gdtr.base);
    put(a, A64_IDTR + 4, 4, s->idtr.limit);
    put(a, A64_IDTR + 8, 8, s->idtr.base);
    put(a, A64_HALT, 1, s->halted);
    put(a, A64_EFER, 8, s->efer);
    put(a, A64_REV, 4, REV_AMD64);
    put(a, A64_SMBASE, 4, s->smbase);
    put(a, A64_CR4, 8, s->cr4);
    put(a, A64_CR3, 8, s->cr3);
    put(a, A64_CR0, 8, s->cr0);
    put(a, A64_DR7, 8, s->dr[7]);
    put(a, A64_DR6, 8, s->dr[6]);
    put(a, A64_RFLAGS, 8, s->rflags);
    put(a, A64_RIP, 8, s->rip);
    for (unsigned i = 0; i < 16; i++)
        put(a, A64_RAX - 8 * i, 8, s->gpr[i]);
}
static void load64(struct abi_vcpu_state *s, const struct area *a)
{
    for (unsigned i = 0; i < ABI_SEGS; i++) {
        unsigned at = seg_at64(i);
        s->seg[i] = (struct abi_segment){.selector = (uint16_t)get(a, at, 2), .attr = attr_loaded(get(a, at + 2, 2)),
                                         .limit = (uint32_t)get(a, at + 4, 4), .base = get(a, at + 8, 8)};
    }
    s->gdtr = (struct abi_dtable){.limit = (uint32_t)get(a, A64_GDTR + 4, 2), .base = get(a, A64_GDTR + 8, 8)};
    s->idtr = (struct abi_dtable){.limit = (uint32_t)get(a, A64_IDTR + 4, 2), .base = get(a, A64_IDTR + 8, 8)};
    s->halted = get(a, A64_HALT, 1) & 1;
    s->smbase = (uint32_t)get(a, A64_SMBASE, 4);
    s->dr[7] = get(a, A64_DR7, 4);
    s->dr[6] = get(a, A64_DR6, 4);
    s->rflags = get(a, A64_RFLAGS, 8);
    s->rip = get(a, A64_RIP, 8);
    for (unsigned i = 0; i < 16; i++)
        s->gpr[i] = get(a, A64_RAX - 8 * i, 8);
}

/* ---- P6 ---- */

struct seg32 { /* where a segment's selector is, and its attributes, limit and base */
    unsigned sel, rest;
};
static struct seg32 seg_at32(unsigned i)
{
    if (i == ABI_LDTR)
        return (struct seg32){P6_LDTR_SEL, P6_LDTR};
    if (i == ABI_TR)
        return (struct seg32){P6_TR_SEL, P6_TR};
    return (struct seg32){P6_SEL + 4 * i, i < 3 ? 0x184 + 12 * i : 0x12c + 12 * (i - 3)};
}
static void save32(const struct abi_vcpu_state *s, struct area *a)
{
    for (unsigned i = 0; i < ABI_SEGS; i++) {
        struct seg32 at = seg_at32(i);
        put(a, at.sel, 4, s->seg[i].selector);
        put(a, at.rest, 4, (s->seg[i].attr & 0xf0ff) << 8); /* as in a descriptor */
        put(a, at.rest + 4, 4, s->seg[i].limit);
        put(a, at.rest + 8, 4, s->seg[i].base);
    }
    put(a, P6_GDTR, 4, s->gdtr.limit);
    put(a, P6_GDTR + 4, 4, s->gdtr.base);
    put(a, P6_IDTR, 4, s->idtr.limit);
    put(a, P6_IDTR + 4, 4, s->idtr.base);
    put(a, P6_HALT, 2, s->halted);
    put(a, P6_REV, 4, REV_P6);
    put(a, P6_SMBASE, 4, s->smbase);
    put(a, P6_CR4, 4, s->cr4);
    put(a, P6_CR3, 4, s->cr3);
    put(a, P6_CR0, 4, s->cr0);
    put(a, P6_DR7, 4, s->dr[7]);
    put(a, P6_DR6, 4, s->dr[6]);
    put(a, P6_EFLAGS, 4, s->rflags);
    put(a, P6_EIP, 4, s->rip);
    for (unsigned i = 0; i < 8; i++)
        put(a, P6_EAX + 4 * i, 4, s->gpr[i]);
}
static void load32(struct abi_vcpu_state *s, const struct area *a)
{
    for (unsigned i = 0; i < ABI_SEGS; i++) {
        struct seg32 at = seg_at32(i);
        s->seg[i] = (struct abi_segment){.selector = (uint16_t)get(a, at.sel, 2),
                                         .attr = attr_loaded(get(a, at.rest, 4) >> 8),
                                         .limit = (uint32_t)get(a, at.rest + 4, 4), .base = get(a, at.rest + 8, 4)};
    }
    s->gdtr = (struct abi_dtable){.limit = (uint32_t)get(a, P6_GDTR, 2), .base = get(a, P6_GDTR + 4, 4)};
    s->idtr = (struct abi_dtable){.limit = (uint32_t)get(a, P6_IDTR, 2), .base = get(a, P6_IDTR + 4, 4)};
    s->halted = get(a, P6_HALT, 2) & 1;
    s->smbase = (uint32_t)get(a, P6_SMBASE, 4);
    s->dr[7] = get(a, P6_DR7, 4);
    s->dr[6] = get(a, P6_DR6, 4);
    s->rflags = get(a, P6_EFLAGS, 4);
    s->rip = get(a, P6_EIP, 4);
    for (unsigned i = 0; i < 8; i++)
        s->gpr[i] = get(a, P6_EAX + 4 * i, 4);
}

/* ---- entry and exit ---- */

/* SDM volume 3, table 34-4; APM volume 2, table 10-3. Other registers, the table registers among them, stay. */
static void entry_state(struct abi_vcpu_state *s, bool lm)
{
    s->rflags = 2;
    s->rip = ENTRY_RIP;
    s->cr0 &= ~(CR0_PE | CR0_EM | CR0_TS | CR0_PG);
    s->cr4 = 0;
    if (lm)
        s->efer = 0;
    s->dr[7] = DR7_FIXED;
    for (unsigned i = ABI_ES; i <= ABI_GS; i++)
        s->seg[i] = (struct abi_segment){.attr = ATTR_REAL, .limit = ~0u};
    s->seg[ABI_CS].selector = (uint16_t)(s->smbase >> 4);
    s->seg[ABI_CS].base = s->smbase;
    s->halted = 0;
    s->nmi_blocked = 1; /* 34.8 */
}
void smm_enter(struct cpu *c)
{
    struct abi_vcpu_state *s = c->s;
    struct area a = {{0}};
    bool lm = cpu_has(c, FEAT_LM);
    chipset_smi_take(c->chipset, c->index);
    watch_disarm(c);
    cpu_state_save(c);
    if (lm)
        save64(s, &a);
    else
        save32(s, &a);
    view_set(c, ABI_SMM_ACTIVE | (s->nmi_blocked ? ABI_SMM_NMI : 0));
    area_write(c, &a);
    s->smm_db = s->db_pending; /* an SMI goes before a waiting trap (table 6-2), which is kept for later */
    s->db_pending = 0;
    entry_state(s, lm);
    cpu_state_switch(c);
}

/* What RSM looks at before it believes the area (SDM volume 3, 34.4.1). */
static void control_of(const struct cpu *c, const struct area *a, bool lm, struct control_set *n)
{
    n->cr0 = lm ? get(a, A64_CR0, 8) : get(a, P6_CR0, 4);
    n->cr3 = lm ? get(a, A64_CR3, 8) : get(a, P6_CR3, 4);
    n->cr4 = lm ? get(a, A64_CR4, 8) : get(a, P6_CR4, 4);
    n->efer = lm ? get(a, A64_EFER, 8) : c->s->efer;
    n->rflags = lm ? get(a, A64_RFLAGS, 8) : get(a, P6_EFLAGS, 4);
    n->cs_attr = lm ? (uint32_t)get(a, 16 * ABI_CS + 2, 2) : (uint32_t)get(a, seg_at32(ABI_CS).rest, 4) >> 8;
}
bool smm_leave(struct cpu *c)
{
    struct abi_vcpu_state *s = c->s;
    struct control_set n;
    struct area a;
    bool lm = cpu_has(c, FEAT_LM);
    uint32_t smm = s->smm;
    area_read(c, &a);
    control_of(c, &a, lm, &n);
    view_set(c, 0);
    if (!control_load(c, &n)) {
        view_set(c, smm);
        return false;
    }
    if (lm)
        load64(s, &a);
    else
        load32(s, &a);
    s->dr[7] = (s->dr[7] & 0xffff2bffu) | DR7_FIXED;
    s->dr[6] = (s->dr[6] & 0xe00fu) | 0xffff0ff0u;
    s->nmi_blocked = !!(smm & ABI_SMM_NMI);
    s->db_pending = s->smm_db;
    s->smm_db = 0;
    s->intr_shadow = 0;
    cpu_state_switch(c);
    return true;
}

OP(op_rsm)
{
    c->rip = c->gpr[REG_BLOCK] + o->off;
    if (!smm_active(c))
        cpu_raise(c, o, VEC_UD);
    if (!smm_leave(c))
        c->shutdown = true;
    c->exit_request = 1; /* what SMM held back is looked at now */
    return NULL;
}
