/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the machine plan to the list of roles: which children this VM has, in which order, with
 * which file. The same order is the spawn plan's. Must never look at run-time state.
 */
#include <stdio.h>
#include <string.h>
#include "vmm/supervise/supervisor.h"

static const char *role_names[SPAWN_PROGRAMS] = {
    [SPAWN_CPU_WORKER] = "cpu-worker",
    [SPAWN_BLOCK] = "block",
    [SPAWN_NET] = "net",
    [SPAWN_UI] = "ui",
    [SPAWN_TRANSLATOR] = "translator",
    [SPAWN_IDE] = "ide",
    [SPAWN_AHCI] = "ahci",
    [SPAWN_NVME] = "nvme",
    [SPAWN_SCSI] = "scsi",
};

/* The spawner refuses titles that are not printable ASCII; ids are checked by config/, but a title
 * is also shorter than an id may be. */
static void set_title(struct spawn_role *r, const char *tag)
{
    size_t n = strnlen(tag, sizeof(r->title) - 1);

    memcpy(r->title, tag, n);
    r->title[n] = '\0';
    for (char *p = r->title; *p; p++)
        if (*p < 0x21 || *p > 0x7e)
            *p = '_';
}

static struct child *add_role(struct supervisor *s, enum spawn_program program, const char *id,
                              const char *alias)
{
    struct child *c = &s->child[s->n_child];
    struct spawn_role *r = &s->splan.role[s->n_child];

    memset(c, 0, sizeof(*c));
    c->sup = s;
    c->role = s->n_child++;
    c->program = program;
    c->role_name = role_names[program];
    c->pidfd = c->status_fd = c->ctl_fd = c->log_fd = c->image_fd = c->vu_fd = c->state_fd = -1;
    snprintf(c->id, sizeof(c->id), "%s", id);
    snprintf(c->alias, sizeof(c->alias), "%s", alias);
    r->program = program;
    r->file = -1;
    if (strcmp(id, c->role_name) == 0)
        snprintf(c->tag, sizeof(c->tag), "%s", id);
    else
        snprintf(c->tag, sizeof(c->tag), "%s/%s", role_names[program], id);
    set_title(r, c->tag);
    return c;
}

static unsigned add_disks(struct supervisor *s, const struct plan *p, int *files)
{
    unsigned n = 0;

    for (unsigned i = 0; i < p->n_disk; i++) {
        const struct plan_disk *d = &p->disk[i];
        struct child *c;
        if (!d->used)
            continue;
        c = add_role(s, SPAWN_BLOCK, d->id, d->qdev_id);
        c->config = i;
        s->splan.role[c->role].file = (int32_t)n;
        files[n++] = d->fd;
    }
    return n;
}

static void add_nets(struct supervisor *s, const struct plan *p)
{
    for (unsigned i = 0; i < p->n_net; i++) {
        const struct plan_net *n = &p->net[i];
        struct child *c;
        c = add_role(s, SPAWN_NET, n->id, n->qdev_id);
        c->config = i;
        c->standby = !n->has_card;
        s->splan.role[c->role].host_net = !strcmp(n->backend, "user");
    }
}

/* The plan is frozen before the machine starts; netdev_add takes one of these. */
static void add_net_reserve(struct supervisor *s)
{
    char id[32];

    for (unsigned i = 0; i < 2 * SUP_NET_RESERVE; i++) {
        bool host_net = i < SUP_NET_RESERVE;
        struct child *c;

        snprintf(id, sizeof(id), "reserve-%s%u", host_net ? "host" : "link", i % SUP_NET_RESERVE);
        c = add_role(s, SPAWN_NET, id, "");
        s->splan.role[c->role].host_net = host_net;
        c->standby = true;
        c->config = CHILD_NO_CONFIG;
        c->id[0] = 0;
    }
}

static const enum spawn_program ctl_programs[CTL_KINDS] = {
    [CTL_IDE] = SPAWN_IDE,
    [CTL_AHCI] = SPAWN_AHCI,
    [CTL_NVME] = SPAWN_NVME,
    [CTL_SCSI] = SPAWN_SCSI,
};

static void add_controllers(struct supervisor *s, const struct plan *p)
{
    for (unsigned i = 0; i < p->n_ctl; i++)
        add_role(s, ctl_programs[p->ctl[i].kind], p->ctl[i].id, p->ctl[i].qdev_id)->config = i;
}

unsigned sup_plan_roles(struct supervisor *s, struct vm *vm, int *files)
{
    unsigned nfiles;

    s->vm = vm;
    s->n_child = 0;
    memset(&s->splan, 0, sizeof(s->splan));
    s->splan.version = SPAWN_VERSION;
    s->splan.sandbox = (uint32_t)vm->plan.sandbox;
    snprintf(s->splan.vm_name, sizeof(s->splan.vm_name), "%s", vm->plan.name);
    add_role(s, SPAWN_CPU_WORKER, "cpu-worker", "");
    nfiles = add_disks(s, &vm->plan, files);
    add_controllers(s, &vm->plan);
    add_nets(s, &vm->plan);
    add_role(s, SPAWN_UI, "ui", "");
    if (vm->plan.tb_size)
        add_role(s, SPAWN_TRANSLATOR, "translator", "");
    add_net_reserve(s); /* last: the others' numbers, and with them their UIDs, stay */
    s->splan.roles = s->n_child;
    s->splan.files = nfiles;
    return nfiles;
}
