/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors handed over by name; see handed-fds.h. */
#include "vmm/monitor/handed-fds.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HANDED_MAX 16

static int arrived = -1;
static struct {
    char name[64]; /* "": free */
    int fd;
} handed[HANDED_MAX];

void handed_fd_arrived(int fd)
{
    if (arrived >= 0)
        close(arrived); /* the client never named it */
    arrived = fd;
}

static int slot_of(const char *name)
{
    for (int i = 0; i < HANDED_MAX; i++)
        if (!strcmp(handed[i].name, name))
            return i;
    return -1;
}

int handed_fd_name(const char *name)
{
    int i = slot_of(name);

    if (arrived < 0)
        return vm_fail(-EBADF, "No file descriptor supplied via SCM_RIGHTS");
    if (!*name || strlen(name) >= sizeof(handed[0].name) || (name[0] >= '0' && name[0] <= '9'))
        return vm_fail(-EINVAL, "Parameter 'fdname' expects a name not starting with a digit");
    if (i >= 0)
        close(handed[i].fd); /* as QEMU: the new one replaces it */
    else
        i = slot_of("");
    if (i < 0)
        return vm_fail(-ENOSPC, "too many named descriptors (limit %d)", HANDED_MAX);
    snprintf(handed[i].name, sizeof(handed[i].name), "%s", name);
    handed[i].fd = arrived;
    arrived = -1;
    return 0;
}

int handed_fd_close(const char *name)
{
    int i = *name ? slot_of(name) : -1;

    if (i < 0)
        return vm_fail(-ENOENT, "File descriptor named '%.60s' not found", name);
    close(handed[i].fd);
    handed[i].name[0] = 0;
    return 0;
}

int handed_fd_find(const char *name)
{
    int i = *name ? slot_of(name) : -1;

    return i < 0 ? -1 : handed[i].fd;
}

void handed_fds_used(const struct plan_net *n)
{
    for (unsigned i = 0; i < HANDED_MAX; i++)
        if (handed[i].name[0] && (handed[i].fd == n->link_fd || handed[i].fd == n->listen_fd))
            handed[i].name[0] = 0;
}
