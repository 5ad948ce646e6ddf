/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accesses that are not one aligned piece of memory: LOCK across pages, on ROM and over code, alignment
 * checks of CPL 3 (SDM volume 3, 6.15 "Interrupt 17"), and which fault an address that is not canonical
 * raises.
 */
#include <string.h>
#include <unistd.h>
#include "cpu-worker/mmu/control.h"
#include "tests/unit/cpu/rig.h"

#define PAGE(n) (0x1000000ull + (n)*0x1000ull)

/* ---- LOCK ---- rdi = two bytes before a page's end, a doubleword 0x00010002 there, or all ones. */
GUEST(g_lock,
      "mov $5, %eax; lock xadd %eax, (%rdi); lock addl $1, (%rdi); lock btsl $31, (%rdi); lock incl (%rdi)\n"
      "mov $7, %ebx; xchg %ebx, (%rdi); mov $7, %eax; mov $9, %ecx; lock cmpxchg %ecx, (%rdi)\n"
      "mov (%rdi), %edx; " STOP);
static void lock_split(unsigned second, const char *name)
{
    uint32_t v = 0x10002;
    LOAD(g_lock);
    rig_map(0, PAGE(4) | 3);
    rig_map(1, PAGE(second) | 3);
    rig.cpu->gpr[RDI] = RIG_VA + 0xffe;
    rig_put(PAGE(4) + 0xffe, &v, 2);
    rig_put(PAGE(second), (uint8_t *)&v + 2, 2);
    ok(rig_run() == STOPPED && same_u64("xadd", rig_reg(RBX), 0x80010009) && rig_reg(RDX) == 9 &&
           rig_reg(RAX) == 7 && !rig.cpu->rmw_alone, "LOCK over two pages: %s", name);
}
GUEST(g_lock_one, "lock addl $1, (%rdi); xchg %eax, (%rdi); " STOP);
static void locks(void)
{
    lock_split(5, "adjacent in memory");
    lock_split(9, "apart");
    LOAD(g_lock_one);
    rig_map(0, PAGE(4) | 3);
    rig_map(1, PAGE(9) | 1);
    rig.cpu->gpr[RDI] = RIG_VA + 0xffe;
    ok(rig_run() == 14 && rig_stack(0) == 3 && rig.cpu->s->cr2 == RIG_VA + 0x1000 &&
           !rig_mem32(PAGE(4) + 0xffc) && !rig.cpu->rmw_alone, "LOCK whose second page is read-only changes nothing");
    LOAD(g_lock_one);
    struct abi_addr_map old = rig.page->map, *m = &rig.page->map;
    m->mem[1].size -= 0x1000; /* the last 4 KiB become ROM */
    m->mem[2] = (struct abi_map_entry){RIG_RAM - 0x1000, 0x1000, ABI_MAP_ROM, 0, RIG_RAM - 0x1000};
    m->count = 3;
    m->seq += 2;
    rig.cpu->gpr[RDI] = RIG_RAM - 0x100;
    rig.cpu->gpr[RAX] = 55;
    ok(rig_run() == STOPPED && rig_reg(RAX) == 0 && !rig_mem32(RIG_RAM - 0x100), "LOCK on ROM reads and writes nothing");
    uint32_t seq = m->seq + 2;
    *m = old;
    m->seq = seq;
}

/* ---- alignment ---- */
GUEST(g_ac, "pushf; orl $0x40000, (%rsp); popf; .fill 12, 1, 0x90; int $0x80");
static const struct {
    const char *name;
    uint8_t insn[8];
    uint8_t align; /* of the address in rdi; 1: never checked */
} forms[] = {
    {"MOV r16", {0x66, 0x8b, 0x07}, 2},
    {"MOV r32", {0x8b, 0x07}, 4},
    {"MOV m64", {0x48, 0x89, 0x07}, 8},
    {"MOV r8", {0x8a, 0x07}, 1},
    {"ADD m32", {0x01, 0x07}, 4},
    {"LOCK ADD m64", {0xf0, 0x48, 0x01, 0x07}, 8},
    {"CMPXCHG8B", {0x0f, 0xc7, 0x0f}, 8},
    {"BT m32", {0x0f, 0xba, 0x27, 3}, 4},
    {"MOVSQ", {0x48, 0xa5}, 8},
    {"MOVSB", {0xa4}, 1},
    {"STOSD", {0xab}, 4},
    {"MOVUPS load", {0x0f, 0x10, 0x07}, 16},
    {"MOVUPS store", {0x0f, 0x11, 0x07}, 16},
    {"MOVQ", {0xf3, 0x0f, 0x7e, 0x07}, 8},
    {"MOVSS", {0xf3, 0x0f, 0x10, 0x07}, 4},
    {"STMXCSR", {0x0f, 0xae, 0x1f}, 4},
    {"FLD m32", {0xd9, 0x07}, 4},
    {"FLD m64", {0xdd, 0x07}, 8},
    {"FLD m80", {0xdb, 0x2f}, 8},
    {"FILD m16", {0xdf, 0x07}, 2},
    {"FNSTENV", {0xd9, 0x37}, 4},
    {"FNSTCW", {0xd9, 0x3f}, 2},
};
static int ac_run(unsigned i, unsigned off, bool am)
{
    LOAD_USER(g_ac);
    memcpy(rig.ram + RIG_USER + 9, forms[i].insn, 8);
    for (unsigned k = 7; k && !forms[i].insn[k]; k--) /* padding: NOP */
        rig.ram[RIG_USER + 9 + k] = 0x90;
    rig.cpu->s->cr0 |= am ? CR0_AM : 0;
    rig.cpu->s->cr4 |= 0x200;
    rig_map(0, PAGE(0) | 7);
    rig.cpu->gpr[RDI] = rig.cpu->gpr[RSI] = RIG_VA + 0x100 + off;
    return rig_run();
}
static void alignment(void)
{
    for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        bool good = true;
        for (unsigned off = 0; off <= 16; off++) {
            int want = off & (forms[i].align - 1u) ? 17 : 0x80, v = ac_run(i, off, true);
            if (v != want)
                printf("#   offset %u: vector %d, want %d\n", off, v, want);
            good = good && v == want && (v != 17 || (rig_stack(0) == 0 && rig_stack(1) == RIG_USER + 9));
        }
        ok(good && ac_run(i, 1, false) == 0x80, "#AC: %s", forms[i].name);
    }
    LOAD(g_ac);
    memcpy(rig.ram + RIG_CODE + 9, forms[1].insn, 2);
    rig.cpu->s->cr0 |= CR0_AM;
    rig_map(0, PAGE(0) | 3);
    rig.cpu->gpr[RDI] = RIG_VA + 1;
    ok(rig_run() == 0x80, "#AC: not at CPL 0");
    LOAD_USER(g_ac);
    memcpy(rig.ram + RIG_USER + 9, forms[1].insn, 2);
    rig.cpu->s->cr0 |= CR0_AM;
    rig.cpu->gpr[RDI] = RIG_VA + 1;
    ok(rig_run() == 17, "#AC goes before the page fault of the same access");
}

/* ---- canonical addresses ---- */
GUEST(g_c_load, "mov (%rdi), %al; " STOP);
GUEST(g_c_end, "mov -4(%rdi), %rax; " STOP);
GUEST(g_c_rmw, "lock addq $1, -4(%rdi); " STOP);
GUEST(g_c_rbp, "mov %rdi, %rbp; mov (%rbp), %al; " STOP);
GUEST(g_c_rsp, "mov %rdi, %rsp; mov 8(%rsp), %al; " STOP);
GUEST(g_c_push, "mov %rdi, %rsp; push %rax; " STOP);
GUEST(g_c_pop, "mov %rdi, %rsp; pop %rax; " STOP);
GUEST(g_c_ret, "mov %rdi, %rsp; ret; " STOP);
GUEST(g_c_fs, "mov %fs:(%rdi), %al; " STOP);
GUEST(g_c_fsrbp, "mov %rdi, %rbp; mov %fs:(%rbp), %al; " STOP);
static void canonical(const uint8_t *code, uint64_t rdi, int want, const char *name)
{
    rig_load(code, 24);
    rig_ist(12, 1);
    rig_ist(13, 1);
    rig_ist(14, 1);
    rig.cpu->gpr[RDI] = rdi;
    int v = rig_run();
    ok(v == want && (want == 14 || rig_stack(0) == 0), "not canonical: %s (%d)", name, v);
}
static void canonicals(void)
{
    uint64_t hole = 0x800000000000;
    canonical(g_c_load, hole + 8, 13, "load, #GP");
    canonical(g_c_load, 0xffff7fffffffffff, 13, "load below the upper half, #GP");
    canonical(g_c_end, hole, 13, "load that ends in the hole: before the page fault of its first page");
    canonical(g_c_rmw, hole, 13, "LOCK the same");
    canonical(g_c_rbp, hole, 12, "by RBP, #SS");
    canonical(g_c_rsp, hole, 12, "by RSP, #SS");
    canonical(g_c_push, hole + 0x100, 12, "PUSH, #SS");
    canonical(g_c_pop, hole, 12, "POP, #SS");
    canonical(g_c_ret, hole, 12, "RET, #SS");
    canonical(g_c_fs, hole, 13, "FS, #GP");
    canonical(g_c_fsrbp, hole, 13, "FS and RBP, #GP");
}

int main(void)
{
    alarm(60);
    locks();
    alignment();
    canonicals();
    return ctest_done();
}
