/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs one instruction on the host: all state is loaded, the cell is jumped to, and what follows the
 * instruction there jumps back and stores all state; only faults and branches take a signal. Must never be
 * given an instruction that enters the kernel.
 */
#include "tests/cpu/forms.h"
#include "cpu-worker/helpers/simd-trap.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define USER_CS64 0x33
#define USER_CS32 0x23
#define USER_DS   0x2b

struct save { /* at SAVE, which the assembly below knows by number */
    struct fpu fpu_in;  /* 000 */
    struct fpu fpu_out; /* 340 */
    uint64_t in[16];    /* 680 */
    uint64_t out[16];   /* 700 */
    uint64_t rflags_in, rflags_out, rsp, target, back; /* 780 788 790 798 7a0 */
    struct {
        uint32_t offset;
        uint16_t selector;
    } far32;       /* 7a8 */
    uint64_t parts; /* 7b0 */
    uint8_t way[16]; /* 7b8: 64-bit code that 32-bit cells jump to */
};
_Static_assert(offsetof(struct save, fpu_out) == 0x340 && offsetof(struct save, in) == 0x680 &&
                   offsetof(struct save, rflags_in) == 0x780 && offsetof(struct save, way) == 0x7b8,
               "the assembly's numbers");

void native_enter(void);
void native_back(void);
void native_out(void);
__asm__(".text\n"
        "native_enter:\n\t"
        "push %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\t"
        "mov %rsp,0x1040790\n\t"
        "mov 0x10407b0,%eax\n\txor %edx,%edx\n\txrstor64 0x1040000\n\t"
        "push 0x1040780\n\tpopfq\n\t"
        "mov 0x1040688,%rcx\n\tmov 0x1040690,%rdx\n\tmov 0x1040698,%rbx\n\t"
        "mov 0x10406a0,%rsp\n\tmov 0x10406a8,%rbp\n\tmov 0x10406b0,%rsi\n\tmov 0x10406b8,%rdi\n\t"
        "mov 0x10406c0,%r8\n\tmov 0x10406c8,%r9\n\tmov 0x10406d0,%r10\n\tmov 0x10406d8,%r11\n\t"
        "mov 0x10406e0,%r12\n\tmov 0x10406e8,%r13\n\tmov 0x10406f0,%r14\n\tmov 0x10406f8,%r15\n\t"
        "mov 0x1040680,%rax\n\t"
        "jmp *0x1040798\n"
        "native_far: ljmp *0x10407a8\n"
        "native_back:\n\t"
        "mov %rsp,0x1040720\n\tmov $0x1040790,%rsp\n\tpushfq\n\t"
        "mov %rax,0x1040700\n\tmov %rcx,0x1040708\n\tmov %rdx,0x1040710\n\tmov %rbx,0x1040718\n\t"
        "mov %rbp,0x1040728\n\tmov %rsi,0x1040730\n\tmov %rdi,0x1040738\n\t"
        "mov %r8,0x1040740\n\tmov %r9,0x1040748\n\tmov %r10,0x1040750\n\tmov %r11,0x1040758\n\t"
        "mov %r12,0x1040760\n\tmov %r13,0x1040768\n\tmov %r14,0x1040770\n\tmov %r15,0x1040778\n\t"
        "mov 0x10407b0,%eax\n\txor %edx,%edx\n\txsave64 0x1040340\n"
        "native_out:\n\t"
        "mov 0x1040790,%rsp\n\tcld\n\tfninit\n\tpushq $0x1f80\n\tldmxcsr (%rsp)\n\tadd $8,%rsp\n\t"
        "pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\tpop %rbx\n\tret\n");
extern const uint8_t native_far[];

#define save ((struct save *)SAVE)

static struct state *volatile current;
static const int greg_of[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static void on_signal(int sig, siginfo_t *si, void *ctx)
{
    greg_t *g = ((ucontext_t *)ctx)->uc_mcontext.gregs;
    struct state *s = current;
    (void)si;
    if (!s && translated_fault(ctx))
        return;
    if (!s && sig == SIGFPE)
        simd_trap_take(((ucontext_t *)ctx)->uc_mcontext.fpregs->mxcsr); /* an emulated instruction's */
    if (!s) { /* our own fault: let it happen again */
        signal(sig, SIG_DFL);
        return;
    }
    current = NULL;
    memcpy(&s->fpu, ((ucontext_t *)ctx)->uc_mcontext.fpregs, sizeof(s->fpu));
    for (int i = 0; i < 16; i++)
        s->gpr[i] = (uint64_t)g[greg_of[i]];
    s->vector = (int)g[REG_TRAPNO];
    s->error = (uint32_t)g[REG_ERR];
    s->cr2 = (uint64_t)g[REG_CR2];
    s->rip = (uint64_t)g[REG_RIP];
    s->rflags = (uint64_t)g[REG_EFL];
    g[REG_RIP] = (greg_t)(uintptr_t)native_out;
    g[REG_EFL] = 0x202;
    g[REG_CSGSFS] = (g[REG_CSGSFS] & ~0xffffll) | USER_CS64;
}

static void protect(uint64_t at, unsigned len, int prot)
{
    if (mprotect((void *)at, len, prot)) {
        perror("mprotect");
        exit(1);
    }
    if (prot & PROT_READ) /* no fault of the host's own afterwards: it would change the error code */
        for (unsigned k = 0; k < len; k += 4096)
            (void)*(volatile uint8_t *)(at + k);
}
static void map_window(uint8_t *ram)
{
    void *p = mremap(ram + WINDOW, 0, WINDOW_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)WINDOW);
    if (p != (void *)WINDOW || mprotect(p, WINDOW_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC)) {
        printf("1..0 # SKIP the host does not give the window's address with execute permission\n");
        exit(0);
    }
    memset(p, 0, WINDOW_SIZE);
    memset(p, 0xcc, CODE_HOLE - CODE); /* wherever a branch goes, it lands on INT3 */
    protect(WINDOW, WINDOW_SIZE, PROT_NONE);
    protect(CODE, CODE_END - CODE, PROT_READ | PROT_EXEC);
    protect(CODE_HOLE, 4096, PROT_NONE);
    protect(DATA, DATA_SIZE, PROT_READ | PROT_WRITE);
    for (unsigned k = 0; k < DATA_SIZE; k += 4096)
        *(volatile uint8_t *)(DATA + k) = 0;
    protect(DATA_HOLE, 4096, PROT_NONE);
    protect(DATA_RO, 4096, PROT_READ);
    protect(SAVE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
}
static uint64_t xcr0(void)
{
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return lo;
}
uint64_t native_extra_state(void)
{
    return xcr0() & ~(uint64_t)FPU_PARTS;
}
void native_init(uint8_t *ram)
{
    static const int sigs[] = {SIGTRAP, SIGFPE, SIGSEGV, SIGILL, SIGBUS};
    static uint8_t stack[65536];
    stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    static const uint8_t jump[] = {0xff, 0x24, 0x25, 0xa0, 0x07, 0x04, 0x01}; /* jmp *save->back */

    sigaltstack(&ss, NULL);
    for (unsigned i = 0; i < 5; i++)
        sigaction(sigs[i], &sa, NULL);
    map_window(ram);
    save->parts = xcr0() & FPU_PARTS;
    save->back = (uintptr_t)native_back;
    save->far32.selector = USER_CS32;
    memcpy(save->way, jump, sizeof(jump));
    /* 32-bit code needs data segments; 64-bit code ignores them. */
    __asm__ volatile("mov %0,%%ds\n\tmov %0,%%es" : : "r"(USER_DS));
    syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE);
}

/* Parts that are in their initial state may not have been stored. */
static void fpu_complete(struct fpu *f)
{
    if (!(f->xstate_bv & 1)) {
        f->fcw = 0x37f;
        f->fsw = f->fop = 0;
        f->ftw = 0;
        f->fip = f->fdp = 0;
        memset(f->st, 0, sizeof(f->st));
    }
    if (!(f->xstate_bv & 2))
        memset(f->xmm, 0, sizeof(f->xmm));
    if (!(f->xstate_bv & 4))
        memset(f->ymmh, 0, sizeof(f->ymmh));
}
void native_run(struct state *s, const struct insn *i)
{
    memcpy(&save->fpu_in, &s->fpu, sizeof(s->fpu));
    save->fpu_in.xstate_bv = save->parts;
    memcpy(save->in, s->gpr, sizeof(s->gpr));
    save->rflags_in = (s->rflags & FL_COMPARED) | 0x202;
    save->target = i->m64 ? s->rip : (uintptr_t)native_far;
    save->far32.offset = (uint32_t)s->rip;
    current = s;
    native_enter();
    if (current) { /* no signal */
        current = NULL;
        memcpy(&s->fpu, &save->fpu_out, sizeof(s->fpu));
        memcpy(s->gpr, save->out, sizeof(s->gpr));
        s->rflags = save->rflags_out;
        s->rip += i->len;
        s->vector = -1;
    } else if (s->vector == 3 && i->branch && i->in.mnemonic != ZYDIS_MNEMONIC_INT3) { /* it landed */
        s->rip--;
        s->vector = -1;
    }
    fpu_complete(&s->fpu);
}
