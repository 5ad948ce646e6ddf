/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows backing files from a disk's image down to its base, while the vmm still is the user who started
 * it. Headers are read by `bulkhead-block --inspect`, locked down, one image at a time; its answer is
 * hostile text, and ipc/imagepath.h says which files it may lead to. Must never parse an image.
 */
#include "vmm/config/image-chain.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ipc/abi/image-about.h"
#include "ipc/imagepath.h"

#define INSPECT_WAIT_MS 10000

static const char *program_find(char *path, size_t len)
{
    static const char *const places[] = {"bulkhead-block", "../libexec/bulkhead/bulkhead-block"};
    const char *env = getenv("BULKHEAD_LIBEXEC");
    char dir[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
    if (env) {
        snprintf(path, len, "%s/bulkhead-block", env);
        return path;
    }
    if (n <= 0)
        return NULL;
    dir[n] = '\0';
    *strrchr(dir, '/') = '\0';
    for (unsigned i = 0; i < 2; i++)
        if (snprintf(path, len, "%s/%s", dir, places[i]) < (int)len && access(path, X_OK) == 0)
            return path;
    return NULL;
}

/* The answer's text is only trusted to be text. */
static bool about_check(struct abi_image_about *a)
{
    if (a->magic != ABI_IMAGE_MAGIC || memchr(a->format, 0, sizeof(a->format)) == NULL ||
        memchr(a->backing, 0, sizeof(a->backing)) == NULL ||
        memchr(a->backing_format, 0, sizeof(a->backing_format)) == NULL)
        return false;
    a->text[sizeof(a->text) - 1] = '\0';
    return true;
}

static bool answer_read(int fd, struct abi_image_about *a)
{
    struct pollfd p = {fd, POLLIN, 0};
    size_t got = 0;
    while (got < sizeof(*a)) {
        if (poll(&p, 1, INSPECT_WAIT_MS) != 1)
            return false;
        ssize_t n = read(fd, (char *)a + got, sizeof(*a) - got);
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return about_check(a);
}

static bool inspector_start(const char *program, int image, int out, const char *format, pid_t *pid)
{
    char *argv[] = {(char *)"bulkhead-block", (char *)"--inspect",
                    (char *)(uintptr_t)(format[0] ? format : "probe"), NULL};
    char *env[] = {NULL};
    posix_spawn_file_actions_t fa;
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, image, 0);
    posix_spawn_file_actions_adddup2(&fa, out, 1);
    int r = posix_spawn(pid, program, &fa, NULL, argv, env);
    posix_spawn_file_actions_destroy(&fa);
    return r == 0;
}

static int inspect(int image, const char *format, struct abi_image_about *a, char *err, size_t errlen)
{
    char program[2 * PATH_MAX];
    int pipefd[2];
    pid_t pid;
    if (!program_find(program, sizeof(program)) || pipe2(pipefd, O_CLOEXEC) < 0) {
        snprintf(err, errlen, "bulkhead-block, which reads image headers, is not found");
        return -1;
    }
    bool ok = inspector_start(program, image, pipefd[1], format, &pid);
    close(pipefd[1]);
    if (ok) {
        ok = answer_read(pipefd[0], a);
        if (!ok)
            kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    close(pipefd[0]);
    if (!ok)
        snprintf(err, errlen, "its header could not be read (bulkhead-block --inspect failed)");
    else if (a->error) /* "image: what is wrong": the name is said by the caller */
        snprintf(err, errlen, "%s", strncmp(a->text, "image: ", 7) ? a->text : a->text + 7);
    return ok && !a->error ? 0 : -1;
}

static int backing_fail(const char *name, int r, char *err, size_t errlen)
{
    if (r == -EPERM)
        snprintf(err, errlen, "its backing file '%s' is not in its directory, and " IPC_IMAGE_DIRS_ENV
                 " does not allow another one", name);
    else if (r == -EPROTONOSUPPORT)
        snprintf(err, errlen, "its backing file '%s' needs a protocol that is not built", name);
    else
        snprintf(err, errlen, "its backing file '%s': %s", name, strerror(-r));
    return -1;
}

static int same_file(int a, int b)
{
    struct stat x, y;
    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Opens the file named in `image`; path becomes its path. */
static int backing_open(struct plan_disk *d, const char *name, char path[PATH_MAX], char *err,
                        size_t errlen)
{
    char next[PATH_MAX];
    struct stat st;
    if (d->n_backing == PLAN_CHAIN_MAX) {
        snprintf(err, errlen, "more than %d backing files below it", PLAN_CHAIN_MAX);
        return -1;
    }
    int r = ipc_image_path(path, name, next, sizeof(next));
    int fd = r < 0 ? r : ipc_image_open_path(path, next, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return backing_fail(name, fd, err, errlen);
    if (fstat(fd, &st) || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))) {
        close(fd);
        return backing_fail(name, -EINVAL, err, errlen);
    }
    (void)fcntl(fd, F_SETFL, 0);
    bool loop = same_file(fd, d->fd);
    for (unsigned i = 0; i < d->n_backing; i++)
        loop |= same_file(fd, d->backing_fd[i]);
    d->backing_fd[d->n_backing++] = fd;
    memcpy(path, next, sizeof(next));
    if (loop)
        snprintf(err, errlen, "its backing files form a loop at '%s'", name);
    return loop ? -1 : 0;
}

int image_chain_open(struct plan_disk *d, char *err, size_t errlen)
{
    struct abi_image_about a;
    char path[PATH_MAX];
    const char *format = d->format;
    int fd = d->fd;
    snprintf(path, sizeof(path), "%s", d->file);
    for (;;) {
        if (inspect(fd, format, &a, err, errlen) < 0)
            return -1;
        if (d->n_backing == 0)
            d->size = a.size;
        if (!a.backing[0])
            return 0;
        if (backing_open(d, a.backing, path, err, errlen) < 0)
            return -1;
        fd = d->backing_fd[d->n_backing - 1];
        format = d->backing_format[d->n_backing - 1];
        memcpy(d->backing_format[d->n_backing - 1], a.backing_format, sizeof(a.backing_format));
    }
}
