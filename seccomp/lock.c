/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage 5: the system-call filter and what tells its victim's name. The filters were compiled when the
 * program was built, so nothing is parsed or allocated here.
 */
#include "seccomp/sandbox.h"

#include <errno.h>
#include <signal.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ipc/log.h"
#include "seccomp/policy-bpf.h"

#define FILTER(name) {.len = sizeof(name) / sizeof(name[0]), .filter = (struct sock_filter *)name}
static const struct sock_fprog filters[SBX_ROLES] = {
    [SBX_VMM] = FILTER(bpf_vmm),
    [SBX_SPAWNER] = FILTER(bpf_spawner),
    [SBX_CPU_WORKER] = FILTER(bpf_cpu_worker),
    [SBX_BLOCK] = FILTER(bpf_block),
    [SBX_NET] = FILTER(bpf_net),
    [SBX_NET_LINK] = FILTER(bpf_net_link),
    [SBX_UI] = FILTER(bpf_ui),
    [SBX_IMG] = FILTER(bpf_img),   [SBX_NBD] = FILTER(bpf_nbd),
    [SBX_IDE] = FILTER(bpf_ide),
    [SBX_AHCI] = FILTER(bpf_ahci),
    [SBX_NVME] = FILTER(bpf_nvme),
    [SBX_SCSI] = FILTER(bpf_scsi),
    [SBX_CLERK] = FILTER(bpf_clerk),
    [SBX_TRANSLATOR] = FILTER(bpf_translator),
};

const char *sbx_syscall_name(long nr)
{
    const unsigned long n = sizeof(syscall_names) / sizeof(syscall_names[0]);

    return nr >= 0 && (unsigned long)nr < n && syscall_names[nr] ? syscall_names[nr] : "unknown";
}

/* Names the call, then makes a forbidden one again: SA_RESETHAND has put the default action back, so the
 * kernel now ends the process with SIGSYS. (raise() would be ignored: the first process of a pid
 * namespace only dies of signals the kernel forces on it.) */
static void sigsys_report(int sig, siginfo_t *si, void *context)
{
    (void)sig;
    (void)context;
    ipc_log(IPC_LOG_ERROR, "forbidden system call %s (nr %d)", sbx_syscall_name(si->si_syscall),
            si->si_syscall);
    for (;;) {
        syscall(SYS_reboot, 0, 0, 0, 0); /* invalid magic even where it is allowed */
    }
}

static int sigsys_init(void)
{
    struct sigaction sa = {.sa_sigaction = sigsys_report};
    sigset_t set;

    sa.sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER;
    sigemptyset(&sa.sa_mask);
    if (sigaction(SIGSYS, &sa, NULL) < 0) {
        return -errno;
    }
    /* A blocked SIGSYS is forced by the kernel without calling the handler: no name. */
    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    return sigprocmask(SIG_UNBLOCK, &set, NULL) < 0 ? -errno : 0;
}

/*
 * Stage 5, in the child, everything taken over, nothing served yet.
 * Should: make the process undumpable and unable to gain privilege, then put all its threads behind the
 *         role's filter.
 * Mustn't: fail half-way in silence: a step that fails is named and the caller ends the process.
 */
int sbx_stage5_lock(enum sbx_role role, enum sbx_mode mode, const char **step)
{
    if (mode == SBX_OFF) {
        return 0;
    }
    *step = "role";
    if ((unsigned)role >= SBX_ROLES) {
        return -EINVAL;
    }
    *step = "no-new-privs";
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return -errno;
    }
    *step = "not dumpable";
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
        return -errno;
    }
    *step = "SIGSYS handler";
    if (sigsys_init() < 0) {
        return -errno;
    }
    *step = "system-call filter";
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filters[role])) {
        return errno ? -errno : -EBUSY; /* > 0: a thread that could not be synchronised */
    }
    return 0;
}

#if defined(__SANITIZE_ADDRESS__)
#define SBX_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SBX_ASAN 1
#endif
#endif

#ifdef SBX_ASAN
/* What no policy allows: the leak checker's ptrace from a clone, a signal stack's removal at the end. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0:use_sigaltstack=0";
}
#endif
