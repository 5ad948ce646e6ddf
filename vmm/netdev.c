/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks of a running machine: another netdev on a card's cable, netdevs that come and go, the cable itself, forwards.
 * A successor is up and has agreed to everything the driver uses before the process in service stops. Owns the
 * changes of plan.net[]; must never touch a descriptor but to hand it on.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "vmm/config/net.h"
#include "vmm/lifecycle.h"
#include "vmm/monitor/handed-fds.h"

static struct plan_net *net_at(struct vm *vm, unsigned i)
{
    return &vm->plan.net[i];
}

/* Index by netdev id, or, where cards count, by the card's id; -1. */
static int net_find(struct vm *vm, const char *name, bool cards)
{
    for (unsigned i = 0; i < vm->plan.n_net; i++)
        if (*name && !strcmp(net_at(vm, i)->id, name))
            return (int)i;
    for (unsigned i = 0; cards && i < vm->plan.n_net; i++)
        if (*name && !strcmp(net_at(vm, i)->qdev_id, name))
            return (int)i;
    return -1;
}

static int busy(const struct supervisor *s)
{
    return s->starting || s->stopping ? vm_fail(-EBUSY, "the machine is starting or ending") : 0;
}

/* ---- another netdev for a card ----------------------------------------------------------------- */

/* The card's side of the entry moves; the netdev's side stays. */
static void card_move(struct plan_net *from, struct plan_net *to)
{
    to->has_card = true;
    to->link_down = from->link_down;
    to->pci_slot = from->pci_slot;
    to->pci_fn = from->pci_fn;
    to->disable_legacy = from->disable_legacy;
    to->disable_modern = from->disable_modern;
    memcpy(to->mac, from->mac, sizeof(to->mac));
    memcpy(to->qdev_id, from->qdev_id, sizeof(to->qdev_id));
    from->has_card = false;
    from->qdev_id[0] = 0;
    memset(from->mac, 0, sizeof(from->mac));
}

static void card_lend(const struct plan_net *card, struct plan_net *netdev)
{
    memcpy(netdev->mac, card->mac, sizeof(netdev->mac));
    netdev->link_down = card->link_down;
    netdev->announce = strcmp(netdev->backend, "user") != 0;
}

static int refused(struct child *next, const char *netdev, int r)
{
    char why[300];

    snprintf(why, sizeof(why), "%s", next->first_error[0] ? next->first_error : strerror(-r));
    if (child_alive(next))
        sup_child_retire(next);
    return vm_fail(r, "netdev '%.60s' cannot take over: %.200s", netdev, why);
}

/* Both children exist; next is in service when this returns 0. */
static int take_over(struct vm *vm, struct child *old, struct child *next)
{
    int r = sup_await(next), fd;

    if (r)
        return refused(next, next->id, r);
    fd = next->vu_fd;
    next->vu_fd = -1;
    r = machine_backend_replace(vm, old->id, next->id, fd);
    if (r)
        return refused(next, next->id, r);
    next->standby = false;
    next->backend_up = true;
    memcpy(next->alias, old->alias, sizeof(next->alias));
    old->alias[0] = 0;
    old->backend_up = false;
    sup_child_retire(old);
    return 0;
}

int vm_netdev_replace(struct vm *vm, const char *card, const char *netdev)
{
    struct supervisor *s = lifecycle_supervisor();
    int from = net_find(vm, card, true), to = net_find(vm, netdev, false), r = busy(s);
    struct child *old, *next;

    if (r)
        return r;
    if (from < 0 || !net_at(vm, (unsigned)from)->has_card)
        return vm_fail(-ENODEV, "no network card '%.60s'", card);
    if (to < 0)
        return vm_fail(-ENODEV, "no netdev '%.60s'", netdev);
    if (net_at(vm, (unsigned)to)->has_card)
        return vm_fail(-EBUSY, "netdev '%.60s' serves %s card", netdev, to == from ? "this" : "another");
    old = sup_net_child(s, (unsigned)from);
    next = sup_net_child(s, (unsigned)to);
    if (!old || !next || next->state != CHILD_ABSENT)
        return vm_fail(-EBUSY, "netdev '%.60s' is still ending; try again", netdev);
    card_lend(net_at(vm, (unsigned)from), net_at(vm, (unsigned)to));
    r = take_over(vm, old, next);
    if (!r)
        card_move(net_at(vm, (unsigned)from), net_at(vm, (unsigned)to));
    net_at(vm, (unsigned)to)->announce = false;
    return r;
}

/* ---- netdevs that come and go ------------------------------------------------------------------ */

static void net_fds_close(struct plan_net *n)
{
    if (n->link_fd >= 0)
        close(n->link_fd);
    if (n->listen_fd >= 0)
        close(n->listen_fd);
    n->link_fd = n->listen_fd = -1;
}

/* An entry for a netdev of this id: one that was deleted under its card (the card waits for it), or a free one. */
static int entry_for(struct vm *vm, const char *id)
{
    int free_one = -1;

    for (unsigned i = 0; i < vm->plan.n_net; i++) {
        if (net_at(vm, i)->deleted && net_at(vm, i)->has_card && !strcmp(net_at(vm, i)->was_id, id))
            return (int)i;
        if (net_at(vm, i)->deleted && !net_at(vm, i)->has_card)
            free_one = (int)i;
    }
    if (free_one >= 0 || vm->plan.n_net == PLAN_NETS_MAX)
        return free_one;
    *net_at(vm, vm->plan.n_net) = (struct plan_net){.link_fd = -1, .listen_fd = -1, .deleted = true};
    return (int)vm->plan.n_net++;
}

/* The netdev into its entry, whose card, if it has one, stays. */
static void entry_fill(struct plan_net *e, const struct plan_net *n)
{
    struct plan_net old = *e;

    *e = *n;
    if (old.has_card)
        card_move(&old, e);
}

/* As if the cable were put back in: the card gets this netdev's process. */
static int plug_in(struct vm *vm, struct child *c)
{
    int r = sup_await(c), fd;

    if (r)
        return refused(c, c->id, r);
    fd = c->vu_fd;
    c->vu_fd = -1;
    r = machine_backend_up(vm, c->id, fd);
    if (r)
        return refused(c, c->id, r);
    c->standby = false;
    c->backend_up = true;
    snprintf(c->alias, sizeof(c->alias), "%s", net_at(vm, c->config)->qdev_id);
    return 0;
}

static int add_checked(struct vm *vm, const struct plan_net *n)
{
    int i = entry_for(vm, n->id);
    struct child *c;

    if (i < 0)
        return vm_fail(-ENOSPC, "too many network back ends (limit %d)", PLAN_NETS_MAX);
    c = sup_net_reserve(lifecycle_supervisor(), (unsigned)i, n);
    if (!c)
        return vm_fail(-ENOSPC, "no process in reserve for another '%s' netdev (limit %u at a time)", n->backend,
                       SUP_NET_RESERVE);
    entry_fill(net_at(vm, (unsigned)i), n);
    int r = net_at(vm, (unsigned)i)->has_card ? plug_in(vm, c) : 0;
    if (r) {
        net_at(vm, (unsigned)i)->deleted = true;
        snprintf(net_at(vm, (unsigned)i)->was_id, sizeof(n->id), "%s", n->id);
        net_at(vm, (unsigned)i)->id[0] = 0;
        sup_net_release(c);
    }
    return r;
}

int vm_netdev_add(struct vm *vm, const char *arg)
{
    struct plan_net n;
    char err[400];
    int r = busy(lifecycle_supervisor());

    if (r)
        return r;
    if (netdev_parse(&n, arg, handed_fd_find, err, sizeof(err)))
        return vm_fail(-EINVAL, "%.300s", err);
    if (sup_find(lifecycle_supervisor(), n.id) || net_find(vm, n.id, true) >= 0)
        return vm_fail(-EEXIST, "Duplicate ID '%.60s' for netdev", n.id);
    if (net_open_to(&n, err, sizeof(err)))
        return vm_fail(-EINVAL, "%.300s", err);
    r = add_checked(vm, &n);
    if (r)
        net_fds_close(&n);
    else
        handed_fds_used(&n);
    return r;
}

int vm_netdev_del(struct vm *vm, const char *id)
{
    struct supervisor *s = lifecycle_supervisor();
    int i = net_find(vm, id, false), r = busy(s);
    struct plan_net *n;
    struct child *c;

    if (r)
        return r;
    if (i < 0)
        return vm_fail(-ENODEV, "Device '%.60s' not found", id);
    n = net_at(vm, (unsigned)i);
    c = sup_net_child(s, (unsigned)i);
    if (n->has_card)
        machine_backend_unplug(vm, id);
    if (c) {
        c->backend_up = false;
        sup_child_retire(c);
        sup_net_release(c);
    }
    net_fds_close(n);
    memcpy(n->was_id, n->id, sizeof(n->was_id));
    n->id[0] = 0;
    n->deleted = true;
    return 0;
}

/* ---- the cable, forwards ----------------------------------------------------------------------- */

int vm_set_link(struct vm *vm, const char *card, bool up)
{
    int i = net_find(vm, card, true);
    Ctl__NetLink m = CTL__NET_LINK__INIT;
    struct child *c;

    if (i < 0 || !net_at(vm, (unsigned)i)->has_card)
        return vm_fail(-ENODEV, "Device '%.60s' not found", card);
    net_at(vm, (unsigned)i)->link_down = !up; /* what a successor is told */
    c = sup_net_child(lifecycle_supervisor(), (unsigned)i);
    m.up = up;
    if (c && c->state == CHILD_RUNNING)
        (void)sup_child_send(c, CTL_NET_LINK, &m, NULL, 0);
    return 0;
}

static int first_user(struct vm *vm)
{
    for (unsigned i = 0; i < vm->plan.n_net; i++)
        if (!strcmp(net_at(vm, i)->backend, "user") && net_at(vm, i)->has_card)
            return (int)i;
    return -1;
}

static bool same_host_end(const struct plan_hostfwd *a, const struct plan_hostfwd *b)
{
    return a->udp == b->udp && a->host_port == b->host_port && !strcmp(a->host_addr, b->host_addr);
}

/* What a restart of the process will open. */
static void forward_remember(struct plan_net *n, const struct plan_hostfwd *f, bool add)
{
    if (add) {
        n->hostfwd[n->n_hostfwd++] = *f;
        return;
    }
    for (unsigned i = 0; i < n->n_hostfwd; i++) {
        if (!same_host_end(&n->hostfwd[i], f))
            continue;
        memmove(&n->hostfwd[i], &n->hostfwd[i + 1], (n->n_hostfwd - i - 1) * sizeof(*f));
        n->n_hostfwd--;
        return;
    }
}

static int forward_ask(struct child *c, const struct plan_hostfwd *f, bool add)
{
    Ctl__HostFwd rule = CTL__HOST_FWD__INIT;
    Ctl__NetForward m = CTL__NET_FORWARD__INIT;
    char text[256] = "";
    int r;

    rule.udp = f->udp;
    rule.host_addr = (char *)(uintptr_t)f->host_addr;
    rule.host_port = f->host_port;
    rule.guest_addr = (char *)(uintptr_t)f->guest_addr;
    rule.guest_port = f->guest_port;
    m.add = add;
    m.rule = &rule;
    r = sup_ask(c, CTL_NET_FORWARD, &m, &m.seq, text, sizeof(text));
    if (r)
        return vm_fail(r, "the network process does not answer: %s", strerror(-r));
    return text[0] ? vm_fail(-EINVAL, "%.200s", text) : 0;
}

int vm_hostfwd(struct vm *vm, const char *netdev, const char *rule, bool add)
{
    int i = *netdev ? net_find(vm, netdev, false) : first_user(vm), r;
    struct plan_hostfwd f;
    struct child *c;
    char err[300];

    if (i < 0 || strcmp(net_at(vm, (unsigned)i)->backend, "user"))
        return vm_fail(-ENODEV, "no user network '%.60s'", netdev);
    if (netdev_forward_parse(&f, rule, !add, err, sizeof(err)))
        return vm_fail(-EINVAL, "%.250s", err);
    if (add && net_at(vm, (unsigned)i)->n_hostfwd == PLAN_FWD_MAX)
        return vm_fail(-ENOSPC, "too many hostfwd= (limit %d)", PLAN_FWD_MAX);
    c = sup_net_child(lifecycle_supervisor(), (unsigned)i);
    r = c ? forward_ask(c, &f, add) : vm_fail(-ENODEV, "no process serves it");
    if (!r)
        forward_remember(net_at(vm, (unsigned)i), &f, add);
    return r;
}

int vm_info_usernet(struct vm *vm, unsigned i, char *text, size_t cap)
{
    struct child *c = sup_net_child(lifecycle_supervisor(), i);
    Ctl__InfoRequest m = CTL__INFO_REQUEST__INIT;

    (void)vm;
    m.what = (char *)(uintptr_t)"usernet";
    text[0] = 0;
    return c ? sup_ask(c, CTL_INFO_REQUEST, &m, &m.seq, text, cap) : -ENODEV;
}
