/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Message 1: the plan. Taken once, copied once, checked whole, never changed afterwards.
 */
#include "vmm/spawner/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "ipc/chan.h"
#include "ipc/fds.h"

#define PLAN_WAIT_MS 30000

static bool name_ok(const char name[SPAWN_NAME_MAX])
{
    size_t len = strnlen(name, SPAWN_NAME_MAX);

    if (len == 0 || len == SPAWN_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (name[i] <= ' ' || name[i] > '~') {
            return false;
        }
    }
    return true;
}

static const char *role_check(const struct spawn_role *r, unsigned files)
{
    if (r->program >= SPAWN_PROGRAMS) {
        return "unknown program";
    }
    if (r->file < -1 || r->file >= (int32_t)files) {
        return "file index out of range";
    }
    /* Which program may see the host's network is this program's decision, not the vmm's. */
    if (r->host_net > (r->program == SPAWN_NET)) {
        return "host network for a program that must not have it";
    }
    if (r->pad || !name_ok(r->title)) {
        return "bad title";
    }
    return NULL;
}

static const char *plan_check(const struct spawn_plan *p, unsigned nfds, bool foreign)
{
    const char *why = NULL;

    if (p->version != SPAWN_VERSION) {
        return "another version";
    }
    if (p->sandbox > SPAWN_SBX_OFF) {
        return "unknown sandbox mode";
    }
    /* Without a sandbox a child keeps this process's rights: not for somebody who has fewer. */
    if (foreign && p->sandbox == SPAWN_SBX_OFF) {
        return "sandbox off through the broker";
    }
    if (p->roles == 0 || p->roles > SPAWN_ROLES_MAX || p->files > SPAWN_FILES_MAX) {
        return "too many roles or files";
    }
    if (p->files != nfds) {
        return "descriptors and number of files differ";
    }
    if (!name_ok(p->vm_name)) {
        return "bad name";
    }
    for (unsigned i = 0; i < p->roles && !why; i++) {
        why = role_check(&p->role[i], p->files);
    }
    return why;
}

/* Files of these answer by the reader's rights and not by the opener's: opened anew here, they would say
 * more than they told the client. */
static bool is_kernel_fs(int fd)
{
    static const unsigned long kinds[] = {PROC_SUPER_MAGIC,   SYSFS_MAGIC,   DEBUGFS_MAGIC,
                                          TRACEFS_MAGIC,      CGROUP_SUPER_MAGIC,
                                          CGROUP2_SUPER_MAGIC, SECURITYFS_MAGIC, BPF_FS_MAGIC};
    struct statfs sfs;

    if (fstatfs(fd, &sfs) < 0) {
        return true;
    }
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if ((unsigned long)sfs.f_type == kinds[i]) {
            return true;
        }
    }
    return false;
}

/* A descriptor proves a right only if it was opened for that access: O_PATH proves nothing. And only files
 * that opening anew cannot block on or act upon. */
static const char *file_check(int fd)
{
    struct stat st;
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || (flags & O_PATH)) {
        return "a file that is not open for reading or writing";
    }
    if (fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))) {
        return "neither a regular file nor a block device";
    }
    return is_kernel_fs(fd) ? "a file of the kernel" : NULL;
}

static const char *files_check(const int *fds, unsigned n)
{
    const char *why = NULL;

    for (unsigned i = 0; i < n && !why; i++) {
        why = file_check(fds[i]);
    }
    return why;
}

int sp_plan_receive(struct spawner *sp, char *text, size_t len)
{
    unsigned nfds = SPAWN_FILES_MAX;
    ssize_t n = ipc_chan_recv(sp->fd, &sp->plan, sizeof(sp->plan), sp->file, &nfds, PLAN_WAIT_MS);
    const char *why;

    if (n <= 0) {
        snprintf(text, len, "plan: %s", n ? strerror((int)-n) : "the channel was closed");
        return n ? (int)n : -EPIPE;
    }
    why = n != sizeof(sp->plan) ? "wrong size" : plan_check(&sp->plan, nfds, sp->foreign);
    if (!why) {
        why = files_check(sp->file, nfds);
    }
    if (why) {
        ipc_fds_close(sp->file, nfds);
        snprintf(text, len, "plan refused: %s", why);
        return -EINVAL;
    }
    return 0;
}
