/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `info processes`, query-processes and query-sandbox say. The figures come from the kernel:
 * each process's /proc/PID/status is opened when the process starts and read whenever somebody
 * asks. The spawner may pass a child's with STARTED; otherwise it is opened here, which the vmm's
 * policy allows for reading only. Where neither works the child's own report counts.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "vmm/supervise/report.h"

static int own_status = -1, spawner_status = -1;
static pid_t own_pid;

void report_open(const struct supervisor *s)
{
    char path[40];

    own_pid = getpid();
    own_status = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (s->spawn.pid <= 0)
        return;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)s->spawn.pid);
    spawner_status = open(path, O_RDONLY | O_CLOEXEC);
}

/* #syscalls:vmm openat */
int report_open_child(int pid)
{
    char path[40];

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static unsigned long long field(const char *text, const char *name, int base)
{
    const char *p = strstr(text, name);

    return p ? strtoull(p + strlen(name), NULL, base) : 0;
}

/* #syscalls:vmm pread64 */
static bool read_status(int fd, struct child_info *out)
{
    char text[4096];
    ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);

    if (n <= 0)
        return false;
    text[n] = '\0';
    out->uid = (uint32_t)field(text, "\nUid:", 10);
    out->rss_kib = field(text, "\nVmRSS:", 10);
    out->cap_eff = field(text, "\nCapEff:", 16);
    out->no_new_privs = (int)field(text, "\nNoNewPrivs:", 10);
    out->seccomp = (int)field(text, "\nSeccomp:", 10);
    return true;
}

static void set_uptime(struct child_info *out, uint64_t since_ns)
{
    out->uptime_ms = since_ns ? (ipc_now_ns() - since_ns) / 1000000 : 0;
}

static void report_self(const struct supervisor *s, struct child_info *out)
{
    memset(out, 0, sizeof(*out));
    out->role = "vmm";
    out->id = "vmm";
    out->pid = own_pid;
    out->state = child_state_name(CHILD_RUNNING);
    out->generation = 1;
    set_uptime(out, s->vmm_started_ns);
    read_status(own_status, out);
    if (out->cap_eff == 0)
        out->layers |= SPAWN_LAYER_NOCAPS;
    if (s->reply.uid)
        out->layers |= SPAWN_LAYER_UID;
    if (out->no_new_privs)
        out->layers |= SPAWN_LAYER_NNP;
    if (out->seccomp == 2)
        out->layers |= SPAWN_LAYER_SECCOMP;
}

static void report_spawner(const struct supervisor *s, struct child_info *out)
{
    memset(out, 0, sizeof(*out));
    out->role = "spawner";
    out->id = s->spawn.how ? s->spawn.how : "spawner";
    out->pid = s->spawn.pid;
    out->state = child_state_name(CHILD_RUNNING);
    out->generation = 1;
    set_uptime(out, s->vmm_started_ns);
    read_status(spawner_status, out);
}

#define STAGE5_DONE 0x10u /* Ready.stages, bit 4 */

static void report_child(const struct child *c, struct child_info *out)
{
    memset(out, 0, sizeof(*out));
    out->role = c->role_name;
    out->id = c->id;
    out->state = child_state_name(c->state);
    out->restarts = c->restarts;
    out->generation = c->generation;
    if (!child_alive(c) && c->state != CHILD_STOPPING)
        return;
    out->pid = c->pid;
    out->uid = c->uid;
    out->layers = c->layers;
    set_uptime(out, c->started_ns);
    if (read_status(c->status_fd, out))
        out->uid = c->uid ? c->uid : out->uid;
    else if (c->stages & STAGE5_DONE)
        out->seccomp = 2, out->no_new_privs = 1;
    if (out->seccomp == 2)
        out->layers |= SPAWN_LAYER_SECCOMP | SPAWN_LAYER_NNP;
}

unsigned report_children(const struct supervisor *s, struct child_info *out, unsigned max)
{
    unsigned n = 0;

    if (n < max)
        report_self(s, &out[n++]);
    if (n < max)
        report_spawner(s, &out[n++]);
    for (unsigned i = 0; i < s->n_child && n < max; i++)
        if (s->child[i].config != CHILD_NO_CONFIG || s->child[i].state != CHILD_ABSENT) /* nobody knows a role in reserve */
            report_child(&s->child[i], &out[n++]);
    return n;
}
