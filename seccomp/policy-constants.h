/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names a policy file may use in place of numbers. Data only.
 */
#ifndef BULKHEAD_SECCOMP_POLICY_CONSTANTS_H
#define BULKHEAD_SECCOMP_POLICY_CONSTANTS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <linux/sched.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <linux/fs.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

#define C(name) {#name, (uint64_t)(name)}
static const struct {
    const char *name;
    uint64_t value;
} policy_constants[] = {
    C(PROT_EXEC), C(MAP_ANONYMOUS), C(MAP_SHARED), C(MADV_DONTNEED), C(MADV_FREE),
    C(ENOENT), C(EACCES), C(EPERM), C(ENOSYS), C(ENOTTY), C(EINTR),
    C(O_ACCMODE), C(O_RDONLY), C(CLONE_THREAD), C(CLONE_VM),
    C(AF_UNIX), C(AF_INET), C(AF_INET6), C(SOCK_STREAM), C(SOCK_DGRAM),
    C(F_OFD_SETLK), C(F_OFD_SETLKW), C(F_OFD_GETLK), C(F_GETFL), C(F_SETFL), C(F_GETFD), C(F_SETFD),
    C(F_GET_SEALS), C(F_ADD_SEALS), C(F_DUPFD_CLOEXEC),
    C(TUNGETIFF), C(TUNSETOFFLOAD), C(TUNSETVNETHDRSZ), C(TUNSETVNETLE),
    C(FIONREAD), C(FIONBIO), C(TCGETS), C(TCSETS), C(TCSETSW), C(TCSETSF), C(TIOCGWINSZ), C(TCSBRK), C(TCFLSH),
    C(TIOCGPTN), C(TIOCSPTLCK), C(BLKGETSIZE64), C(BLKSSZGET), C(BLKDISCARD), C(BLKZEROOUT),
    C(FS_IOC_GETFLAGS), C(FS_IOC_SETFLAGS),
    C(PR_SET_NAME), C(PR_SET_VMA), C(PR_SET_DUMPABLE),
};
#undef C

#endif
