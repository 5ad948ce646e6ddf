/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGFPE of an operation that ran under the guest's MXCSR becomes the guest's exception. Must never
 * swallow an exception of the worker's own code.
 */
#include "cpu-worker/helpers/simd-trap.h"

#include <signal.h>
#include <ucontext.h>

/* An FP exception of our own code is a defect: it ends the process as it would without us. */
static void on_fpe(int sig, siginfo_t *info, void *context)
{
    const ucontext_t *u = context;
    (void)info;
    if (!simd_trap_take(u->uc_mcontext.fpregs->mxcsr))
        signal(sig, SIG_DFL);
}

/* The handler is left by a jump, so the signal must not be blocked meanwhile. */
/* #syscalls:cpu-worker rt_sigaction */
void simd_traps_init(void)
{
    struct sigaction sa = {.sa_sigaction = on_fpe, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGFPE, &sa, NULL);
}
