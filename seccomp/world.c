/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage 3: the file system a child sees. The spawner's own root becomes a tiny read-only template; each
 * child's mount namespace is a copy of it; after exec the spawner pivots the copy into an empty
 * directory. No child ever holds the capability to mount.
 */
#include "seccomp/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ipc/fds.h"

#ifndef MOUNT_ATTR_RDONLY
#include <linux/mount.h>
#endif

#define WORLD_WAIT_MS 10000
#define WORLD_RO      (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

/* Adds attributes and takes none away: in a user namespace the ones of the host's mount are locked. */
static int mount_restrict(const char *path, uint64_t attr)
{
    struct mount_attr a = {.attr_set = attr};

    return syscall(SYS_mount_setattr, AT_FDCWD, path, AT_RECURSIVE, &a, sizeof(a)) < 0 ? -errno : 0;
}

/* Where to put the new root until it is pivoted to: any directory nothing below is needed of. */
static int template_mount(const char **where)
{
    static const char *const places[] = {"/tmp", "/run", "/mnt"};

    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        *where = places[i];
        if (mount("tmpfs", *where, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=64k") == 0) {
            return 0;
        }
    }
    return -errno;
}

static int bind_readonly(const char *from, const char *to)
{
    /* Recursive: in a user namespace a mount below may not be left out (it could hide something). */
    if (mount(from, to, NULL, MS_BIND | MS_REC, NULL) < 0) {
        return -errno;
    }
    return mount_restrict(to, WORLD_RO);
}

/* A top-level library directory: merged-usr systems have symbolic links here. cwd is the template. */
static int library_add(const char *name)
{
    char path[32] = "/", target[PATH_MAX];
    struct stat st;
    ssize_t n;

    strncat(path, name, sizeof(path) - 2);
    if (lstat(path, &st) < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (S_ISLNK(st.st_mode)) {
        n = readlink(path, target, sizeof(target) - 1);
        if (n < 0) {
            return -errno;
        }
        target[n] = '\0';
        return symlink(target, name) < 0 ? -errno : 0;
    }
    return mkdir(name, 0755) < 0 ? -errno : bind_readonly(path, name);
}

/* The loader's index of libraries: without it, directories of /etc/ld.so.conf would not be searched. */
static int loader_cache_add(void)
{
    int fd;

    if (access("/etc/ld.so.cache", R_OK) < 0) {
        return 0;
    }
    if (mkdir("etc", 0755) < 0) {
        return -errno;
    }
    fd = open("etc/ld.so.cache", O_CREAT | O_WRONLY | O_CLOEXEC, 0444);
    if (fd < 0) {
        return -errno;
    }
    close(fd);
    return bind_readonly("/etc/ld.so.cache", "etc/ld.so.cache");
}

static int template_fill(const char **step)
{
    static const char *const libraries[] = {"usr", "lib", "lib32", "lib64", "libx32"};
    int err = 0;

    *step = "library directories";
    for (unsigned i = 0; i < sizeof(libraries) / sizeof(libraries[0]) && !err; i++) {
        err = library_add(libraries[i]);
    }
    if (!err) {
        err = loader_cache_add();
    }
    if (err) {
        return err;
    }
    *step = "empty directory";
    if (mkdir("empty", 0755) < 0 ||
        mount("tmpfs", "empty", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0555,size=4k") < 0) {
        return -errno;
    }
    return mount_restrict("empty", WORLD_RO | MOUNT_ATTR_NOEXEC);
}

/* cwd is a mount: it becomes the root, the old root is gone. */
static int root_pivot(const char **step)
{
    *step = "pivot_root";
    if (syscall(SYS_pivot_root, ".", ".") < 0) {
        return -errno;
    }
    *step = "old root";
    if (umount2(".", MNT_DETACH) < 0) {
        return -errno;
    }
    return chdir("/") < 0 ? -errno : 0;
}

/*
 * Stage 3, first part, once in the spawner.
 * Should: leave itself and every later child a root with the system's libraries and nothing else, all
 *         read-only.
 * Mustn't: bind anything that is not needed to load a program.
 */
int sbx_stage3_template(const char **step)
{
    const char *where;
    int err;

    *step = "mount namespace";
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        return -errno;
    }
    *step = "tmpfs";
    err = template_mount(&where);
    if (err) {
        return err;
    }
    if (chdir(where) < 0) {
        return -errno;
    }
    err = template_fill(step);
    if (!err) {
        err = root_pivot(step);
    }
    if (err) {
        return err;
    }
    *step = "read-only root";
    return mount_restrict("/", WORLD_RO);
}

int sbx_stage3_hostname(const char **step)
{
    *step = "host name";
    return sethostname("bulkhead", 8) < 0 ? -errno : 0;
}

/*
 * Stage 3, last part, in the spawner, when the child says its program is loaded.
 * Should: make the empty directory the root of the child's namespace; pivot_root moves the root and the
 *         working directory of every process in that namespace.
 * Mustn't: stay in the child's namespace when a step fails.
 */
int sbx_stage3_world(int mnt_fd, int own_mnt_fd, const char **step)
{
    int err = 0;

    *step = "enter the child's mount namespace";
    if (setns(mnt_fd, CLONE_NEWNS) < 0) {
        return -errno;
    }
    *step = "empty directory";
    err = chdir("/empty") < 0 ? -errno : root_pivot(step);
    if (setns(own_mnt_fd, CLONE_NEWNS) < 0) {
        *step = "return from the child's mount namespace";
        return -errno;
    }
    return err;
}

int sbx_stage3_finish(uint32_t *stages)
{
    struct pollfd p = {.fd = SBX_FD_WORLD, .events = POLLIN};
    unsigned char byte = 'L';
    int r;

    *stages = 0;
    if (!ipc_fd_is_socket(SBX_FD_WORLD, AF_UNIX, SOCK_SEQPACKET)) {
        return 0;
    }
    if (send(SBX_FD_WORLD, &byte, 1, MSG_NOSIGNAL) != 1) {
        return -errno;
    }
    do {
        r = poll(&p, 1, WORLD_WAIT_MS);
    } while (r < 0 && errno == EINTR);
    if (r <= 0) {
        return r < 0 ? -errno : -ETIMEDOUT;
    }
    if (recv(SBX_FD_WORLD, &byte, 1, MSG_DONTWAIT) != 1) {
        return -EPIPE;
    }
    *stages = byte;
    close(SBX_FD_WORLD);
    return 0;
}
