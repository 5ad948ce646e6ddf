/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs one instruction on the host from a given state and reads the state back, also when it
 * faults. Must never be given an instruction that leaves the code stub.
 */
#include "tests/unit/helpers/oracle.h"

#include <cpuid.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "cpu-worker/helpers/simd-trap.h"

static uint8_t *stub;
static sigjmp_buf out;
static struct machine *volatile current;
static volatile bool armed;
struct xsave_image { /* standard format, x87, SSE and AVX */
    struct fx_image fx;
    uint64_t bv, comp, reserved[6];
    uint64_t high[16][2];
} __attribute__((aligned(64)));
struct xsave_image native_image;
uint32_t native_mask, native_env[7];
static const int greg_of[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                REG_R12, REG_R13, REG_R14, REG_R15};

static void on_fault(int sig, siginfo_t *si, void *ctx)
{
    ucontext_t *u = ctx;
    struct machine *m = current;
    const struct xsave_image *x = (const struct xsave_image *)u->uc_mcontext.fpregs;
    if (!armed) {
        simd_trap_take(u->uc_mcontext.fpregs->mxcsr); /* an emulated instruction's */
        abort();
    }
    (void)si;
    memcpy(&m->fx, &x->fx, sizeof(m->fx));
    memset(m->high, 0, sizeof(m->high));
    if (native_mask & x->bv & 4)
        memcpy(m->high, x->high, sizeof(m->high));
    memset(m->env, 0xff, sizeof(m->env));
    for (int i = 0; i < 16; i++) {
        if (i != 4)
            m->gpr[i] = (uint64_t)u->uc_mcontext.gregs[greg_of[i]];
    }
    m->rflags = (uint64_t)u->uc_mcontext.gregs[REG_EFL];
    m->vector = (int)u->uc_mcontext.gregs[REG_TRAPNO];
    (void)sig;
    siglongjmp(out, 1);
}

void native_init(void)
{
    static const int sigs[] = {SIGFPE, SIGSEGV, SIGILL, SIGBUS};
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    unsigned a, b, c, d;
    __cpuid(1, a, b, c, d);
    native_mask = c >> 28 & 1 ? 7 : 3;
    for (unsigned i = 0; i < 4; i++)
        sigaction(sigs[i], &sa, NULL);
    stub = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stub == MAP_FAILED)
        abort();
}

/* All registers but RSP from m, call the stub, all back to m. m stays on the stack. */
__attribute__((noinline)) static void enter(struct machine *m, const void *code)
{
    __asm__ volatile(
        "sub $256, %%rsp\n\t"
        "push %%rbp\n\t"
        "push %%rbx\n\t"
        "push %0\n\t"
        "push %1\n\t"
        "mov native_mask(%%rip), %%eax\n\t"
        "xor %%edx, %%edx\n\t"
        "xrstor64 native_image(%%rip)\n\t"
        "mov 8(%%rsp), %0\n\t"
        "push %c[fl](%0)\n\t"
        "popfq\n\t"
        "mov %0, %%rax\n\t"
        "mov %c[g]+8(%%rax), %%rcx\n\t"
        "mov %c[g]+16(%%rax), %%rdx\n\t"
        "mov %c[g]+24(%%rax), %%rbx\n\t"
        "mov %c[g]+40(%%rax), %%rbp\n\t"
        "mov %c[g]+48(%%rax), %%rsi\n\t"
        "mov %c[g]+56(%%rax), %%rdi\n\t"
        "mov %c[g]+64(%%rax), %%r8\n\t"
        "mov %c[g]+72(%%rax), %%r9\n\t"
        "mov %c[g]+80(%%rax), %%r10\n\t"
        "mov %c[g]+88(%%rax), %%r11\n\t"
        "mov %c[g]+96(%%rax), %%r12\n\t"
        "mov %c[g]+104(%%rax), %%r13\n\t"
        "mov %c[g]+112(%%rax), %%r14\n\t"
        "mov %c[g]+120(%%rax), %%r15\n\t"
        "mov %c[g](%%rax), %%rax\n\t"
        "call *(%%rsp)\n\t"
        "push %%rax\n\t"
        "mov 16(%%rsp), %%rax\n\t"
        "pop %c[g](%%rax)\n\t"
        "mov %%rcx, %c[g]+8(%%rax)\n\t"
        "mov %%rdx, %c[g]+16(%%rax)\n\t"
        "mov %%rbx, %c[g]+24(%%rax)\n\t"
        "mov %%rbp, %c[g]+40(%%rax)\n\t"
        "mov %%rsi, %c[g]+48(%%rax)\n\t"
        "mov %%rdi, %c[g]+56(%%rax)\n\t"
        "mov %%r8, %c[g]+64(%%rax)\n\t"
        "mov %%r9, %c[g]+72(%%rax)\n\t"
        "mov %%r10, %c[g]+80(%%rax)\n\t"
        "mov %%r11, %c[g]+88(%%rax)\n\t"
        "mov %%r12, %c[g]+96(%%rax)\n\t"
        "mov %%r13, %c[g]+104(%%rax)\n\t"
        "mov %%r14, %c[g]+112(%%rax)\n\t"
        "mov %%r15, %c[g]+120(%%rax)\n\t"
        "pushfq\n\t"
        "pop %c[fl](%%rax)\n\t"
        "cld\n\t"
        "mov native_mask(%%rip), %%eax\n\t"
        "xor %%edx, %%edx\n\t"
        "xsave64 native_image(%%rip)\n\t"
        "fnstenv native_env(%%rip)\n\t"
        "add $16, %%rsp\n\t"
        "pop %%rbx\n\t"
        "pop %%rbp\n\t"
        "add $256, %%rsp\n\t"
        : "+a"(m), "+d"(code)
        : [g] "i"(__builtin_offsetof(struct machine, gpr)), [fl] "i"(__builtin_offsetof(
                                                                struct machine, rflags))
        : "rcx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory",
          "cc");
}

static void host_clean(void)
{
    static const uint32_t mxcsr = 0x1f80;
    __asm__ volatile("fninit\n\tldmxcsr %0" : : "m"(mxcsr));
}

void native_run(struct machine *m, const struct insn *i)
{
    memset(stub, 0x90, 64);
    memcpy(stub, i->bytes, i->len);
    stub[i->len] = 0xc3;
    current = m;
    m->vector = -1;
    memset(&native_image, 0, sizeof(native_image));
    native_image.fx = m->fx;
    native_image.bv = native_mask;
    memcpy(native_image.high, m->high, sizeof(m->high));
    if (!sigsetjmp(out, 1)) {
        armed = true;
        enter(m, stub);
        m->fx = native_image.fx;
        memcpy(m->high, native_image.high, sizeof(m->high));
        memcpy(m->env, native_env, sizeof(m->env));
    }
    armed = false;
    host_clean();
    if (m->fx.fip == (uintptr_t)stub)
        m->fx.fip = 0; /* where the emulated instruction is */
    if (m->env[3] == (uint32_t)(uintptr_t)stub)
        m->env[3] = 0;
}
