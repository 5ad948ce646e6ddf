/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel says about a process: the report of query-sandbox. Reads /proc, changes nothing.
 */
#include "seccomp/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Value behind "Name:" at the start of a line, or NULL. */
static const char *status_field(const char *text, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = text; p; p = strchr(p, '\n')) {
        p += *p == '\n';
        if (!strncmp(p, name, len) && p[len] == ':') {
            return p + len + 1;
        }
        if (!*p) {
            return NULL;
        }
    }
    return NULL;
}

static int status_parse(const char *text, struct sbx_status *st)
{
    const char *uid = status_field(text, "Uid"), *cap = status_field(text, "CapEff");
    const char *nnp = status_field(text, "NoNewPrivs"), *sec = status_field(text, "Seccomp");

    if (!uid || !cap || !nnp || !sec) {
        return -EINVAL;
    }
    uid += strspn(uid, " \t");
    uid += strcspn(uid, "\t"); /* second column: the effective one */
    st->uid = (uint32_t)strtoul(uid, NULL, 10);
    st->cap_eff = strtoull(cap, NULL, 16);
    st->no_new_privs = atoi(nnp);
    st->seccomp = atoi(sec);
    return 0;
}

/* #syscalls:vmm openat read close */
int sbx_status_read(int pid, struct sbx_status *st)
{
    char path[64], text[4096];
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0) {
        return n < 0 ? -errno : -EIO;
    }
    text[n] = '\0';
    return status_parse(text, st);
}
