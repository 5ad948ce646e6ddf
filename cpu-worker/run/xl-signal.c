/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGSEGV, SIGBUS and SIGFPE of translated code; a SIGFPE from elsewhere is the interpreter's (helpers/simd-trap.h).
 * Must never swallow a fault of our own code.
 */
#include "cpu-worker/run/xl-trap.h"

#include <signal.h>
#include <stddef.h>
#include <ucontext.h>
#include "cpu-worker/helpers/simd-trap.h"

bool xl_trap_take(void *ucontext)
{
    ucontext_t *u = ucontext;
    uintptr_t pc = (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
    if (!xl_trap_resume(&pc))
        return false;
    u->uc_mcontext.gregs[REG_RIP] = (greg_t)pc;
    return true;
}
/* A fault of our own code is a defect: it ends the process as it would without us. */
static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)info;
    if (!xl_trap_take(context))
        signal(sig, SIG_DFL);
}

static void on_fpe(int sig, siginfo_t *info, void *context)
{
    const ucontext_t *u = context;
    (void)info;
    if (!xl_trap_take(context) && !simd_trap_take(u->uc_mcontext.fpregs->mxcsr))
        signal(sig, SIG_DFL);
}

/* #syscalls:cpu-worker rt_sigaction */
void xl_signals_init(void)
{
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
    sa = (struct sigaction){.sa_sigaction = on_fpe, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGFPE, &sa, NULL);
}
