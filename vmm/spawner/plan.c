/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Message 1: the plan. Taken once, copied once, checked whole, never changed afterwards.
 */
#include "vmm/spawner/spawner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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

static const char *plan_check(const struct spawn_plan *p, unsigned nfds)
{
    const char *why = NULL;

    if (p->version != SPAWN_VERSION) {
        return "another version";
    }
    if (p->sandbox > SPAWN_SBX_OFF) {
        return "unknown sandbox mode";
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

/* Only files that opening anew cannot block on or act upon. */
static const char *files_check(const int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct stat st;

        if (fstat(fds[i], &st) < 0 || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))) {
            return "neither a regular file nor a block device";
        }
    }
    return NULL;
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
    why = n != sizeof(sp->plan) ? "wrong size" : plan_check(&sp->plan, nfds);
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
