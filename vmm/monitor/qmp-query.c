/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the JSON monitor answers to query-* commands. Must never change anything.
 */
#include <stdio.h>
#include <string.h>
#include "vmm/config/version.h"
#include "vmm/monitor/qmp-commands.h"

int query_status(struct qmp_call *c)
{
    jw_object(c->out, "return");
    jw_string(c->out, "status", status_name(c->vm));
    jw_bool(c->out, "singlestep", false);
    jw_bool(c->out, "running", c->vm->state == VM_RUNNING);
    jw_end_object(c->out);
    return 0;
}

int query_version(struct qmp_call *c)
{
    jw_object(c->out, "return");
    jw_object(c->out, "qemu");
    jw_int(c->out, "micro", QEMU_MICRO);
    jw_int(c->out, "minor", QEMU_MINOR);
    jw_int(c->out, "major", QEMU_MAJOR);
    jw_end_object(c->out);
    jw_string(c->out, "package", BULKHEAD_PACKAGE);
    jw_end_object(c->out);
    return 0;
}

int query_name(struct qmp_call *c)
{
    jw_object(c->out, "return");
    if (c->vm->plan.name_set)
        jw_string(c->out, "name", c->vm->plan.name);
    jw_end_object(c->out);
    return 0;
}

int query_uuid(struct qmp_call *c)
{
    const char *uuid = c->vm->plan.uuid;

    jw_object(c->out, "return");
    jw_string(c->out, "UUID", *uuid ? uuid : "00000000-0000-0000-0000-000000000000");
    jw_end_object(c->out);
    return 0;
}

int query_target(struct qmp_call *c)
{
    jw_object(c->out, "return");
    jw_string(c->out, "arch", "x86_64");
    jw_end_object(c->out);
    return 0;
}

int query_kvm(struct qmp_call *c)
{
    jw_object(c->out, "return");
    jw_bool(c->out, "enabled", false);
    jw_bool(c->out, "present", false);
    jw_end_object(c->out);
    return 0;
}

int query_chardev(struct qmp_call *c)
{
    jw_array(c->out, "return");
    for (unsigned i = 0; i < c->vm->plan.n_char; i++) {
        const struct chr *ch = monitor_chr(i);
        char name[340];

        snprintf(name, sizeof(name), "%s%s",
                 ch && ch->listen_fd >= 0 && !ch->connected ? "disconnected:" : "",
                 ch ? ch->peer : "");
        jw_object(c->out, NULL);
        jw_bool(c->out, "frontend-open", ch && ch->n_fe > 0);
        jw_string(c->out, "filename", name);
        jw_string(c->out, "label", c->vm->plan.chardev[i].id);
        jw_end_object(c->out);
    }
    jw_end_array(c->out);
    return 0;
}

/* thread-id: the process of all vCPU threads; their own numbers do not leave its namespace. */
static void cpu_show(struct qmp_call *c, unsigned i, int pid)
{
    const struct abi_topology *t = &c->vm->plan.topology;
    unsigned threads = topo_some(t->threads), cores = topo_some(t->cores), dies = topo_some(t->dies);
    char path[48];

    snprintf(path, sizeof(path), "/machine/unattached/device[%u]", i);
    jw_object(c->out, NULL);
    jw_int(c->out, "thread-id", pid);
    jw_object(c->out, "props");
    jw_int(c->out, "core-id", i / threads % cores);
    jw_int(c->out, "thread-id", i % threads);
    if (dies > 1)
        jw_int(c->out, "die-id", i / threads / cores % dies);
    jw_int(c->out, "socket-id", i / threads / cores / dies);
    jw_end_object(c->out);
    jw_string(c->out, "qom-path", path);
    jw_int(c->out, "cpu-index", i);
    jw_string(c->out, "target", "x86_64");
    jw_end_object(c->out);
}

int query_cpus_fast(struct qmp_call *c)
{
    struct child_info list[CHILDREN_MAX];
    unsigned n = vm_children(c->vm, list, CHILDREN_MAX);
    int pid = 0;

    for (unsigned i = 0; i < n; i++)
        if (!strcmp(list[i].role, "cpu-worker"))
            pid = list[i].pid;
    jw_array(c->out, "return");
    for (unsigned i = 0; i < c->vm->plan.smp; i++)
        cpu_show(c, i, pid);
    jw_end_array(c->out);
    return 0;
}

/* ---- block
 * --------------------------------------------------------------------------------------- */
/* Limits are not built, so all of them are 0, which QEMU's schema defines as "none". */
static void block_limits(struct json_out *o)
{
    static const char *const names[] = {
        "bps",     "bps_rd",  "bps_wr",          "iops",
        "iops_rd", "iops_wr", "write_threshold", "backing_file_depth"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        jw_int(o, names[i], 0);
}

static void block_inserted(struct json_out *o, const struct plan_disk *d)
{
    bool through = !strcmp(d->cache, "writethrough") || !strcmp(d->cache, "directsync");

    jw_object(o, "inserted");
    jw_object(o, "image");
    jw_int(o, "virtual-size", (int64_t)d->size);
    jw_string(o, "filename", d->file);
    jw_string(o, "format", "raw");
    jw_end_object(o);
    jw_string(o, "file", d->file);
    jw_string(o, "drv", "raw");
    jw_bool(o, "ro", d->readonly);
    jw_bool(o, "encrypted", false);
    jw_string(o, "detect_zeroes", "off");
    jw_object(o, "cache");
    jw_bool(o, "writeback", !through);
    jw_bool(o, "direct", !strcmp(d->cache, "none") || !strcmp(d->cache, "directsync"));
    jw_bool(o, "no-flush", !strcmp(d->cache, "unsafe"));
    jw_end_object(o);
    block_limits(o);
    jw_end_object(o);
}

int query_block(struct qmp_call *c)
{
    jw_array(c->out, "return");
    for (unsigned i = 0; i < c->vm->plan.n_disk; i++) {
        const struct plan_disk *d = &c->vm->plan.disk[i];

        jw_object(c->out, NULL);
        jw_string(c->out, "device", d->id);
        jw_bool(c->out, "locked", false);
        jw_bool(c->out, "removable", false);
        block_inserted(c->out, d);
        if (d->qdev_id[0])
            jw_string(c->out, "qdev", d->qdev_id);
        jw_string(c->out, "type", "unknown");
        jw_end_object(c->out);
    }
    jw_end_array(c->out);
    return 0;
}

/* ---- processes
 * ----------------------------------------------------------------------------------- */
int query_processes(struct qmp_call *c)
{
    struct child_info list[CHILDREN_MAX];
    unsigned n = vm_children(c->vm, list, CHILDREN_MAX);

    jw_array(c->out, "return");
    for (unsigned i = 0; i < n; i++) {
        jw_object(c->out, NULL);
        jw_string(c->out, "role", list[i].role);
        jw_string(c->out, "id", list[i].id);
        jw_int(c->out, "pid", list[i].pid);
        jw_int(c->out, "uid", list[i].uid);
        jw_string(c->out, "state", list[i].state);
        jw_int(c->out, "restarts", list[i].restarts);
        jw_int(c->out, "generation", list[i].generation);
        jw_int(c->out, "uptime-ms", (int64_t)list[i].uptime_ms);
        jw_int(c->out, "rss-kib", (int64_t)list[i].rss_kib);
        jw_end_object(c->out);
    }
    jw_end_array(c->out);
    return 0;
}

static void sandbox_process(struct json_out *o, const struct child_info *p)
{
    const char *name;

    jw_object(o, NULL);
    jw_string(o, "role", p->role);
    jw_string(o, "id", p->id);
    jw_int(o, "pid", p->pid);
    jw_int(o, "uid", p->uid);
    jw_int(o, "cap-eff", (int64_t)p->cap_eff);
    jw_int(o, "seccomp", p->seccomp);
    jw_int(o, "no-new-privs", p->no_new_privs);
    jw_array(o, "layers");
    for (unsigned b = 0; (name = layer_name(b)) != NULL; b++)
        if (p->layers & 1u << b)
            jw_string(o, NULL, name);
    jw_end_array(o);
    jw_end_object(o);
}

int query_sandbox(struct qmp_call *c)
{
    static const char *const modes[] = {"require", "reduced", "off"};
    struct child_info list[CHILDREN_MAX];
    unsigned n = vm_children(c->vm, list, CHILDREN_MAX);

    jw_object(c->out, "return");
    jw_string(c->out, "mode", modes[c->vm->plan.sandbox]);
    jw_array(c->out, "processes");
    for (unsigned i = 0; i < n; i++)
        sandbox_process(c->out, &list[i]);
    jw_end_array(c->out);
    jw_end_object(c->out);
    return 0;
}
