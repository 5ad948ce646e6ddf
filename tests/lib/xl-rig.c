/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stubs of ipc/abi/xl.h for a test program. They keep the program's own SIMD state away from the guest's by
 * saving and restoring everything, whatever it costs.
 */
#include "tests/lib/xl-rig.h"

#include <cpuid.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define FPU_SIZE 16384u
static struct xl_rig *rig_now;
static uint8_t host_fpu[FPU_SIZE] __attribute__((aligned(64)));
uint8_t xl_rig_in[FPU_SIZE] __attribute__((aligned(64))), xl_rig_out[FPU_SIZE] __attribute__((aligned(64)));
uint8_t xl_rig_aside[FPU_SIZE] __attribute__((aligned(64)));

/* spare[]: 0 our rsp, 1 entry, 2 ecx, 3 r10, 4 kind of exit, 5 our gs base */
void xl_rig_enter(struct abi_xl_frame *f);
void xl_rig_leave(void);
void xl_rig_poll(void);
void xl_rig_link(void);
void xl_rig_land(void);
void xl_rig_jump(void);
void xl_rig_miss(void);
void xl_rig_simd(void);
uint64_t xl_rig_fill(uint64_t va, uint32_t word);
__asm__(".text\n"
        "xl_rig_enter:\n\t"
        "push %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\tsub $8,%rsp\n\t"
        "mov %rsp,504(%rdi)\n\trdgsbase %rax\n\tmov %rax,544(%rdi)\n\twrgsbase %rdi\n\t"
        "mov %gs:144,%eax\n\tadd $127,%al\n\tsahf\n\t"
        "mov %gs:0,%rax\n\tmov %gs:8,%r8\n\tmov %gs:16,%rdx\n\tmov %gs:24,%rbx\n\tmov %gs:32,%r11\n\t"
        "mov %gs:40,%rbp\n\tmov %gs:48,%rsi\n\tmov %gs:56,%rdi\n\t"
        "mov %gs:96,%r12\n\tmov %gs:104,%r13\n\tmov %gs:112,%r14\n\tmov %gs:120,%r15\n\t"
        "jmp *%gs:512\n"
        "xl_rig_leave: movl $0,%gs:536\n\tjmp 1f\n"
        "xl_rig_poll: movl $1,%gs:536\n\tjmp 1f\n"
        "xl_rig_link: movl $2,%gs:536\n\tjmp 1f\n"
        "xl_rig_jump: mov %r9,%gs:232\n\tmovl $4,%gs:536\n\tjmp 1f\n"
        "xl_rig_land: movl $3,%gs:536\n"
        "1:\tmov %rax,%gs:0\n\tlahf\n\tseto %al\n\tmovzwl %ax,%eax\n\tmov %eax,%gs:144\n\t"
        "mov %ecx,%gs:520\n\tmov %r10d,%gs:528\n\t"
        "mov %r8,%gs:8\n\tmov %rdx,%gs:16\n\tmov %rbx,%gs:24\n\tmov %r11,%gs:32\n\t"
        "mov %rbp,%gs:40\n\tmov %rsi,%gs:48\n\tmov %rdi,%gs:56\n\t"
        "mov %r12,%gs:96\n\tmov %r13,%gs:104\n\tmov %r14,%gs:112\n\tmov %r15,%gs:120\n\t"
        "cmpq $0,%gs:296\n\tjne 2f\n\tmov $0xe7,%eax\n\tmov $0,%edx\n\txsave64 xl_rig_out(%rip)\n"
        "2:\tmov %gs:504,%rsp\n\tmov %gs:544,%rax\n\twrgsbase %rax\n\t"
        "add $8,%rsp\n\tpop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\tpop %rbx\n\tret\n"
        "xl_rig_miss:\n\tpushfq\n\tpush %rax\n\tpush %rdx\n\tpush %rsi\n\tpush %rdi\n\tpush %r8\n\tpush %r10\n\tpush %r11\n\t"
        "mov $0xe7,%eax\n\tmov $0,%edx\n\txsave64 xl_rig_aside(%rip)\n\t"
        "mov %r9,%rdi\n\tmov %ecx,%esi\n\tmov %rsp,%r9\n\tand $-16,%rsp\n\tsub $16,%rsp\n\tmov %r9,(%rsp)\n\t"
        "call xl_rig_fill\n\tmov (%rsp),%rsp\n\tmov %rax,%rcx\n\t"
        "mov $0xe7,%eax\n\tmov $0,%edx\n\txrstor64 xl_rig_aside(%rip)\n\t"
        "pop %r11\n\tpop %r10\n\tpop %r8\n\tpop %rdi\n\tpop %rsi\n\tpop %rdx\n\tpop %rax\n\tpopfq\n\tret\n"
        "xl_rig_simd:\n\tpush %rax\n\tpush %rdx\n\tmov $7,%eax\n\tmov $0,%edx\n\txrstor64 xl_rig_in(%rip)\n\t"
        "movq $0,%gs:296\n\tpop %rdx\n\tpop %rax\n\tret\n");
_Static_assert(offsetof(struct abi_xl_frame, spare) == 504, "the assembly's numbers");

uint64_t xl_rig_fill(uint64_t va, uint32_t word)
{
    struct abi_xl_frame *f = rig_now->frame;
    unsigned size = ABI_XL_MISS_SIZE(word), i = (va >> 12) & (ABI_XL_TLB_SIZE - 1);
    bool write = word & ABI_XL_MISS_WRITE;
    rig_now->misses++;
    if ((va & 0xfff) + size > 4096)
        return 1;
    uint8_t *p = rig_now->page(va & ~0xfffull, write);
    if (!p)
        return 1;
    f->addend[i] = (uintptr_t)p - (va & ~0xfffull);
    f->rtag[i] = -abi_xl_tag(va, f->ctx);
    f->wtag[i] = write || rig_now->page(va & ~0xfffull, true) ? -abi_xl_tag(va, f->ctx) : ABI_XL_TLB_INVALID;
    return 0;
}

bool xl_rig_init(struct xl_rig *r, xl_page_fn page)
{
    static struct abi_codepage cp;
    memset(r, 0, sizeof(*r));
    if (!xl_host_can() || !(getauxval(AT_HWCAP2) & 2))
        return false;
    void *m = mmap(NULL, sizeof(struct abi_xl_frame), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = memfd_create("code", MFD_CLOEXEC);
    if (m == MAP_FAILED || fd < 0 || ftruncate(fd, XL_RIG_CODE))
        return false;
    void *c = mmap(NULL, XL_RIG_CODE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    r->code_rw = mmap(NULL, XL_RIG_CODE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (c == MAP_FAILED || r->code_rw == MAP_FAILED)
        return false;
    struct abi_xl_frame *f = r->frame = m;
    r->code = c;
    r->page = page;
    r->cold = XL_RIG_CODE / 2 + ABI_XL_CODE_MAX;
    r->fpu_in = xl_rig_in;
    r->fpu_out = xl_rig_out;
    f->cp = &cp;
    f->ctx = 5;
    f->tlb_mask = ABI_XL_TLB_MASK;
    f->jc_mask = ABI_XL_JC_MASK;
    f->jc_key = 77;
    f->df_mask = 0x400;
    f->page_mask = ~0xfffull;
    f->stub[ABI_XL_LEAVE] = (uintptr_t)xl_rig_leave;
    f->stub[ABI_XL_POLL] = (uintptr_t)xl_rig_poll;
    f->stub[ABI_XL_MISS] = (uintptr_t)xl_rig_miss;
    f->stub[ABI_XL_SIMD] = (uintptr_t)xl_rig_simd;
    f->stub[ABI_XL_JUMP] = (uintptr_t)xl_rig_jump;
    f->stub[ABI_XL_LINK] = (uintptr_t)xl_rig_link;
    for (unsigned k = 0; k < ABI_XL_SLOTS; k++)
        f->slot[k] = (uintptr_t)xl_rig_link;
    f->simd_dead = 1;
    xl_rig_tlb_clear(r);
    xl_rig_jc_clear(r);
    rig_now = r;
    return true;
}
bool xl_rig_translate(struct xl_rig *r, const struct abi_xl_in *in, const uint8_t *bytes, uint32_t place)
{
    if (!place || r->cold + ABI_XL_CODE_MAX > XL_RIG_CODE)
        r->cold = XL_RIG_CODE / 2 + ABI_XL_CODE_MAX;
    bool ok = xl_translate_split(in, bytes, r->code_rw + place, ABI_XL_CODE_MAX, r->code_rw + r->cold, ABI_XL_CODE_MAX, &r->out);
    r->cold += r->out.cold_len;
    return ok;
}
void xl_rig_tlb_clear(struct xl_rig *r)
{
    for (unsigned k = 0; k < ABI_XL_TLB_SIZE; k++)
        r->frame->rtag[k] = r->frame->wtag[k] = r->frame->xtag[k] = ABI_XL_TLB_INVALID;
    abi_xl_windows_close(r->frame);
}
void xl_rig_jc_clear(struct xl_rig *r)
{
    for (unsigned k = 0; k < ABI_XL_JC_SIZE; k++)
        r->frame->jc[k].nlip = abi_xl_jc_empty(k);
}
void xl_rig_jc_add(struct xl_rig *r, uint64_t lip, uint64_t host)
{
    r->frame->jc[abi_xl_jc_index(lip)] = (struct abi_xl_jc){-lip, -r->frame->jc_key, host ? host : (uintptr_t)xl_rig_land,
                                                           lip & ~0xfffull};
}
static void xsave_host(void)
{
    __asm__ volatile("xsave64 %0" : "=m"(host_fpu) : "a"(0xe7), "d"(0) : "memory");
}
static void xrstor_host(void)
{
    __asm__ volatile("xrstor64 %0" : : "m"(host_fpu), "a"(0xe7), "d"(0) : "memory");
}
enum xl_exit xl_rig_run(struct xl_rig *r, uint32_t place)
{
    struct abi_xl_frame *f = r->frame;
    rig_now = r;
    f->spare[1] = (uintptr_t)r->code + place;
    xsave_host();
    xl_rig_enter(f);
    xrstor_host();
    r->off = (uint64_t)(int64_t)(int32_t)f->spare[2];
    r->why = (unsigned)f->spare[3];
    return (enum xl_exit)(uint32_t)f->spare[4];
}
bool xl_rig_fault(struct xl_rig *r, void *ucontext)
{
    greg_t *g = ((ucontext_t *)ucontext)->uc_mcontext.gregs;
    uint64_t at = (uint64_t)g[REG_RIP] - (uintptr_t)r->code;
    for (unsigned k = 0; k < r->out.faults; k++)
        if (r->out.fault[k].host == at) {
            g[REG_RIP] += (greg_t)r->out.fault[k].resume - (greg_t)at;
            return true;
        }
    return false;
}
