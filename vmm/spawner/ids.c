/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block of UIDs that belongs to one virtual machine for its life. Holding a lock is holding the block.
 * Never gives out a UID under which something still runs.
 */
#include "vmm/spawner/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOT_DIR     "/run/bulkhead"
#define SWEEP_ROUNDS 2

/* Descriptor that holds the slot, -EAGAIN when another has it. */
static int slot_lock_file(unsigned slot)
{
    char path[64];
    int fd;

    snprintf(path, sizeof(path), SLOT_DIR "/uid-slot-%u", slot);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return -errno;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int err = errno == EWOULDBLOCK ? -EAGAIN : -errno;

        close(fd);
        return err;
    }
    return fd;
}

/* Where there is no /run to write to: a name in the abstract socket space, gone with its holder. */
static int slot_lock_socket(unsigned slot)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "bulkhead-uid-slot-%u", slot);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -errno;
    }
    if (bind(fd, (struct sockaddr *)&a, (socklen_t)(sizeof(sa_family_t) + 1 + (unsigned)n)) < 0) {
        int err = errno == EADDRINUSE ? -EAGAIN : -errno;

        close(fd);
        return err;
    }
    return fd;
}

static int slot_claim(struct spawner *sp)
{
    bool files = mkdir(SLOT_DIR, 0755) == 0 || errno == EEXIST;

    for (unsigned slot = 0; slot < SP_SLOTS; slot++) {
        int fd = files ? slot_lock_file(slot) : slot_lock_socket(slot);

        if (fd == -EROFS || fd == -EACCES || fd == -ENOENT) {
            files = false;
            fd = slot_lock_socket(slot);
        }
        if (fd >= 0) {
            sp->slot = slot;
            sp->slot_fd = fd;
            return 0;
        }
        if (fd != -EAGAIN) {
            return fd;
        }
    }
    return -EUSERS;
}

/* In a process of its own. kill(-1) reaches what this effective UID may signal: with CAP_KILL gone for the
 * moment (the effective UID is not 0), exactly the processes of that UID. It does not say whether there
 * were any; the second round catches what one of the first was just about to fork. */
static int sweep_run(uid_t base, unsigned n)
{
    for (unsigned i = 0; i < n * SWEEP_ROUNDS; i++) {
        uid_t uid = base + i % n;

        if (setresuid(uid, uid, 0) < 0) {
            return errno;
        }
        (void)kill(-1, SIGKILL);
        if (setresuid(0, 0, 0) < 0) {
            return errno;
        }
    }
    return 0;
}

static int sweep(uid_t base, unsigned n)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        _exit(sweep_run(base, n));
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        return -errno;
    }
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

int sp_ids_claim(struct spawner *sp, char *text, size_t len)
{
    int err;

    sp->slot_fd = -1;
    if (sp->userns) {
        return 0; /* the client chose the block when it made the namespace */
    }
    err = slot_claim(sp);
    if (err < 0) {
        snprintf(text, len, "claiming a block");
        return err;
    }
    sp->uid_base = SP_UID_BASE + sp->slot * SP_UID_BLOCK;
    sp->ids = SP_UID_BLOCK - 1;
    err = sweep(sp->uid_base, sp->plan.roles + 1);
    if (err < 0) {
        snprintf(text, len, "changing to UIDs from %u", sp->uid_base);
        close(sp->slot_fd);
        sp->slot_fd = -1;
        sp->ids = 0;
    }
    return err;
}
