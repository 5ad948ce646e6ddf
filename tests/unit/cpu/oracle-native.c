/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs one instruction on the host. Entering and leaving are both signals: the handler of the first
 * INT3 replaces every register by the state asked for, the next trap or fault reads them all back,
 * so the instruction may use the stack pointer, branch and fault as it likes.
 */
#include "tests/unit/cpu/oracle.h"

#include <asm/prctl.h>
#include <signal.h>
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

static const int greg_of[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                REG_R12, REG_R13, REG_R14, REG_R15};
static struct state *volatile current;
static volatile bool inside, wide;
static gregset_t outside;

static void enter(greg_t *g)
{
    memcpy(outside, g, sizeof(outside));
    for (int i = 0; i < 16; i++)
        g[greg_of[i]] = (greg_t)current->gpr[i];
    g[REG_RIP] = (greg_t)current->rip;
    g[REG_EFL] = (greg_t)((current->rflags & FL_COMPARED) | 0x202);
    g[REG_CSGSFS] = (g[REG_CSGSFS] & ~0xffffll) | (wide ? USER_CS64 : USER_CS32);
    inside = true;
}
static void leave(greg_t *g)
{
    for (int i = 0; i < 16; i++)
        current->gpr[i] = (uint64_t)g[greg_of[i]];
    current->vector = (int)g[REG_TRAPNO];
    current->rip = (uint64_t)g[REG_RIP] - (current->vector == 3);
    current->rflags = (uint64_t)g[REG_EFL];
    memcpy(g, outside, sizeof(outside));
    inside = false;
}
static void on_signal(int sig, siginfo_t *si, void *ctx)
{
    ucontext_t *u = ctx;
    (void)si;
    if (inside) {
        leave(u->uc_mcontext.gregs);
    } else if (sig == SIGTRAP && current) {
        enter(u->uc_mcontext.gregs);
    } else {
        signal(sig, SIG_DFL); /* our own fault: let it happen again */
    }
}

void native_init(uint8_t *ram)
{
    static const int sigs[] = {SIGTRAP, SIGFPE, SIGSEGV, SIGILL, SIGBUS};
    static uint8_t stack[65536];
    stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    void *want = (void *)WINDOW;

    sigaltstack(&ss, NULL);
    for (unsigned i = 0; i < 5; i++)
        sigaction(sigs[i], &sa, NULL);
    /* A second mapping of the same pages, at the address they have in the guest. */
    void *p = mremap(ram + WINDOW, 0, WINDOW_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, want);
    if (p != want || mprotect(p, WINDOW_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC)) {
        printf("1..0 # SKIP the host does not give the window's address with execute permission\n");
        exit(0);
    }
    /* 32-bit code needs data segments; 64-bit code ignores them. */
    __asm__ volatile("mov %0,%%ds\n\tmov %0,%%es" : : "r"(USER_DS));
    syscall(SYS_arch_prctl, ARCH_SET_GS, engine_gs_base());
}

void native_run(struct state *s, bool m64)
{
    current = s;
    wide = m64;
    __asm__ volatile("int3" : : : "memory");
    current = NULL;
}
