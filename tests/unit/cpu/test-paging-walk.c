/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page walker and the control-register rules by themselves: 32-bit, PAE, 4- and 5-level tables written
 * into the bare engine's memory, every kind of page, reserved bits, protection keys, SMAP, accessed and
 * dirty bits (SDM volume 3, 2.5 and chapter 4).
 */
#include <string.h>
#include <unistd.h>
#include "cpu-worker/mmu/control.h"
#include "cpu-worker/mmu/walk.h"
#include "tests/unit/cpu/rig.h"

#define T1 0x100000u /* tables, outside everything the rig uses */
#define T2 0x101000u
#define T3 0x102000u
#define T4 0x103000u
#define T5 0x104000u
#define FRAME 0x200000ull
#define NX (1ull << 63)
#define VA4 0x8000ull /* index 8 of the lowest table, 0 above */
#define OK (-1)

static struct cpu *c;
static struct abi_vcpu_state *s;

static void put8(uint64_t at, uint64_t v)
{
    rig_put(at, &v, 8);
}
static void put4(uint64_t at, uint32_t v)
{
    rig_put(at, &v, 4);
}
static uint64_t get8(uint64_t at)
{
    uint64_t v;
    memcpy(&v, rig.ram + at, 8);
    return v;
}
static void mode(uint64_t cr4, uint64_t efer)
{
    static const uint8_t nothing[1];
    rig_load(nothing, 1);
    c = rig.cpu;
    s = c->s;
    s->cr0 = 0x80010011;
    s->cr4 = cr4;
    s->efer = efer;
    s->cr3 = T1;
    s->pkru = 0;
    memset(rig.ram + T1, 0, 0x6000);
}
static struct walk wk;
/* OK, or the error code of the fault. */
static int walk(uint64_t va, enum mmu_access acc, unsigned rights)
{
    page_rights_update(c);
    c->ctx = (c->ctx & ~3u) | rights;
    return walk_page(c, va, acc, &wk) ? OK : (int)wk.error;
}
static void is(int got, int want, const char *name)
{
    ok(same_u64("error", (uint64_t)(int64_t)got, (uint64_t)(int64_t)want), "%s", name);
}
static void gpa_is(uint64_t va, uint64_t want, const char *name)
{
    int r = walk(va, MMU_READ, CTX_SYSTEM);
    ok(r == OK && same_u64("gpa", page_gpa(wk.page, va), want), "%s", name);
}

/* ---- 32-bit ---- */
static void two_level(void)
{
    mode(0x10, 0);
    put4(T1, T2 | 7);
    put4(T2 + 4 * 8, (uint32_t)FRAME | 7);
    gpa_is(VA4 + 5, FRAME + 5, "32-bit: 4 KiB page");
    ok((get8(T1) & 0x60) == 0x20 && (get8(T2 + 32) & 0x60) == 0x20, "32-bit: A in both, no D");
    is(walk(VA4, MMU_WRITE, CTX_USER), OK, "32-bit: write");
    ok((get8(T2 + 32) & 0x60) == 0x60, "32-bit: D");
    put4(T1 + 4, 0xc0000083 | 0x25 << 13);
    gpa_is(0x400000 + 0x123456, 0x25c0123456, "PSE-36: address bits 32 to 39");
    put4(T1 + 4, 0xc0000083 | 1u << 21);
    is(walk(0x400000, MMU_READ, CTX_SYSTEM), 9, "PSE-36: bit 21 is reserved");
    c->model.phys_bits = 36;
    put4(T1 + 4, 0xc0000083 | 0x10 << 13);
    is(walk(0x400000, MMU_READ, CTX_SYSTEM), 9, "PSE-36: address bits above MAXPHYADDR are reserved");
    put4(T1 + 4, 0xc0000083 | 0xf << 13);
    gpa_is(0x400000, 0xfc0000000, "PSE-36: ... and those below are not");
    c->model.phys_bits = 40;
    s->cr4 = 0;
    put4(T1 + 4, T2 | 0x83);
    gpa_is(0x400000 + VA4, FRAME, "32-bit: PS means nothing without CR4.PSE");
    is(walk(0x400000 + VA4, MMU_FETCH, CTX_USER), 5, "32-bit: a fetch says I only where NX or SMEP exist");
    s->cr4 = 0x100000;
    is(walk(0x400000 + VA4, MMU_FETCH, CTX_USER), 0x15, "32-bit: with SMEP it does");
}

/* ---- PAE ---- */
static void pae(void)
{
    mode(0x20, 0x800);
    s->cr0 &= ~CR0_PG;
    put8(T1, T2 | 1);
    put8(T1 + 24, T3 | 1);
    put8(T2, T4 | 7);
    put8(T4 + 64, FRAME | 7);
    put8(T3 + 8, 0x600000 | 0x87 | NX);
    ok(cr0_write(c, s->cr0 | CR0_PG), "PAE: paging goes on");
    gpa_is(VA4 + 1, FRAME + 1, "PAE: 4 KiB page");
    gpa_is(0xc0200000 + 0x1234, 0x601234, "PAE: 2 MiB page of the fourth gigabyte");
    is(walk(0xc0200000, MMU_FETCH, CTX_SYSTEM), 0x11, "PAE: NX");
    is(walk(0x40000000, MMU_WRITE, CTX_USER), 6, "PAE: PDPTE not present");
    ok(!(get8(T1) & 0x20), "PAE: a PDPTE has no accessed bit");
    put8(T1, 0);
    is(walk(VA4, MMU_READ, CTX_SYSTEM), OK, "PAE: PDPTEs are registers");
    put8(T1, T2 | 1 | 1ull << 45);
    ok(!cr3_write(c, T1) && !cr4_write(c, s->cr4 | 0x80) && s->cr4 == 0x20 && walk(VA4, MMU_READ, 0) == OK,
       "PAE: MOV CR3 and CR4 refuse a PDPTE above MAXPHYADDR, and change nothing");
    put8(T1, T2 | 3);
    ok(!cr3_write(c, T1), "PAE: bit 1 of a PDPTE is reserved");
    put8(T1, 0x1e6 | 1ull << 60);
    ok(cr3_write(c, T1) && walk(VA4, MMU_READ, 0) == 0, "PAE: one that is not present may hold anything");
    put8(T1, T2 | 1);
    ok(cr3_write(c, T1) && walk(VA4, MMU_READ, 0) == OK, "PAE: MOV CR3 loads them");
    put8(T4 + 64, FRAME | 7 | 1ull << 52);
    is(walk(VA4, MMU_READ, CTX_USER), 0xd, "PAE: bits 52 to 62 are reserved");
    put8(T4 + 64, FRAME | 7 | NX);
    s->efer = 0;
    is(walk(VA4, MMU_READ, CTX_USER), 0xd, "PAE: NX is reserved without EFER.NXE");
    put8(T2, 0x402000 | 0x87);
    is(walk(VA4, MMU_READ, CTX_SYSTEM), 9, "PAE: low address bits of a 2 MiB page are reserved");
}

/* ---- IA-32e ---- */
static void four_level(uint64_t pte)
{
    mode(0x20, 0xd01);
    put8(T1, T2 | 7);
    put8(T2, T3 | 7);
    put8(T3, T4 | 7);
    put8(T4 + 64, pte);
}
static void long_mode(void)
{
    four_level(FRAME | 7);
    gpa_is(VA4, FRAME, "4-level: 4 KiB page");
    put8(T2 + 8, 0x40000000 | 0x1087);
    gpa_is(0x40000000 + 0x1234567, 0x41234567, "1 GiB page; PAT's bit is no address");
    put8(T2 + 8, 0x40000000 | 0x2087);
    is(walk(0x40000000, MMU_READ, CTX_SYSTEM), 9, "low address bits of a 1 GiB page are reserved");
    put8(T3 + 8, 0x400000 | 0x100087);
    is(walk(0x200000, MMU_READ, CTX_SYSTEM), 9, "... of a 2 MiB page");
    put8(T1, T2 | 0x87);
    is(walk(VA4, MMU_READ, CTX_SYSTEM), 9, "PS in a PML4E is reserved");
    put8(T1, T2 | 7 | 1ull << 52 | 1ull << 62);
    is(walk(VA4, MMU_READ, CTX_SYSTEM), OK, "bits 52 to 62 are the software's");
    put8(T1, T2 | 7 | 1ull << 40);
    is(walk(VA4, MMU_READ, CTX_SYSTEM), 9, "an address above MAXPHYADDR");
    c->model.phys_bits = 46;
    put8(T1, T2 | 7);
    put8(T4 + 64, FRAME | 7 | 1ull << 40);
    gpa_is(VA4, FRAME | 1ull << 40, "MAXPHYADDR is the model's");
    c->model.phys_bits = 40;
    c->feat[FEAT_PDPE1GB >> 5] &= ~(1u << (FEAT_PDPE1GB & 31));
    put8(T2 + 8, 0x40000087);
    is(walk(0x40000000, MMU_READ, CTX_SYSTEM), 9, "without 1 GiB pages their PS is reserved");
    memcpy(c->feat, c->model.feat, sizeof(c->feat));
}
static void rights(void)
{
    four_level(FRAME | 7);
    put8(T3, T4 | 5);
    is(walk(VA4, MMU_WRITE, CTX_USER), 7, "a read-only table makes all below it read-only");
    is(walk(VA4, MMU_WRITE, CTX_SYSTEM), 3, "... for the supervisor with WP");
    ok((get8(T4 + 64) & 0x60) == 0, "an access that is refused sets neither A nor D in the leaf");
    put8(T3, T4 | 3);
    is(walk(VA4, MMU_READ, CTX_USER), 5, "a supervisor table hides all below it");
    put8(T3, T4 | 7 | NX);
    is(walk(VA4, MMU_FETCH, CTX_USER), 0x15, "NX in a table");
    put8(T3, T4 | 7);
    s->cr4 |= CR4_SMAP;
    is(walk(VA4, MMU_READ, CTX_SYSTEM), 1, "SMAP: read");
    is(walk(VA4, MMU_WRITE, CTX_SYSTEM), 3, "SMAP: write");
    is(walk(VA4, MMU_WRITE, CTX_AC), OK, "SMAP: AC allows");
    is(walk(VA4, MMU_FETCH, CTX_SYSTEM), OK, "SMAP is not about fetches");
    s->cr0 &= ~CR0_WP;
    put8(T4 + 64, FRAME | 5);
    is(walk(VA4, MMU_WRITE, CTX_SYSTEM), 3, "SMAP: without WP too");
    is(walk(VA4, MMU_WRITE, CTX_AC), OK, "without WP the supervisor writes everywhere");
}
static void keys(void)
{
    four_level(FRAME | 7 | 5ull << 59);
    s->cr4 |= CR4_PKE;
    s->pkru = 1u << 10;
    is(walk(VA4, MMU_READ, CTX_USER), 0x25, "PKU: access disabled, read");
    is(walk(VA4, MMU_WRITE, CTX_SYSTEM), 0x23, "PKU: access disabled, supervisor write");
    is(walk(VA4, MMU_FETCH, CTX_USER), OK, "PKU is not about fetches");
    s->pkru = 2u << 10;
    is(walk(VA4, MMU_READ, CTX_USER), OK, "PKU: write disabled, read");
    is(walk(VA4, MMU_WRITE, CTX_USER), 0x27, "PKU: write disabled, write");
    is(walk(VA4, MMU_WRITE, CTX_SYSTEM), 0x23, "PKU: ... supervisor with WP");
    s->cr0 &= ~CR0_WP;
    is(walk(VA4, MMU_WRITE, CTX_SYSTEM), OK, "PKU: ... and without");
    s->pkru = ~0u;
    put8(T4 + 64, FRAME | 3 | 5ull << 59);
    is(walk(VA4, MMU_READ, CTX_SYSTEM), OK, "PKU is about user pages");
    is(walk(VA4, MMU_READ, CTX_USER), 5, "PKU: not said of a supervisor page");
    put8(T4 + 64, 0);
    is(walk(VA4, MMU_READ, CTX_USER), 4, "PKU: not said of a missing page");
}
static void five_level(void)
{
    four_level(FRAME | 7);
    put8(T5 + 8, T1 | 7);
    s->cr3 = T5;
    s->cr4 |= CR4_LA57;
    gpa_is(1ull << 48 | VA4, FRAME, "5-level: bits 48 to 56 choose the PML5E");
    is(walk(VA4, MMU_READ, CTX_SYSTEM), 0, "5-level: PML5E not present");
    put8(T5 + 8, T1 | 0x87);
    is(walk(1ull << 48 | VA4, MMU_READ, CTX_SYSTEM), 9, "5-level: PS is reserved");
    ok(cpu_canonical(c, 1ull << 48) && cpu_canonical(c, 0xff00000000000000) && !cpu_canonical(c, 1ull << 56),
       "5-level: 57-bit canonical addresses");
    s->cr4 &= ~CR4_LA57;
    page_rights_update(c);
    ok(!cpu_canonical(c, 1ull << 47), "4-level: 48-bit canonical addresses");
}
static void odd_tables(void)
{
    four_level(FRAME | 7);
    put8(T3, 0xa0000 | 7); /* nothing there: reads as ones */
    is(walk(VA4, MMU_READ, CTX_USER), 0xd, "a table where no memory is reads as ones");
    rig.page->map.mem[1].kind = ABI_MAP_ROM;
    rig.page->map.seq += 2;
    put8(T3, T4 | 7);
    ok(walk(VA4, MMU_WRITE, CTX_USER) == OK && !(get8(T4 + 64) & 0x60), "tables in ROM work without A and D");
    rig.page->map.mem[1].kind = ABI_MAP_RAM;
    rig.page->map.seq += 2;
}

/* The A20 gate masks the addresses of tables like all others. */
static void a20(void)
{
    four_level(FRAME | 7);
    memset(rig.ram, 0, 0x6000);
    memset(rig.ram + T1, 0, 0x6000);
    put8(0, T2 | 7);
    put8(0x1000, T3 | 7);
    put8(0x2000, T4 | 7);
    put8(0x3040, FRAME | 7);
    is(walk(VA4, MMU_READ, CTX_USER), 4, "A20 open: tables above 1 MiB");
    mmio_a20_set(&rig.mem, false);
    ok(walk(VA4, MMU_WRITE, CTX_USER) == OK && (get8(0x3040) & 0x60) == 0x60, "A20 closed: they wrap, A and D too");
    mmio_a20_set(&rig.mem, true);
}

/* ---- control registers ---- */
static void control(void)
{
    four_level(FRAME | 7);
    uint64_t cr0 = s->cr0, cr4 = s->cr4;
    c->mode |= MODE_64;
    ok(!cr0_write(c, cr0 | 1ull << 32), "CR0: upper half");
    ok(!cr0_write(c, cr0 & ~CR0_PE), "CR0: PG without PE");
    ok(!cr0_write(c, cr0 | CR0_NW), "CR0: NW without CD");
    ok(!cr0_write(c, cr0 & ~CR0_PG), "CR0: PG stays in 64-bit mode");
    ok(cr0_write(c, (cr0 | 0x8000) & ~CR0_ET) && s->cr0 == cr0, "CR0: other bits are fixed");
    ok(!cr4_write(c, cr4 & ~CR4_PAE), "CR4: PAE stays in IA-32e mode");
    ok(!cr4_write(c, cr4 | 1u << 13) && !cr4_write(c, cr4 | 1ull << 32), "CR4: bits no feature brings");
    ok(!cr4_write(c, cr4 | CR4_LA57), "CR4: LA57 without the feature");
    c->cr4_mask |= CR4_LA57;
    ok(!cr4_write(c, cr4 | CR4_LA57), "CR4: LA57 is fixed in IA-32e mode");
    c->cr4_mask &= ~CR4_LA57;
    s->cr3 = T1 | 1;
    ok(!cr4_write(c, cr4 | CR4_PCIDE), "CR4: PCIDE with a PCID in CR3");
    s->cr3 = T1;
    ok(cr4_write(c, cr4 | CR4_PCIDE), "CR4: PCIDE");
    ok(cr3_write(c, (T1 | 5) | 1ull << 63) && s->cr3 == (T1 | 5), "CR3: bit 63 is not kept");
    ok(cr4_write(c, s->cr4 | CR4_PGE), "CR4: PCIDE stays with a PCID in CR3");
    s->seg[ABI_CS].attr = 0xc09b; /* compatibility mode */
    c->mode &= ~MODE_64;
    ok(!cr0_write(c, cr0 & ~CR0_PG), "CR0: PG stays with PCIDE");
    ok(cr4_write(c, cr4) && cr0_write(c, cr0 & ~CR0_PG) && !(s->efer & EFER_LMA), "leaving IA-32e mode");
    ok(!cr4_write(c, cr4 | CR4_PCIDE), "CR4: PCIDE outside IA-32e mode");
    s->seg[ABI_TR].attr = 0x83;
    ok(!cr0_write(c, cr0), "no IA-32e mode with a 16-bit TSS");
    s->seg[ABI_TR].attr = 0x8b;
    ok(cr4_write(c, 0) && !cr0_write(c, cr0) && !(s->efer & EFER_LMA), "... nor without PAE");
    ok(cr4_write(c, cr4) && cr0_write(c, cr0) && (s->efer & EFER_LMA), "entering it");
    ok(!cr3_write(c, 1ull << 40) && !cr3_write(c, T1 | 1ull << 63), "CR3: above MAXPHYADDR");
}

int main(void)
{
    alarm(30);
    two_level();
    pae();
    long_mode();
    rights();
    keys();
    five_level();
    odd_tables();
    a20();
    control();
    return ctest_done();
}
