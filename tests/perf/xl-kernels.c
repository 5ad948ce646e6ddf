/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same machine code natively and translated: the kernels of kernels.c, this process's memory being the guest's.
 * Prints time and ratio of each and the geometric means. Owns the little run loop that finds, translates and links
 * blocks; must never count a kernel whose result differs.
 */
#include "tests/perf/kernels.h"

#include <cpuid.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <Zydis/Zydis.h>
#include "tests/lib/xl-rig.h"

#define BLOCKS 65536u
#define HOME 0x1234567890ull /* where a kernel returns to */
static struct {
    uint64_t lip;
    uint32_t place;
    uint32_t slot_base;
} block[BLOCKS];
static uint64_t slot_target[ABI_XL_SLOTS];
static uint32_t code_end = 64, slots_used = 1;
static struct xl_rig rig;
static unsigned long exits, left;
static uint64_t guest_bytes, host_bytes, hot_bytes;

static uint8_t *identity(uint64_t va, bool write)
{
    (void)write;
    return (uint8_t *)va;
}
static void fail(const char *what, uint64_t lip)
{
    const uint8_t *p = (const uint8_t *)lip;
    printf("# %s at %lx: %02x %02x %02x %02x %02x %02x\n", what, (unsigned long)lip, p[0], p[1], p[2], p[3], p[4], p[5]);
    exit(1);
}
/* insns: how many at most; a block that starts at a branch that left is that branch alone. */
static uint32_t block_at(uint64_t lip)
{
    unsigned h = (unsigned)(lip * 0x9e3779b97f4a7c15ull >> 48) % BLOCKS;
    for (; block[h].lip; h = (h + 1) % BLOCKS)
        if (block[h].lip == lip)
            return block[h].place;
    struct abi_xl_in in = {.mode = ABI_XL_MODE_64 | ABI_XL_MODE_PE | ABI_XL_MODE_USER | ABI_XL_MODE_OSFXSR | ABI_XL_MODE_AVX,
                           .page_off = lip & 0xfff, .insns = ABI_XL_INSN_MAX, .slot_base = slots_used};
    memset(in.feat, 0xff, sizeof(in.feat));
    in.len = ABI_XL_SRC_MAX;
    if (!xl_rig_translate(&rig, &in, (const uint8_t *)lip, code_end))
        fail("not translated", lip);
    for (unsigned k = 0; k < rig.out.slots; k++)
        slot_target[slots_used + k] = (lip & ~0xfffull) + (uint64_t)rig.out.slot[k];
    slots_used += rig.out.slots;
    block[h].lip = lip;
    block[h].place = code_end;
    code_end = (code_end + rig.out.code_len + 15) & ~15u;
    guest_bytes += rig.out.src_len;
    hot_bytes += rig.out.code_len;
    host_bytes += rig.out.code_len + rig.out.cold_len;
    return block[h].place;
}
static uint64_t reg_of(ZydisRegister r)
{
    return r == ZYDIS_REGISTER_NONE ? 0 : rig.frame->gpr[ZydisRegisterGetId(r)];
}
/* Where the branch at lip goes. */
static uint64_t branch_target(uint64_t lip)
{
    ZydisDecoder d;
    ZydisDecodedInstruction in;
    ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&d, (const void *)lip, 15, &in, o)))
        fail("not decoded", lip);
    if (in.meta.branch_type == ZYDIS_BRANCH_TYPE_NONE) /* only the way into the next page */
        return lip;
    if (in.mnemonic == ZYDIS_MNEMONIC_RET)
        return *(uint64_t *)rig.frame->gpr[4];
    if (o[0].type == ZYDIS_OPERAND_TYPE_REGISTER)
        return reg_of(o[0].reg.value);
    if (o[0].type == ZYDIS_OPERAND_TYPE_MEMORY) {
        uint64_t a = (uint64_t)o[0].mem.disp.value + reg_of(o[0].mem.index) * o[0].mem.scale;
        a += o[0].mem.base == ZYDIS_REGISTER_RIP ? lip + in.length : reg_of(o[0].mem.base);
        return *(uint64_t *)a;
    }
    return lip + in.length + (uint64_t)o[0].imm.value.s;
}
static uint64_t next_block(enum xl_exit x)
{
    struct abi_xl_frame *f = rig.frame;
    exits++;
    if (x == XL_LINK) {
        uint64_t lip = slot_target[rig.off];
        f->slot[rig.off] = (uintptr_t)rig.code + block_at(lip);
        return lip;
    }
    if (x == XL_JUMPED) {
        left++;
        xl_rig_jc_add(&rig, f->rip, f->rip == HOME ? 0 : (uintptr_t)rig.code + block_at(f->rip));
        return f->rip;
    }
    uint64_t lip = f->pgbase + rig.off;
    if (x != XL_LEFT || rig.why == ABI_XL_WHY_INSN || rig.why == ABI_XL_WHY_FAULT)
        return lip;
    if (rig.why == ABI_XL_WHY_BRANCH) {
        uint64_t to = branch_target(lip);
        left++;
        xl_rig_jc_add(&rig, to, to == HOME ? 0 : (uintptr_t)rig.code + block_at(to));
        return lip;
    }
    fail("left", lip);
    return 0;
}
static uint64_t translated(kernel_fn fn, uint64_t arg)
{
    static uint8_t *stack;
    struct abi_xl_frame *f = rig.frame;
    if (!stack)
        stack = mmap(NULL, 1u << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t lip = (uint64_t)(uintptr_t)fn;
    f->gpr[4] = (uint64_t)stack + (1u << 20) - 4096 + 8;
    f->gpr[4] &= ~15ull;
    f->gpr[4] -= 8;
    *(uint64_t *)f->gpr[4] = HOME;
    f->gpr[7] = arg;
    f->eflags = 2;
    xl_rig_jc_add(&rig, HOME, 0);
    for (;;) {
        f->pgbase = lip & ~0xfffull;
        uint32_t place = block_at(lip);
        enum xl_exit x = xl_rig_run(&rig, place);
        if (x == XL_LANDED || (x == XL_JUMPED && f->rip == HOME))
            return f->gpr[0];
        if (!f->simd_dead) {
            memcpy(rig.fpu_in, rig.fpu_out, 4096);
            f->simd_dead = 1;
        }
        lip = next_block(x);
    }
}
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* a busy machine is not the subject */
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
int main(int argc, char **argv)
{
    double log_sum[KC_N] = {0};
    unsigned count[KC_N] = {0}, repeat = 7;
    static const char *const class[] = {"integer", "fp", "string"};
    kernels_init();
    if (!xl_rig_init(&rig, identity)) {
        puts("this host cannot run translated code");
        return 77;
    }
    ((uint32_t *)rig.fpu_in)[6] = 0x1f80;
    ((uint64_t *)rig.fpu_in)[64] = 3;
    printf("%-10s %10s %10s %7s\n", "kernel", "native us", "transl. us", "ratio");
    for (unsigned k = 0; k < kernel_count; k++) {
        const struct kernel *t = &kernels[k];
        double best[2] = {1e9, 1e9};
        uint64_t want = 0, got = 0;
        if (argc > 1 && strcmp(argv[1], t->name))
            continue;
        translated(t->fn, t->n / 100 + 1);
        for (unsigned r = 0; r < repeat; r++) {
            double a = now();
            want = t->fn(t->n);
            double b = now();
            got = translated(t->fn, t->n);
            double c = now();
            best[0] = fmin(best[0], b - a);
            best[1] = fmin(best[1], c - b);
        }
        printf("%-10s %10.1f %10.1f %7.2f%s\n", t->name, best[0] * 1e6, best[1] * 1e6, best[1] / best[0],
               want == got ? "" : "  WRONG RESULT");
        if (want != got)
            return 1;
        if (getenv("XL_KERNELS_EXITS"))
            printf("  %lu exits so far, %lu for branches, %lu misses\n", exits, left, (unsigned long)rig.misses);
        log_sum[t->class] += log(best[1] / best[0]);
        count[t->class]++;
    }
    for (unsigned c = 0; c < KC_N; c++)
        if (count[c])
            printf("%-10s geometric mean %.2f of %u\n", class[c], exp(log_sum[c] / count[c]), count[c]);
    printf("guest code %lu bytes, host code %lu (%.1fx), of it %lu (%.1fx) hot; %lu exits, %lu of them for branches, %lu TLB misses\n",
           (unsigned long)guest_bytes, (unsigned long)host_bytes, (double)host_bytes / (double)guest_bytes,
           (unsigned long)hot_bytes, (double)hot_bytes / (double)guest_bytes, exits, left,
           (unsigned long)rig.misses);
    return 0;
}
