/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the spawner does once, before it serves: programs opened, UIDs claimed, template root built,
 * authority reduced to what starting and ending children takes.
 */
#include "vmm/spawner/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "seccomp/isolate.h"
#include "seccomp/sandbox.h"

#define CAP(n) (UINT64_C(1) << (n))
/* Identities, ending children, namespaces and pivot_root, opening a held file anew whoever owns it, and
 * emptying the children's bounding sets. */
#define SERVING_CAPS                                                                               \
    (CAP(CAP_SETUID) | CAP(CAP_SETGID) | CAP(CAP_KILL) | CAP(CAP_SYS_ADMIN) | CAP(CAP_SYS_CHROOT) | \
     CAP(CAP_DAC_OVERRIDE) | CAP(CAP_SETPCAP))

static const char *const program_names[SPAWN_PROGRAMS] = {
    [SPAWN_CPU_WORKER] = "bulkhead-cpu-worker",
    [SPAWN_BLOCK] = "bulkhead-block",
    [SPAWN_NET] = "bulkhead-net",
    [SPAWN_UI] = "bulkhead-ui",
    [SPAWN_TRANSLATOR] = "bulkhead-translator",
    [SPAWN_IDE] = "bulkhead-ide",
    [SPAWN_AHCI] = "bulkhead-ahci",
    [SPAWN_NVME] = "bulkhead-nvme",
    [SPAWN_SCSI] = "bulkhead-scsi",
};

static const struct {
    uint32_t layer;
    int flag;
    const char *name;
} namespaces[] = {
    {SPAWN_LAYER_PID, CLONE_NEWPID, "pid namespace"},
    {SPAWN_LAYER_IPC, CLONE_NEWIPC, "ipc namespace"},
    {SPAWN_LAYER_UTS, CLONE_NEWUTS, "uts namespace"},
    {SPAWN_LAYER_NET, CLONE_NEWNET, "net namespace"},
};

/* A layer that cannot be had: the end in mode require, a remark otherwise. */
static int layer_missing(struct spawner *sp, const char *name, const char *step, int err, char *text,
                         size_t len)
{
    size_t used = strlen(sp->missing);

    if (sp->plan.sandbox == SPAWN_SBX_REQUIRE) {
        snprintf(text, len, "sandbox: no %s: %s%s%s (-sandbox reduced does without)", name, step,
                 *step ? ": " : "", strerror(-err));
        return err;
    }
    snprintf(sp->missing + used, sizeof(sp->missing) - used, "%sno %s (%s%s%s)", used ? ", " : "", name,
             step, *step ? ": " : "", strerror(-err));
    return 0;
}

/* Next to this program, wherever that is: the build tree or libexec. Opened once, so that a start needs no
 * path and an upgrade on disk cannot mix versions. */
static int programs_open(struct spawner *sp, char *text, size_t len)
{
    char dir[PATH_MAX], path[PATH_MAX + 64];
    ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
    char *slash;

    if (n < 0) {
        snprintf(text, len, "/proc/self/exe: %s", strerror(errno));
        return -errno;
    }
    dir[n] = '\0';
    slash = strrchr(dir, '/');
    *slash = '\0';
    for (unsigned i = 0; i < sp->plan.roles; i++) {
        unsigned p = sp->plan.role[i].program;

        if (sp->program[p] >= 0) {
            continue;
        }
        snprintf(path, sizeof(path), "%s/%s", dir, program_names[p]);
        sp->program[p] = open(path, O_PATH | O_CLOEXEC);
        if (sp->program[p] < 0) {
            int err = errno;

            snprintf(text, len, "%.150s: %s", path, strerror(err));
            return -err;
        }
    }
    return 0;
}

static int descriptors_open(struct spawner *sp, char *text, size_t len)
{
    sp->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    sp->self_fd_dir = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sp->self_ns_dir = open("/proc/self/ns", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (sp->null_fd < 0 || sp->self_fd_dir < 0 || sp->self_ns_dir < 0) {
        int err = errno;

        snprintf(text, len, "/dev/null and /proc/self are needed: %s", strerror(err));
        return -err;
    }
    return 0;
}

static int uid_layer(struct spawner *sp, char *text, size_t len)
{
    char why[100] = "";
    int err = 0;

    if (!sp->userns && geteuid() == 0) {
        err = sp_ids_claim(sp, why, sizeof(why));
        if (err < 0) {
            return layer_missing(sp, "UIDs of their own", why, err, text, len);
        }
    }
    if (sp->ids >= sp->plan.roles) {
        sp->layers |= SPAWN_LAYER_UID;
        return 0;
    }
    sp->ids = 0;
    return layer_missing(sp, "UIDs of their own", "no subordinate UIDs (/etc/subuid, newuidmap)", -EPERM,
                         text, len);
}

static int mount_layer(struct spawner *sp, char *text, size_t len)
{
    const char *step = "";
    int err = sbx_stage3_template(&step);

    if (err < 0) {
        return layer_missing(sp, "empty root", step, err, text, len);
    }
    sp->own_mnt_fd = openat(sp->self_ns_dir, "mnt", O_RDONLY | O_CLOEXEC);
    if (sp->own_mnt_fd < 0) {
        return layer_missing(sp, "empty root", "own mount namespace", -errno, text, len);
    }
    sp->layers |= SPAWN_LAYER_MOUNT;
    return 0;
}

/* Can a child with these namespaces be made? */
static int namespace_probe(int flag)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        _exit(unshare(flag) < 0 ? errno : 0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
        return -ECHILD;
    }
    return -WEXITSTATUS(status);
}

static int namespace_layers(struct spawner *sp, char *text, size_t len)
{
    int err = namespace_probe(CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET);

    for (unsigned i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
        int one = err ? namespace_probe(namespaces[i].flag) : 0;

        if (one) {
            one = layer_missing(sp, namespaces[i].name, "", one, text, len);
            if (one) {
                return one;
            }
        } else {
            sp->layers |= namespaces[i].layer;
        }
    }
    return 0;
}

static int layers_setup(struct spawner *sp, char *text, size_t len)
{
    int err = uid_layer(sp, text, len);

    if (!err) {
        err = namespace_layers(sp, text, len);
    }
    if (!err) {
        sp_cgroup_create(sp);
        sp->layers |= sp->cgroup_fd >= 0 ? SPAWN_LAYER_CGROUP : 0;
        err = mount_layer(sp, text, len); /* the last: host paths end here */
    }
    sp->layers |= SPAWN_LAYER_RLIMIT | SPAWN_LAYER_NOCAPS | SPAWN_LAYER_NNP | SPAWN_LAYER_SECCOMP;
    return err;
}

int sp_setup(struct spawner *sp, char *text, size_t len)
{
    const char *step = "capabilities";
    int err = programs_open(sp, text, len);

    if (!err) {
        err = descriptors_open(sp, text, len);
    }
    if (err || sp->plan.sandbox == SPAWN_SBX_OFF) {
        return err;
    }
    err = layers_setup(sp, text, len);
    if (err) {
        return err;
    }
    err = sbx_caps_keep(SERVING_CAPS);
    if (!err) {
        err = sbx_stage5_lock(SBX_SPAWNER, SBX_REQUIRE, &step);
    }
    if (err) {
        snprintf(text, len, "spawner's own sandbox, %s: %s", step, strerror(-err));
    }
    return err;
}
