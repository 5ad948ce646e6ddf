/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device sees of the accesses to it: how many, of what size, in what order; and accesses of which only one
 * page is memory, may be written, or holds code (SDM volume 3, 8.1.2, 8.1.3). The accesses are counted where the
 * processor hands them over. Trap list: "LOCK on MMIO"; "second page may be MMIO or code"; "MMIO element size".
 */
#include "tests/unit/cpu/rig.h"

#include <string.h>
#include <unistd.h>

#define DEV   0xe0000000u /* 8 KiB of device, at page 1 and 2 of RIG_VA */
#define AT    "0x801000"
#define RAM_A 0x1004000u  /* page 0 */
#define RAM_B 0x1009000u  /* page 3: after the device */

static struct {
    bool write;
    uint32_t off, size;
    uint64_t value;
} seen[64];
static unsigned n_seen;
static uint8_t device[0x2000];

uint64_t __real_mmio_read(struct cpu *c, uint64_t gpa, unsigned size);
void __real_mmio_write(struct cpu *c, uint64_t gpa, unsigned size, uint64_t v);
uint64_t __wrap_mmio_read(struct cpu *c, uint64_t gpa, unsigned size);
void __wrap_mmio_write(struct cpu *c, uint64_t gpa, unsigned size, uint64_t v);

static void note(bool write, uint64_t gpa, unsigned size, uint64_t v)
{
    if (n_seen < 64) {
        seen[n_seen].write = write;
        seen[n_seen].off = (uint32_t)(gpa - DEV);
        seen[n_seen].size = size;
        seen[n_seen].value = v;
    }
    n_seen++;
}
uint64_t __wrap_mmio_read(struct cpu *c, uint64_t gpa, unsigned size)
{
    uint64_t v = 0;
    if (gpa < DEV || gpa >= DEV + sizeof(device))
        return __real_mmio_read(c, gpa, size);
    memcpy(&v, device + (gpa - DEV), size);
    note(false, gpa, size, v);
    return v;
}
void __wrap_mmio_write(struct cpu *c, uint64_t gpa, unsigned size, uint64_t v)
{
    if (gpa < DEV || gpa >= DEV + sizeof(device)) {
        __real_mmio_write(c, gpa, size, v);
        return;
    }
    memcpy(device + (gpa - DEV), &v, size);
    note(true, gpa, size, v);
}

static int run(const uint8_t *code, const uint8_t *end)
{
    rig_load(code, (unsigned)(end - code));
    rig_map(0, RAM_A | 3);
    rig_map(1, DEV | 3);
    rig_map(2, (DEV + 0x1000) | 3);
    rig_map(3, RAM_B | 3);
    rig_map(4, (RAM_B + 0x1000) | 1);
    for (unsigned i = 0; i < sizeof(device); i++)
        device[i] = (uint8_t)(i * 7 + 1);
    n_seen = 0;
    rig.cpu->s->cr4 |= 0x200;
    cpu_state_load(rig.cpu);
    return rig_run();
}
/* What was seen, as "r4@0 w4@0": one word an access. */
static bool trace_is(const char *want)
{
    char got[512] = "";
    size_t n = 0;
    for (unsigned i = 0; i < n_seen && i < 64 && n < sizeof(got) - 16; i++)
        n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%c%u@%x", i ? " " : "", seen[i].write ? 'w' : 'r', seen[i].size, seen[i].off);
    if (strcmp(got, want))
        printf("#   seen %s, not %s\n", got, want);
    return !strcmp(got, want);
}

#define ONE(NAME, BODY) GUEST(NAME, BODY "; " STOP)
ONE(d_add, "addl $5, " AT);
ONE(d_lock_add, "lock addl $5, " AT);
ONE(d_lock_inc, "lock incq " AT);
ONE(d_xchg, "xchg %ax, " AT);
ONE(d_xadd, "lock xadd %eax, " AT);
ONE(d_bts, "lock btsl $3, " AT);
ONE(d_cmpxchg_no, "xor %eax, %eax; lock cmpxchg %ebx, " AT);
ONE(d_cmpxchg8b, "xor %eax, %eax; xor %edx, %edx; mov $" AT ", %edi; lock cmpxchg8b (%rdi)");
ONE(d_neg, "lock negb " AT);
ONE(d_not, "notw " AT);
ONE(d_shl, "shll $3, " AT);
ONE(d_push, "pushq " AT);
ONE(d_popm, "pushq $-1; popq " AT);
ONE(d_cmp, "cmpb $1, " AT);
ONE(d_test, "testl $1, " AT);
ONE(d_movups, "movups " AT ", %xmm0");
ONE(d_movups_st, "movups %xmm0, " AT);
ONE(d_movsd, "movsd " AT ", %xmm0");
ONE(d_movq_mmx, "movq " AT ", %mm0; emms");
ONE(d_repmovsd, "mov $" AT ", %esi; mov $0x20000, %edi; mov $3, %ecx; rep movsl");
ONE(d_repmovsb, "mov $0x20000, %esi; mov $" AT ", %edi; mov $4, %ecx; rep movsb");
ONE(d_repstosw, "mov $" AT ", %edi; mov $3, %ecx; rep stosw");
ONE(d_down, "std; mov $" AT "+4, %edi; mov $2, %ecx; rep stosl; cld");
ONE(d_scas, "mov $" AT ", %edi; mov $4, %ecx; mov $15, %al; repne scasb");
ONE(d_odd, "mov " AT "+1, %eax");
static const struct {
    const char *name;
    const uint8_t *code, *end;
    const char *want;
} plain[] = {
#define CASE(NAME, TEXT, WANT) {TEXT, NAME, NAME##_end, WANT}
    CASE(d_add, "ADD", "r4@0 w4@0"),
    CASE(d_lock_add, "LOCK ADD", "r4@0 w4@0"),
    CASE(d_lock_inc, "LOCK INC", "r8@0 w8@0"),
    CASE(d_xchg, "XCHG", "r2@0 w2@0"),
    CASE(d_xadd, "LOCK XADD", "r4@0 w4@0"),
    CASE(d_bts, "LOCK BTS", "r4@0 w4@0"),
    CASE(d_cmpxchg_no, "LOCK CMPXCHG that does not match writes all the same", "r4@0 w4@0"),
    CASE(d_cmpxchg8b, "LOCK CMPXCHG8B that does not match writes all the same", "r8@0 w8@0"),
    CASE(d_neg, "LOCK NEG", "r1@0 w1@0"),
    CASE(d_not, "NOT", "r2@0 w2@0"),
    CASE(d_shl, "SHL", "r4@0 w4@0"),
    CASE(d_push, "PUSH m", "r8@0"),
    CASE(d_popm, "POP m", "w8@0"),
    CASE(d_cmp, "CMP reads only", "r1@0"),
    CASE(d_test, "TEST reads only", "r4@0"),
    CASE(d_movups, "MOVUPS load", "r8@0 r8@8"),
    CASE(d_movups_st, "MOVUPS store", "w8@0 w8@8"),
    CASE(d_movsd, "MOVSD load", "r8@0"),
    CASE(d_movq_mmx, "MOVQ load", "r8@0"),
    CASE(d_repmovsd, "REP MOVSD from it", "r4@0 r4@4 r4@8"),
    CASE(d_repmovsb, "REP MOVSB to it", "w1@0 w1@1 w1@2 w1@3"),
    CASE(d_repstosw, "REP STOSW", "w2@0 w2@2 w2@4"),
    CASE(d_down, "REP STOSD downwards", "w4@4 w4@0"),
    CASE(d_scas, "REPNE SCASB stops at the match", "r1@0 r1@1 r1@2"),
    CASE(d_odd, "a load that is not aligned: one access", "r4@1"),
};
static void counts(void)
{
    for (unsigned i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        int v = run(plain[i].code, plain[i].end);
        ok(v == STOPPED && trace_is(plain[i].want), "%s", plain[i].name);
    }
}

/* ---- accesses over two pages ---- */
ONE(x_load_in, "mov 0x800ffd, %rax");
ONE(x_load_out, "mov 0x802ffc, %rax");
ONE(x_store_in, "movabs $0x1122334455667788, %rax; mov %rax, 0x800ffd");
ONE(x_store_out, "movabs $0x1122334455667788, %rax; mov %rax, 0x802ffc");
ONE(x_between, "mov 0x801ffe, %eax");
ONE(x_lock, "lock addl $1, 0x800ffe");
GUEST(x_store_hole, "movabs $0x1122334455667788, %rax; mov %rax, 0x802ffc");
GUEST(x_store_ro, "movabs $0x1122334455667788, %rax; mov %rax, 0x803ffc");
GUEST(x_lock_ro, "lock addl $1, 0x803ffe");
static void crossings(void)
{
    uint64_t v;
    int r = run(x_load_in, x_load_in_end);
    ok(r == STOPPED && trace_is("r4@0 r1@4") && rig_reg(RAX) >> 24 == 0x1d160f0801ull, "load: memory, then the device in natural pieces");
    r = run(x_load_out, x_load_out_end);
    ok(r == STOPPED && trace_is("r4@1ffc"), "load: the device, then memory");
    r = run(x_store_in, x_store_in_end);
    memcpy(&v, device, 8);
    ok(r == STOPPED && trace_is("w4@0 w1@4") && (v & 0xffffffffff) == 0x1122334455 && (rig_mem32(RAM_A + 0xffc) >> 8) == 0x667788,
       "store: memory, then the device");
    r = run(x_store_out, x_store_out_end);
    ok(r == STOPPED && trace_is("w4@1ffc") && rig_mem32(RAM_B) == 0x11223344, "store: the device, then memory");
    r = run(x_between, x_between_end);
    ok(r == STOPPED && trace_is("r2@ffe r2@1000"), "load over two pages of devices");
    r = run(x_lock, x_lock_end);
    ok(r == STOPPED && trace_is("r2@0 w2@0"), "LOCK half on the device: it is read once and written once");
    rig_load(x_store_hole, (unsigned)(x_store_hole_end - x_store_hole));
    n_seen = 0;
    rig_map(2, (DEV + 0x1000) | 3);
    ok(rig_run() == 14 && rig.cpu->s->cr2 == 0x803000 && !n_seen, "store whose second page is not there: the device sees nothing");
    r = run(x_store_ro, x_store_ro_end);
    ok(r == 14 && rig.cpu->s->cr2 == 0x804000 && rig_stack(0) == 3 && !rig_mem32(RAM_B + 0xffc),
       "store whose second page is read-only: nothing is written");
    r = run(x_lock_ro, x_lock_ro_end);
    ok(r == 14 && rig.cpu->s->cr2 == 0x804000 && !rig_mem32(RAM_B + 0xffc), "LOCK whose second page is read-only: nothing is written");
}

/* Stores that run into a page with code, which is called before and after each: MOV EAX, imm; RET at page 6. */
GUEST(c_caller, "mov $0x806000, %ebx; call *%rbx; mov %eax, %esi\n"
      "movabs $0x000033b800000000, %rax; mov %rax, 0x805ffc; call *%rbx; mov %eax, %edi\n" /* B8 33 00 00 */
      "movups 0x20000, %xmm0; movups %xmm0, 0x805ff8; call *%rbx; mov %eax, %ebp\n"
      "lock orl $0x04000000, 0x805ffe; call *%rbx; " STOP); /* bit 2 of byte 1 */
GUEST(c_code, "mov $0x11111111, %eax; ret");
static void code(void)
{
    static const uint8_t vec[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0xb8, 0x70, 0, 0, 0, 0xc3, 0, 0};
    rig_load(c_caller, (unsigned)(c_caller_end - c_caller));
    rig_map(5, (RAM_B + 0x5000) | 3);
    rig_map(6, (RAM_B + 0x8000) | 3);
    rig_put(RAM_B + 0x8000, c_code, (unsigned)(c_code_end - c_code));
    rig_put(0x20000, vec, 16);
    rig.cpu->s->cr4 |= 0x200;
    cpu_state_load(rig.cpu);
    int v = rig_run();
    ok(v == STOPPED && rig_reg(RSI) == 0x11111111 && same_u64("MOV", rig_reg(RDI), 0x11000033) &&
           same_u64("MOVUPS", rig_reg(RBP), 0x70) && same_u64("LOCK", rig_reg(RAX), 0x74),
       "stores that run into a page with code change what runs next (%d)", v);
}

/* Code in the last 4 KiB, which are ROM and then RAM: a store to it is lost, and then it is not; what was decoded in
 * the one view does not live on in the other (PAM, shadow RAM). */
#define TOP (RIG_RAM - 0x1000u)
GUEST(m_caller, "mov $0x1fff000, %ebx; call *%rbx; mov %eax, %esi; movl $0x22222222, 1(%rbx); call *%rbx; mov %eax, %edi; " STOP);
static int run_at_top(unsigned kind)
{
    struct abi_addr_map *m = &rig.page->map;
    m->mem[1].size = TOP - 0xc0000;
    m->mem[2] = (struct abi_map_entry){TOP, 0x1000, (uint16_t)kind, 0, TOP};
    m->count = 3;
    m->seq += 2;
    mmio_map_refresh(&rig.mem);
    rig.cpu->s->rip = RIG_CODE;
    cpu_state_switch(rig.cpu);
    return rig_run();
}
static void rom(void)
{
    struct abi_addr_map old = rig.page->map, *m = &rig.page->map;
    rig_load(m_caller, (unsigned)(m_caller_end - m_caller));
    rig_put(TOP, c_code, (unsigned)(c_code_end - c_code));
    int v = run_at_top(ABI_MAP_ROM);
    ok(v == STOPPED && rig_reg(RSI) == 0x11111111 && rig_reg(RDI) == 0x11111111, "code in ROM runs, a store to it is lost");
    rig.cpu->s->idtr.limit = 0xfff;
    v = run_at_top(ABI_MAP_RAM);
    ok(v == STOPPED && rig_reg(RSI) == 0x11111111 && rig_reg(RDI) == 0x22222222, "the same page as RAM: the store changes it");
    rig.cpu->s->idtr.limit = 0xfff;
    v = run_at_top(ABI_MAP_ROM);
    ok(v == STOPPED && rig_reg(RSI) == 0x22222222 && rig_reg(RDI) == 0x22222222, "... and ROM again: what was written is what runs");
    uint32_t seq = m->seq + 2;
    *m = old;
    m->seq = seq;
}

int main(void)
{
    alarm(50);
    counts();
    crossings();
    code();
    rom();
    return ctest_done();
}
