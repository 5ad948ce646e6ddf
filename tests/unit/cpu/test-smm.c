/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System management mode: entry, the save areas, RSM into every mode, what waits for RSM, relocation of
 * SMBASE, the halt flag, SMRAM, and save areas no processor can come back from. Owns the handlers' code;
 * must never look at the host's processor.
 */
#include "tests/unit/cpu/rig32.h"

#include <string.h>
#include <unistd.h>
#include "cpu-worker/run/smm.h"

#define BASE   0x30000u
#define AREA   (BASE + 0xfe00u)
#define MARK   0x28000u /* what handlers leave */
#define STOP16 "lidtl 0x600; ud2\n"
#define ICR    "0xfee00300"

GUEST(g_wait, "inc %ebx; inc %ebx; " STOP);
GUEST(g_wait32, ".code32; inc %ebx; inc %ebx; " STOP32);
GUEST(g_wait16, ".code16; inc %ebx; inc %ebx; lidtl 0x600; ud2");
GUEST(h_stop, ".code16; " STOP16);
GUEST(h_rsm, ".code16; addr32 incl 0x28000; mov $0x77777777, %ebx; mov $0x1234, %sp; rsm");

/* Loaded code with a handler at SMBASE + 8000h and an SMI that waits. */
static void handler(uint32_t base, const uint8_t *code, const uint8_t *end)
{
    rig_put(base + 0x8000, code, (unsigned)(end - code));
}
#define HANDLER(NAME) handler(BASE, NAME, NAME##_end)
static void smi(void)
{
    chipset_smi_request(rig.cs, 0);
}
static uint64_t mem(uint64_t gpa, unsigned size)
{
    uint64_t v = 0;
    memcpy(&v, rig.ram + gpa, size);
    return v;
}
static bool in_smm(void)
{
    return rig.cpu->s->smm & ABI_SMM_ACTIVE;
}

static void entry(void)
{
    LOAD(g_wait);
    HANDLER(h_stop);
    smi();
    rig_run();
    const struct abi_vcpu_state *s = rig.cpu->s;
    const struct abi_segment *cs = &s->seg[ABI_CS], *ds = &s->seg[ABI_DS];
    ok(in_smm() && same_u64("rip", rig.cpu->rip & ~0xfull, 0x8000), "an SMI enters at SMBASE + 8000h");
    ok(cs->selector == 0x3000 && cs->base == BASE && cs->limit == ~0u && !ds->selector && !ds->base &&
           ds->limit == ~0u && !(ds->attr & ABI_SEG_DB),
       "segments: base 0 or SMBASE, 4 GiB, 16 bits");
    ok(!(s->cr0 & 0x8000000d) && (s->cr0 & 0x10010) == 0x10010 && !s->cr4 && !s->efer && s->dr[7] == 0x400 &&
           cpu_rflags(rig.cpu) == 2 && s->nmi_blocked && s->cr3 == 0x1000,
       "control registers, RFLAGS, DR7; NMIs are blocked");
    ok(s->gdtr.base == RIG_GDT && s->seg[ABI_TR].selector == SEL_TSS && rig_reg(RSP) == RIG_STACK,
       "GDTR, TR and general registers stay");
}
static void area64(void)
{
    LOAD(g_wait);
    HANDLER(h_stop);
    for (unsigned i = 8; i < 16; i++)
        rig.cpu->gpr[i] = 0x1111111111111111ull * i;
    rig.cpu->s->seg[ABI_FS].base = 0x123456789a;
    smi();
    rig_run();
    ok(same_u64("rip", mem(AREA + 0x178, 8), RIG_CODE) && same_u64("rsp", mem(AREA + 0x1d8, 8), RIG_STACK) &&
           same_u64("r8", mem(AREA + 0x1b8, 8), 0x8888888888888888) &&
           same_u64("r15", mem(AREA + 0x180, 8), 0xffffffffffffffff) && same_u64("rfl", mem(AREA + 0x170, 8), 2),
       "AMD64 save area: general registers, RIP, RFLAGS");
    ok(same_u64("cr0", mem(AREA + 0x158, 8), 0x80010011) && same_u64("cr3", mem(AREA + 0x150, 8), 0x1000) &&
           same_u64("cr4", mem(AREA + 0x148, 8), 0x2a0) && same_u64("efer", mem(AREA + 0xd0, 8), 0xd01) &&
           same_u64("dr7", mem(AREA + 0x160, 8), 0x400),
       "... control registers, EFER, DR7");
    ok(same_u64("cs", mem(AREA + 0x10, 4), 0xa09b0010) && same_u64("fs", mem(AREA + 0x48, 8), 0x123456789a) &&
           same_u64("gdtr", mem(AREA + 0x68, 8), RIG_GDT) && same_u64("tr", mem(AREA + 0x98, 8), RIG_TSS) &&
           same_u64("idtr", mem(AREA + 0x88, 8), RIG_IDT),
       "... segments and tables");
    ok(same_u64("rev", mem(AREA + 0xfc, 4), 0x20064) && same_u64("smbase", mem(AREA + 0x100, 4), BASE) &&
           !mem(AREA + 0xc8, 2),
       "... revision, SMBASE, no I/O restart, not halted");
}
/* Without long mode the P6 layout is used. */
static void area32(void)
{
    uint32_t *w = &rig.cpu->feat[FEAT_LM >> 5], had = *w;
    *w &= ~(1u << (FEAT_LM & 31));
    LOAD32(g_wait32);
    HANDLER(h_stop);
    rig.cpu->gpr[RCX] = 0xc0ffee;
    smi();
    rig_run();
    ok(same_u64("eip", mem(AREA + 0x1f0, 4), RIG_CODE) && same_u64("ecx", mem(AREA + 0x1d4, 4), 0xc0ffee) &&
           same_u64("cr0", mem(AREA + 0x1fc, 4), 0x11) && same_u64("cs", mem(AREA + 0x1ac, 4), S_CODE) &&
           same_u64("ss", mem(AREA + 0x1b0, 4), S_DATA) && same_u64("tr", mem(AREA + 0x1c4, 4), S_TSSA) &&
           same_u64("rev", mem(AREA + 0xfc, 4), 0x20000) && same_u64("base", mem(AREA + 0xf8, 4), BASE),
       "the 32-bit save area");
    LOAD32(g_wait32);
    HANDLER(h_rsm);
    struct abi_segment before[ABI_SEGS];
    memcpy(before, rig.cpu->s->seg, sizeof(before));
    rig.cpu->gpr[RBX] = 5;
    smi();
    int v = rig_run();
    ok(v == STOPPED && mem(MARK, 4) == 1 && same_u64("ebx", rig_reg(RBX), 7) && rig_reg(RSP) == RIG_STACK &&
           !memcmp(before, rig.cpu->s->seg, 6 * sizeof(before[0])) && rig.cpu->s->gdtr.base == R32_GDT,
       "... and back from it (%d)", v);
    *w = had;
}

/* To the code and back: nothing may be different. */
static void round_trip(const char *what)
{
    struct abi_vcpu_state was = *rig.cpu->s;
    rig.cpu->gpr[RBX] = 5;
    HANDLER(h_rsm);
    smi();
    int v = rig_run();
    const struct abi_vcpu_state *s = rig.cpu->s;
    bool same = !memcmp(was.seg, s->seg, sizeof(was.seg)) && was.cr0 == s->cr0 && was.cr3 == s->cr3 &&
                was.cr4 == s->cr4 && was.efer == s->efer && was.gdtr.base == s->gdtr.base &&
                was.gpr[RSP] == rig_reg(RSP) && !s->nmi_blocked;
    ok(v == STOPPED && !in_smm() && mem(MARK, 4) == 1 && same_u64("ebx", rig_reg(RBX), 7) && same,
       "RSM into %s (%d)", what, v);
}
static void round_trips(void)
{
    LOAD(g_wait);
    round_trip("64-bit mode");
    LOAD_USER(g_wait);
    HANDLER(h_rsm);
    smi();
    int v = rig_run();
    ok(v == 13 && mem(MARK, 4) == 1 && rig_stack(2) == SEL_UCODE64 && same_u64("rip", rig_stack(1), RIG_USER + 4),
       "RSM into ring 3: LIDT is #GP there (%d)", v);
    LOAD32(g_wait32);
    round_trip("protected mode");
    LOAD32(g_wait32);
    rig_put(0x40000, g_wait16, (unsigned)(g_wait16_end - g_wait16));
    struct abi_vcpu_state *s = rig.cpu->s;
    s->cr0 = 0x10;
    s->rip = 0;
    for (unsigned i = 0; i < 6; i++)
        s->seg[i] = (struct abi_segment){.attr = 0x93, .limit = 0xffff};
    s->seg[ABI_CS] = (struct abi_segment){.selector = 0x4000, .base = 0x40000, .attr = 0x9b, .limit = 0xffff};
    cpu_state_load(rig.cpu);
    round_trip("real mode");
}

/* The handler asks for another SMI, and for an NMI, and counts what comes before it says RSM. */
GUEST(h_nested, ".code16; addr32 mov 0x28004, %eax; addr32 mov %eax, 0x28008; addr32 incl 0x28000\n"
                "addr32 cmpl $1, 0x28000; jne 1f\n"
                "addr32 movl $0x40200, " ICR "; addr32 movl $0x40400, " ICR "; jmp 2f; 2: addr32 incl 0x28004; 1: rsm");
GUEST(g_icr, "mov $0xfee00300, %eax; movl $0x40200, (%rax); inc %ebx; " STOP);
static void blocking(void)
{
    LOAD(g_wait);
    HANDLER(h_nested);
    smi();
    int v = rig_run();
    ok(v == 2 && mem(MARK, 4) == 2 && mem(MARK + 8, 4) == 1, "an SMI in SMM waits for RSM");
    ok(same_u64("rip", rig_stack(0), RIG_CODE) && rig.cpu->s->nmi_blocked, "... then the NMI that waited is taken");
    LOAD(g_wait);
    HANDLER(h_rsm);
    rig.cpu->s->nmi_blocked = 1;
    smi();
    v = rig_run();
    ok(v == STOPPED && rig.cpu->s->nmi_blocked, "blocking of NMIs comes back with RSM");
    LOAD(g_wait);
    HANDLER(h_rsm);
    rig.cpu->s->db_pending = 0x4000;
    smi();
    v = rig_run();
    ok(v == 1 && mem(MARK, 4) == 1 && rig_stack(0) == RIG_CODE && (rig.cpu->s->dr[6] & 0x4000),
       "a debug trap that waited is taken after RSM (%d)", v);
    LOAD(g_icr);
    HANDLER(h_rsm);
    rig.cpu->gpr[RBX] = 5;
    v = rig_run();
    ok(v == STOPPED && mem(MARK, 4) == 1 && rig_reg(RBX) == 6, "an IPI of delivery mode SMI");
}

GUEST(g_apm, "mov $0x55, %al; out %al, $0xb2; inc %ebx; " STOP);
static void apm(void)
{
    LOAD(g_apm);
    HANDLER(h_rsm);
    int v = rig_run();
    ok(v == STOPPED && !mem(MARK, 4), "port B2h: no SMI unless the machine asks for it");
    LOAD(g_apm);
    HANDLER(h_rsm);
    rig.page->apm_smi = 1;
    rig.cpu->gpr[RBX] = 5;
    v = rig_run();
    rig.page->apm_smi = 0;
    ok(v == STOPPED && mem(MARK, 4) == 1 && rig_reg(RBX) == 6 && mem(AREA + 0x178, 8) == RIG_CODE + 4,
       "... an SMI right after the OUT if it does");
}

GUEST(h_move, ".code16; addr32 movl $0x60000, 0x3ff00; rsm");
static void relocation(void)
{
    LOAD(g_icr);
    HANDLER(h_move);
    handler(0x60000, h_rsm, h_rsm_end);
    smi();
    int v = rig_run();
    uint64_t rip = mem(0x60000 + 0xff78, 8); /* an IPI is taken when the block that sent it ends */
    ok(v == STOPPED && mem(MARK, 4) == 1 && rig.cpu->s->smbase == 0x60000 && rip >= RIG_CODE + 11 &&
           rip < RIG_CODE + 32,
       "SMBASE moves at RSM, the next SMI is taken there (%d)", v);
}

GUEST(h_unhalt, ".code16; addr32 movb 0x3fec9, %al; addr32 movb %al, 0x28000; addr32 movb $0, 0x3fec9; rsm");
static void halted(void)
{
    LOAD(g_wait);
    HANDLER(h_unhalt);
    rig.cpu->s->halted = 1;
    rig.cpu->gpr[RBX] = 5;
    smi();
    int v = rig_run();
    ok(v == STOPPED && mem(MARK, 1) == 1 && rig_reg(RBX) == 7, "HLT: the flag is set; cleared, RSM goes on after it");
    LOAD(g_wait);
    HANDLER(h_stop);
    rig.cpu->s->halted = 1;
    smi();
    rig_run();
    bool awake = !rig.cpu->s->halted;
    ok(awake && smm_leave(rig.cpu) && rig.cpu->s->halted && rig.cpu->rip == RIG_CODE && !in_smm(),
       "... left alone, RSM halts again");
}

/* The same addresses are other memory in SMM: handler and area at A0000h, seen by it alone. */
GUEST(g_smram, "mov 0xa8000, %ebx; movl $0x1111, 0xafff8; mov $0xfee00300, %eax; movl $0x40200, (%rax)\n"
               "mov 0xa8000, %ecx; mov 0xa9000, %edx; " STOP);
GUEST(h_smram, ".code16; addr32 mov 0xa8000, %eax; addr32 mov %eax, 0x28000; addr32 movl $0x2222, 0xa9000; rsm");
static void smram_map(unsigned n, unsigned under)
{
    struct abi_addr_map *m = &rig.page->map;
    m->seq++;
    m->mem[2] = m->mem[under ? 2 : 1];
    if (under) {
        m->mem[2] = m->mem[1];
        m->mem[1] = (struct abi_map_entry){0xa0000, 0x20000, ABI_MAP_RAM, 0, 0x1000000};
    }
    m->count = under ? 3 : 2;
    m->smram[0] = (struct abi_map_entry){0xa0000, 0x20000, ABI_MAP_RAM, 0, 0xa0000};
    m->smram_count = n;
    m->seq++;
}
static void smram_run(const char *what, uint32_t outside)
{
    LOAD(g_smram);
    handler(0xa0000, h_smram, h_smram_end);
    memset(rig.ram + 0x1000000, 0x5a, 0x20000);
    rig.cpu->s->smbase = 0xa0000;
    int v = rig_run();
    uint32_t code;
    memcpy(&code, h_smram, 4);
    ok(v == STOPPED && mem(MARK, 4) == code && mem(0xa9000, 4) == 0x2222 && mem(0xafffc, 4) == 0 &&
           mem(0xaff78, 8) != 0 && same_u64("before", (uint32_t)rig_reg(RBX), outside) &&
           same_u64("after", (uint32_t)rig_reg(RCX), outside) && same_u64("stored", (uint32_t)rig_reg(RDX), outside),
       "%s (%d)", what, v);
}
static void smram(void)
{
    smram_map(1, 0);
    smram_run("SMRAM over nothing: outside SMM there is nothing", ~0u);
    smram_map(1, 1);
    smram_run("SMRAM over other memory: outside SMM it is the other", 0x5a5a5a5au);
    struct abi_addr_map *m = &rig.page->map;
    m->seq++;
    m->mem[1] = m->mem[2];
    m->count = 2;
    m->smram_count = 0;
    m->seq++;
}

/* Each handler spoils one field; RSM is then a shutdown, in SMM, at the RSM. */
GUEST(h_bad_cr4, ".code16; addr32 orl $0x80000000, 0x3ff48; rsm");
GUEST(h_bad_cr0, ".code16; addr32 andl $0xfffffffe, 0x3ff58; rsm");
GUEST(h_bad_nw, ".code16; addr32 orl $0x20000000, 0x3ff58; rsm");
GUEST(h_bad_efer, ".code16; addr32 andl $0xfffffbff, 0x3fed0; rsm");
GUEST(h_bad_pae, ".code16; addr32 andl $0xffffffdf, 0x3ff48; rsm");
GUEST(h_bad_cs, ".code16; addr32 orl $0x40000000, 0x3fe10; rsm");
GUEST(h_bad_cr3, ".code16; addr32 orl $0x80000000, 0x3ff54; rsm");
static void bad(const char *what, const uint8_t *code, const uint8_t *end)
{
    LOAD(g_wait);
    handler(BASE, code, end);
    smi();
    int r = bare_run(&rig);
    ok(r == CPU_EXIT_TRIPLE_FAULT && in_smm() && rig.cpu->rip == 0x8000u + (unsigned)(end - code) - 2,
       "RSM with %s is a shutdown", what);
}
static void bad_areas(void)
{
    bad("a reserved bit of CR4", h_bad_cr4, h_bad_cr4_end);
    bad("CR0.PG without PE", h_bad_cr0, h_bad_cr0_end);
    bad("CR0.NW without CD", h_bad_nw, h_bad_nw_end);
    bad("EFER.LMA at odds with LME and PG", h_bad_efer, h_bad_efer_end);
    bad("long mode without PAE", h_bad_pae, h_bad_pae_end);
    bad("CS.L and CS.D", h_bad_cs, h_bad_cs_end);
    bad("an address in CR3 beyond the processor's", h_bad_cr3, h_bad_cr3_end);
}

/* INIT and start-up IPIs (APM volume 2, 10.3.3): straight into what the local APIC keeps, because INIT of a bootstrap
 * processor by IPI starts the machine over. */
static void startup(uint32_t what, uint32_t vector)
{
    struct abi_lapic *l = &rig.page->chipset.lapic[0];
    l->sipi_vector = vector;
    l->pending |= what;
    rig.cpu->exit_request = 1;
}
GUEST(h_busy, ".code16; mov $100, %ecx; 1: loopl 1b; addr32 incl 0x28000; rsm");
GUEST(s_start, ".code16; mov $0x2800, %ax; mov %ax, %ds; incl 4; mov %cs, %bx; " STOP16);
static void init_waits(void)
{
    LOAD(g_wait);
    HANDLER(h_busy);
    rig_put(0x12000, s_start, (unsigned)(s_start_end - s_start));
    smi();
    startup(ABI_LAPIC_INIT | ABI_LAPIC_SIPI, 0x12);
    rig.cpu->s->smm = 0;
    struct abi_vcpu_state *s = rig.cpu->s;
    s->wait_sipi = 0;
    rig.cpu->pause_req = 0;
    smm_enter(rig.cpu); /* the INIT comes while the handler runs */
    cpu_state_save(rig.cpu);
    int v = rig_run();
    ok(mem(MARK, 4) == 1 && mem(MARK + 4, 4) == 1 && (uint16_t)rig_reg(RBX) == 0x1200 && !in_smm(),
       "INIT and a start-up IPI in SMM wait for RSM (%d)", v);
    LOAD(g_wait);
    HANDLER(h_busy);
    rig_put(0x12000, s_start, (unsigned)(s_start_end - s_start));
    rig.cpu->s->wait_sipi = 1;
    smi();
    startup(ABI_LAPIC_INIT | ABI_LAPIC_SIPI, 0x12);
    v = rig_run();
    ok(mem(MARK, 4) == 1 && mem(MARK + 4, 4) == 1 && same_u64("cs", mem(AREA + 0x18, 8), 0x12000) &&
           same_u64("rip", mem(AREA + 0x178, 8), 0),
       "an SMI while a start-up IPI is waited for is taken after it, before the first instruction (%d)", v);
}
/* A handler that another processor's INIT does not disturb has its registers back; the PDPTEs are loaded again. */
static void pae(void)
{
    LOAD32(g_wait32);
    for (uint32_t i = 0; i < 16; i++) {
        uint64_t pde = (uint64_t)i << 21 | 0x83;
        rig_put(0x35000 + 8 * i, &pde, 8);
    }
    uint64_t pdpte = 0x35001;
    rig_put(0x34000, &pdpte, 8);
    struct abi_vcpu_state *s = rig.cpu->s;
    s->cr4 = 0x20;
    s->cr3 = 0x34000;
    s->cr0 |= 0x80000000u;
    s->pdpte[0] = pdpte;
    s->pdpte[1] = s->pdpte[2] = s->pdpte[3] = 0;
    cpu_state_load(rig.cpu);
    round_trip("PAE paging");
    ok(same_u64("pdpte", rig.cpu->s->pdpte[0], 0x35001), "... with its PDPTEs");
}

GUEST(g_rsm, "rsm");
int main(void)
{
    alarm(30);
    LOAD(g_rsm);
    ok(rig_run() == 6 && rig_stack(0) == RIG_CODE, "RSM outside SMM: #UD");
    entry();
    area64();
    area32();
    round_trips();
    blocking();
    apm();
    relocation();
    halted();
    smram();
    bad_areas();
    init_waits();
    pae();
    return ctest_done();
}
