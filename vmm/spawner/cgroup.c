/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cgroup (v2) per virtual machine with one leaf per role, where this process may make one. A missing
 * cgroup is a missing layer, never an error.
 */
#include "vmm/spawner/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LEAF_PIDS_MAX "96"

static bool attr_write(int dir, const char *name, const char *value)
{
    int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
    bool ok;

    if (fd < 0) {
        return false;
    }
    ok = write(fd, value, strlen(value)) == (ssize_t)strlen(value);
    close(fd);
    return ok;
}

static const char *hierarchy_find(void)
{
    static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

    for (unsigned i = 0; i < 2; i++) {
        struct statfs s;

        if (statfs(places[i], &s) == 0 && s.f_type == CGROUP2_SUPER_MAGIC) {
            return places[i];
        }
    }
    return NULL;
}

/* Our own cgroup: the line "0::/path" of /proc/self/cgroup. Length, 0 = not found. */
static size_t own_path(char *out, size_t len)
{
    char text[4096];
    int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    char *p, *end;

    if (fd >= 0) {
        close(fd);
    }
    if (n <= 0) {
        return 0;
    }
    text[n] = '\0';
    p = !strncmp(text, "0::", 3) ? text : strstr(text, "\n0::");
    if (!p) {
        return 0;
    }
    p = strchr(p, '/');
    end = p ? strchr(p, '\n') : NULL;
    if (!end || (size_t)(end - p) >= len) {
        return 0;
    }
    memcpy(out, p, (size_t)(end - p));
    out[end - p] = '\0';
    return (size_t)(end - p);
}

static void vm_name(const struct spawner *sp, char *out, size_t len)
{
    /* By slot where there is one, so that what a killed spawner left behind is used again. */
    if (sp->slot_fd >= 0) {
        snprintf(out, len, "bulkhead-%u", sp->slot);
    } else {
        snprintf(out, len, "bulkhead-p%d", (int)getpid());
    }
}

static void leaves_remove(const struct spawner *sp)
{
    char name[16];

    for (unsigned i = 0; i < SPAWN_ROLES_MAX; i++) {
        snprintf(name, sizeof(name), "r%u", i);
        (void)unlinkat(sp->cgroup_fd, name, AT_REMOVEDIR);
    }
}

void sp_cgroup_create(struct spawner *sp)
{
    const char *root = hierarchy_find();
    char own[PATH_MAX - 64], path[PATH_MAX], name[64];

    sp->cgroup_fd = sp->cgroup_parent_fd = -1;
    if (!root || !own_path(own, sizeof(own))) {
        return;
    }
    snprintf(path, sizeof(path), "%s%s", root, own);
    sp->cgroup_parent_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    vm_name(sp, name, sizeof(name));
    if (sp->cgroup_parent_fd < 0 ||
        (mkdirat(sp->cgroup_parent_fd, name, 0755) < 0 && errno != EEXIST)) {
        return;
    }
    sp->cgroup_fd = openat(sp->cgroup_parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (sp->cgroup_fd >= 0) {
        leaves_remove(sp); /* of a spawner that was killed; an old leaf may have old limits */
        (void)attr_write(sp->cgroup_fd, "cgroup.subtree_control", "+pids");
    }
}

int sp_cgroup_leaf(struct spawner *sp, unsigned role)
{
    char name[16];
    int fd;

    if (sp->cgroup_fd < 0) {
        return -1;
    }
    snprintf(name, sizeof(name), "r%u", role);
    if (mkdirat(sp->cgroup_fd, name, 0755) < 0 && errno != EEXIST) {
        return -1;
    }
    fd = openat(sp->cgroup_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)attr_write(fd, "pids.max", LEAF_PIDS_MAX);
    }
    return fd;
}

void sp_cgroup_remove(struct spawner *sp)
{
    char name[64];

    if (sp->cgroup_fd < 0) {
        return;
    }
    leaves_remove(sp);
    vm_name(sp, name, sizeof(name));
    (void)unlinkat(sp->cgroup_parent_fd, name, AT_REMOVEDIR);
}
