/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resolves and opens names found in images. The kernel enforces the rule (openat2, RESOLVE_BENEATH), text
 * comparison only chooses the directory.
 */
#include "ipc/imagepath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The real directory of a path. */
static int directory_of(const char *path, char dir[PATH_MAX])
{
    char copy[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (n >= sizeof(copy))
        return -ENAMETOOLONG;
    memcpy(copy, path, n);
    copy[n] = '\0';
    return realpath(!slash ? "." : n ? copy : "/", dir) ? 0 : -errno;
}

/* Takes "." and ".." out of an absolute path, as text. */
static void normalise(char *path)
{
    char *out = path, *save = NULL;
    char copy[2 * PATH_MAX];
    snprintf(copy, sizeof(copy), "%s", path);
    for (char *part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
        if (!strcmp(part, "."))
            continue;
        if (!strcmp(part, "..")) {
            while (out > path && *--out != '/')
                ;
            continue;
        }
        *out++ = '/';
        memcpy(out, part, strlen(part));
        out += strlen(part);
    }
    *out = '\0';
}

int ipc_image_path(const char *image, const char *name, char *path, size_t len)
{
    char dir[PATH_MAX], whole[2 * PATH_MAX] = "";
    if (!strncmp(name, "file:", 5))
        name += 5;
    else if (name[strcspn(name, ":/")] == ':')
        return -EPROTONOSUPPORT;
    if (name[0] != '/') {
        int r = directory_of(image, dir);
        if (r < 0)
            return r;
        snprintf(whole, sizeof(whole), "%s/", dir);
    }
    if (strlen(whole) + strlen(name) >= PATH_MAX)
        return -ENAMETOOLONG;
    strcat(whole, name);
    normalise(whole);
    return snprintf(path, len, "%s", whole) < (int)len ? 0 : -ENAMETOOLONG;
}

static int open_beneath(const char *dir, const char *rest, int flags)
{
    struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NOCTTY),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return -errno;
    long fd = syscall(SYS_openat2, at, rest, &how, sizeof(how));
    int r = fd < 0 ? -errno : (int)fd;
    close(at);
    return r == -EXDEV ? -EPERM : r;
}

/* -EPERM when the path does not lie in this directory. */
static int try_directory(const char *dir, const char *path, int flags)
{
    size_t n = strlen(dir);
    while (n && dir[n - 1] == '/')
        n--;
    if (strncmp(path, dir, n) || path[n] != '/' || !path[n + 1])
        return -EPERM;
    return open_beneath(n ? dir : "/", path + n + 1, flags);
}

int ipc_image_open_path(const char *image, const char *path, int flags)
{
    char dir[PATH_MAX], real[PATH_MAX], list[PATH_MAX] = "", *save = NULL;
    const char *env = getenv(IPC_IMAGE_DIRS_ENV);
    int r = directory_of(image, dir);
    if (r == 0)
        r = try_directory(dir, path, flags);
    if (r != -EPERM || !env)
        return r;
    snprintf(list, sizeof(list), "%s", env);
    for (char *d = strtok_r(list, ":", &save); d && r == -EPERM; d = strtok_r(NULL, ":", &save)) {
        r = try_directory(d, path, flags);
        if (r == -EPERM && realpath(d, real))
            r = try_directory(real, path, flags);
    }
    return r;
}
