/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIMD-width operands outside of plain memory: device registers (an access per quadword), and operands over two
 * pages of which the second is a device, read-only, or has code that was translated. Must never assume how a
 * device splits what it gets.
 */
#include <string.h>
#include "tests/unit/cpu/rig.h"

#define HPET      0xfed00000ull
#define PAGE(n)   (0x1000000ull + (n)*0x1000ull)
#define EDGE      (RIG_VA + 0x1000) /* between pages 0 and 1 of RIG_VA */
#define DATA      RIG_USER
#define CR4_ON    0x40600u

static void setup(const uint8_t *code, unsigned len, uint64_t second)
{
    rig_load(code, len);
    rig.cpu->s->cr4 |= CR4_ON;
    rig.cpu->s->cr0 |= 0x20;
    rig.cpu->s->xcr0 = 7;
    for (unsigned n = 0; n < sizeof(rig.cpu->s->ymm); n++)
        ((uint8_t *)rig.cpu->s->ymm)[n] = (uint8_t)(n % 32 + 1);
    rig_map(0, PAGE(0) | 3);
    rig_map(1, second);
    memset(rig.ram + PAGE(0), 0xaa, 0x1000);
    memset(rig.ram + PAGE(5), 0xbb, 0x1000);
    cpu_state_load(rig.cpu);
    rig.cpu->gpr[RSI] = HPET;
    rig.cpu->gpr[RDI] = EDGE - 8;
    rig.cpu->gpr[RBX] = DATA;
}
#define START(NAME, SECOND) setup(NAME, (unsigned)(NAME##_end - NAME), SECOND)

static uint64_t mem64(uint64_t at)
{
    uint64_t v;
    memcpy(&v, rig.ram + at, 8);
    return v;
}

/* ---- a device ---- The HPET's identity at 0, nothing at 8, its configuration at 10h. */
GUEST(g_id, "mov (%rsi), %rax; " STOP);
GUEST(g_sse, "movaps (%rsi), %xmm0; movaps %xmm0, (%rbx); movdqu (%rsi), %xmm1; movaps %xmm1, 16(%rbx)\n"
             "movhps (%rsi), %xmm2; movaps %xmm2, 32(%rbx); fildll (%rsi); fistpll 48(%rbx); movq (%rsi), %mm0\n"
             "movq %mm0, 56(%rbx); emms; pxor %xmm3, %xmm3; por (%rsi), %xmm3; movaps %xmm3, 64(%rbx); " STOP);
GUEST(g_avx, "vmovaps (%rsi), %ymm0; vmovups %ymm0, (%rbx); vxorps %ymm1, %ymm1, %ymm1; vorps (%rsi), %ymm1, %ymm1\n"
             "vmovups %ymm1, 32(%rbx); " STOP);
GUEST(g_store, "movl $0, 0x10(%rsi); movl $1, %eax; movd %eax, %xmm0; movaps %xmm0, 0x10(%rsi); mov 0x10(%rsi), %rcx\n"
               "xorps %xmm0, %xmm0; movntdq %xmm0, 0x10(%rsi); mov 0x10(%rsi), %rdx; movq %rax, %mm0\n"
               "movntq %mm0, 0x10(%rsi); mov 0x10(%rsi), %rbp; emms; " STOP);
static uint64_t identity(void)
{
    START(g_id, 0);
    return rig_run() == STOPPED ? rig_reg(RAX) : 0;
}
static void device(uint64_t id)
{
    START(g_sse, 0);
    ok(rig_run() == STOPPED && mem64(DATA) == id && mem64(DATA + 8) == 0 && mem64(DATA + 16) == id &&
           mem64(DATA + 24) == 0 && mem64(DATA + 40) == id && mem64(DATA + 48) == id && mem64(DATA + 56) == id &&
           mem64(DATA + 64) == id, "16-byte, x87 and MMX loads from a device");
    START(g_store, 0);
    ok(rig_run() == STOPPED && rig_reg(RCX) == 1 && rig_reg(RDX) == 0 && rig_reg(RBP) == 1,
       "16-byte and MMX stores to a device");
    if (!cpu_has(rig.cpu, FEAT_AVX))
        return;
    START(g_avx, 0);
    ok(rig_run() == STOPPED && mem64(DATA) == id && mem64(DATA + 8) == 0 && mem64(DATA + 32) == id,
       "32-byte loads from a device");
}

/* ---- over two pages ---- */
GUEST(g_cross_load, "movups (%rdi), %xmm0; movups %xmm0, (%rbx); " STOP);
GUEST(g_cross_store, "movups %xmm1, (%rdi); " STOP);
GUEST(g_cross_store32, "vmovups %ymm1, (%rdi); " STOP);
GUEST(g_cross_config, "movl $0, 0x10(%rsi); vmovups %ymm1, (%rdi); mov 0x10(%rsi), %rcx; " STOP);
GUEST(g_cross_fxsave, "and $-16, %rdi; fxsave (%rdi); " STOP);
GUEST(g_cross_fstp, "fld1; fstpt 2(%rdi); " STOP);
GUEST(g_cross_mask, "pcmpeqb %xmm2, %xmm2; maskmovdqu %xmm2, %xmm1; " STOP);

static void second_is_device(uint64_t id)
{
    START(g_cross_load, HPET | 3);
    ok(rig_run() == STOPPED && mem64(DATA) == 0xaaaaaaaaaaaaaaaa && mem64(DATA + 8) == id,
       "a load over memory and a device");
    START(g_cross_store, HPET | 3);
    ok(rig_run() == STOPPED && mem64(PAGE(1) - 8) == 0x0807060504030201 && identity() == id,
       "a store over memory and a device");
    if (!cpu_has(rig.cpu, FEAT_AVX))
        return;
    START(g_cross_config, HPET | 3); /* bytes 18h to 1fh of the register reach 10h: bits 0 and 1 exist */
    ok(rig_run() == STOPPED && mem64(PAGE(1) - 8) == 0x0807060504030201 && rig_reg(RCX) == (0x19 & 3),
       "32 bytes over memory and a device: each quadword where it belongs");
}
static void read_only(const uint8_t *code, unsigned len, const char *name)
{
    setup(code, len, PAGE(5) | 1);
    ok(rig_run() == 14 && rig.cpu->s->cr2 >= EDGE && rig_stack(0) == 3 && mem64(PAGE(1) - 8) == 0xaaaaaaaaaaaaaaaa &&
           mem64(PAGE(1) - 16) == 0xaaaaaaaaaaaaaaaa && mem64(PAGE(5)) == 0xbbbbbbbbbbbbbbbb,
       "%s into a read-only page: #PF, nothing written", name);
}
#define READ_ONLY(NAME, TEXT) read_only(NAME, (unsigned)(NAME##_end - NAME), TEXT)

/* The store's second half lies on `mov $1, %eax; ret` in page 1, which has been executed. */
GUEST(g_code, "lea 8(%rdi), %rbp; call *%rbp; mov %eax, %ecx; movups (%rbx), %xmm0; movups %xmm0, (%rdi); call *%rbp\n" STOP);
GUEST(g_code32, "lea 8(%rdi), %rbp; call *%rbp; mov %eax, %ecx; vmovups (%rbx), %ymm0; vmovups %ymm0, (%rdi); call *%rbp\n" STOP);
static void code(const uint8_t *guest, unsigned len, const char *name)
{
    static const uint8_t one[] = {0xb8, 1, 0, 0, 0, 0xc3}, two[] = {0xb8, 2, 0, 0, 0, 0xc3};
    setup(guest, len, PAGE(5) | 3);
    rig_put(PAGE(5), one, sizeof(one));
    memset(rig.ram + DATA, 0x77, 32);
    rig_put(DATA + 8, two, sizeof(two));
    ok(rig_run() == STOPPED && rig_reg(RCX) == 1 && rig_reg(RAX) == 2 && mem64(PAGE(1) - 8) == 0x7777777777777777,
       "%s over memory and code: the new code runs", name);
}
#define CODE(NAME, TEXT) code(NAME, (unsigned)(NAME##_end - NAME), TEXT)

int main(void)
{
    uint64_t id = identity();
    ok(id >> 16 != 0 && (id & 0xffff0000) == 0x80860000, "the HPET is there");
    device(id);
    second_is_device(id);
    READ_ONLY(g_cross_store, "MOVUPS");
    READ_ONLY(g_cross_fxsave, "FXSAVE");
    READ_ONLY(g_cross_fstp, "FSTP m80");
    READ_ONLY(g_cross_mask, "MASKMOVDQU");
    CODE(g_code, "16 bytes");
    if (cpu_has(rig.cpu, FEAT_AVX)) {
        READ_ONLY(g_cross_store32, "VMOVUPS of 32 bytes");
        CODE(g_code32, "32 bytes");
    }
    return ctest_done();
}
