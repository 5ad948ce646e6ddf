/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -serial, -monitor, -qmp, -mon and isa-serial: who uses which host end, with QEMU's defaults. Must
 * never open anything.
 */
#include <string.h>
#include "vmm/config/chardev.h"
#include "vmm/config/options.h"
#include "vmm/config/optlist.h"

/* ---- the options that use one
 * --------------------------------------------------------------------- */
static int add_front(struct parse *c, enum front_kind kind, const char *spec, bool pretty)
{
    struct pend_front *f = &c->front[c->n_front];

    if (c->n_front == PARSE_FRONT_MAX)
        return parse_fail(c, "too many serial ports and monitors (limit %d)", PARSE_FRONT_MAX);
    memset(f, 0, sizeof(*f));
    f->kind = kind;
    f->opt = c->opt;
    f->arg = c->arg;
    f->spec = spec;
    f->pretty = pretty;
    c->n_front++;
    return 0;
}

int set_serial(struct parse *c, const char *arg)
{
    c->no_default_serial = true;
    if (!strncmp(arg, "mon:", 4))
        c->no_default_monitor = true;
    return add_front(c, FRONT_SERIAL, arg, false);
}

int set_parallel(struct parse *c, const char *arg)
{
    return strcmp(arg, "none") ? parse_fail(c, "parallel ports are not built (available: none)")
                               : 0;
}

int set_monitor(struct parse *c, const char *arg)
{
    c->no_default_monitor = true;
    return strcmp(arg, "none") ? add_front(c, FRONT_HMP, arg, false) : 0;
}

int set_debugcon(struct parse *c, const char *arg)
{
    return add_front(c, FRONT_DEBUGCON, arg, false);
}

int set_qmp(struct parse *c, const char *arg)
{
    c->no_default_monitor = true;
    return strcmp(arg, "none") ? add_front(c, FRONT_QMP, arg, false) : 0;
}

int set_qmp_pretty(struct parse *c, const char *arg)
{
    c->no_default_monitor = true;
    return strcmp(arg, "none") ? add_front(c, FRONT_QMP, arg, true) : 0;
}

struct mon_keys {
    char chardev[64], mode[16], id[64];
    bool pretty;
};

int set_mon(struct parse *c, const char *arg)
{
    static const struct opt_key keys[] = {
        {"chardev", .kind = KEY_STR, .off = offsetof(struct mon_keys, chardev), .size = 64},
        {"mode", .kind = KEY_STR, .off = offsetof(struct mon_keys, mode), .size = 16},
        {"id", .kind = KEY_STR, .off = offsetof(struct mon_keys, id), .size = 64},
        {"pretty", .kind = KEY_BOOL, .off = offsetof(struct mon_keys, pretty)},
        KEY_END,
    };
    struct mon_keys m = {.mode = "readline"};
    struct optlist l;
    bool control;

    if (optlist_split(c, &l, arg, "chardev") || optkeys_apply(c, keys, &l, &m, NULL))
        return -1;
    control = !strcmp(m.mode, "control");
    if (!control && strcmp(m.mode, "readline"))
        return parse_fail(c, "unknown monitor mode '%s' (control, readline)", m.mode);
    if (!m.chardev[0])
        return parse_fail(c, "Parameter 'chardev' is missing");
    if (m.pretty && !control)
        return parse_fail(c, "pretty= is for mode=control only");
    c->no_default_monitor = true;
    if (add_front(c, control ? FRONT_QMP : FRONT_HMP, NULL, m.pretty))
        return -1;
    return opt_copy(c, "chardev", m.chardev, c->front[c->n_front - 1].chardev, 64);
}

/* ---- resolution
 * ---------------------------------------------------------------------------------- */
static int add_monitor(struct parse *c, int chardev, bool qmp, bool pretty)
{
    struct plan *p = c->p;

    if (p->n_mon == PLAN_MON_MAX)
        return parse_fail(c, "too many monitors (limit %d)", PLAN_MON_MAX);
    p->mon[p->n_mon++] = (struct plan_monitor){.qmp = qmp, .pretty = pretty, .chardev = chardev};
    return 0;
}

/* One more user of a host end. JSON cannot share a line with anybody. */
static int use_chardev(struct parse *c, int index, bool json)
{
    struct plan_chardev *ch = &c->p->chardev[index];

    if (json && ch->mux)
        return parse_fail(c, "a control monitor cannot use chardev '%s', which has mux=on", ch->id);
    if (c->chr_uses[index] && !ch->mux)
        return parse_fail(c, "chardev '%s' is already in use", ch->id);
    if (c->chr_uses[index] == 4)
        return parse_fail(c, "too many users of chardev '%s' (limit 4)", ch->id);
    c->chr_uses[index]++;
    return 0;
}

static int front_by_id(struct parse *c, const char *id, bool json)
{
    int index = chardev_find(c, id);

    if (index < 0)
        return parse_fail(c, "chardev '%s' not found", id);
    return use_chardev(c, index, json) ? -1 : index;
}

/* The host end a -serial, -monitor or -qmp names. Returns its index or -1. */
static int resolve_spec(struct parse *c, const struct pend_front *f, const char *label)
{
    bool json = f->kind == FRONT_QMP;
    int index;

    if (f->chardev[0])
        return front_by_id(c, f->chardev, json);
    if (!strncmp(f->spec, "chardev:", 8))
        return front_by_id(c, f->spec + 8, json);
    if (strncmp(f->spec, "mon:", 4)) {
        index = chardev_make_short(c, f->spec, label, false);
        return index < 0 || use_chardev(c, index, json) ? -1 : index;
    }
    if (f->kind != FRONT_SERIAL)
        return parse_fail(c, "'mon:' is for serial ports");
    index = chardev_make_short(c, f->spec + 4, label, true);
    if (index < 0 || use_chardev(c, index, false) || add_monitor(c, index, false, false) ||
        use_chardev(c, index, false))
        return -1;
    return index;
}

static int resolve_front(struct parse *c, const struct pend_front *f, unsigned *serials,
                         unsigned *monitors)
{
    char label[32];
    int index;

    c->opt = f->opt;
    c->arg = f->arg;
    if (f->kind == FRONT_SERIAL) {
        unsigned n = (*serials)++;

        if (n == PLAN_SERIAL_MAX)
            return parse_fail(c, "too many serial ports (limit %d)", PLAN_SERIAL_MAX);
        if (!strcmp(f->spec, "none"))
            return 0;
        snprintf(label, sizeof(label), "serial%u", n);
        index = resolve_spec(c, f, label);
        c->p->serial[n] = index;
        return index < 0 ? -1 : 0;
    }
    if (f->kind == FRONT_DEBUGCON) {
        if (c->p->serial[PLAN_DEBUG_PORT] >= 0)
            return parse_fail(c, "there is only one debug port");
        index = resolve_spec(c, f, "debugcon");
        c->p->serial[PLAN_DEBUG_PORT] = index;
        return index < 0 ? -1 : 0;
    }
    snprintf(label, sizeof(label), "compat_monitor%u", (*monitors)++);
    index = resolve_spec(c, f, label);
    return index < 0 ? -1 : add_monitor(c, index, f->kind == FRONT_QMP, f->pretty);
}

/* -device isa-serial: after the -serial ports, or at the index it names. */
static int resolve_isa_serial(struct parse *c, const struct pend_device *d, unsigned *serials)
{
    int n = d->index;

    c->opt = d->opt;
    c->arg = d->arg;
    if (!d->backend[0])
        return parse_fail(c, "isa-serial needs chardev=");
    for (unsigned i = 0; n < 0 && i < PLAN_SERIAL_MAX; i++)
        if (c->p->serial[i] < 0 && i >= *serials)
            n = (int)i;
    if (n < 0 || n >= PLAN_SERIAL_MAX)
        return parse_fail(c, "too many serial ports (limit %d)", PLAN_SERIAL_MAX);
    if (c->p->serial[n] >= 0)
        return parse_fail(c, "serial port %d is already in use", n);
    c->p->serial[n] = front_by_id(c, d->backend, false);
    return c->p->serial[n] < 0 ? -1 : 0;
}

static int resolve_isa_debugcon(struct parse *c, const struct pend_device *d)
{
    c->opt = d->opt;
    c->arg = d->arg;
    if (!d->backend[0])
        return parse_fail(c, "isa-debugcon needs chardev=");
    if (c->p->serial[PLAN_DEBUG_PORT] >= 0)
        return parse_fail(c, "there is only one debug port");
    c->p->debug_port = d->iobase;
    c->p->serial[PLAN_DEBUG_PORT] = front_by_id(c, d->backend, false);
    return c->p->serial[PLAN_DEBUG_PORT] < 0 ? -1 : 0;
}

static int add_defaults(struct parse *c)
{
    bool serial = !c->p->nodefaults && !c->no_default_serial;
    bool monitor = !c->p->nodefaults && !c->no_default_monitor;
    int rc = 0;

    c->opt = "-nographic";
    c->arg = NULL;
    if (c->p->nographic) {
        if (serial)
            rc = add_front(c, FRONT_SERIAL, monitor ? "mon:stdio" : "stdio", false);
        else if (monitor)
            rc = add_front(c, FRONT_HMP, "stdio", false);
    } else if (serial) {
        /* QEMU gives the port a text console on the display, which nobody sees without one */
        if (!c->display_set)
            parse_warn(c, "the serial port goes nowhere (try -nographic)");
        rc = add_front(c, FRONT_SERIAL, "null", false);
    }
    return rc;
}

int chardev_resolve(struct parse *c)
{
    unsigned serials = 0, monitors = 0;

    for (unsigned i = 0; i < c->n_dev; i++)
        c->no_default_serial |= c->dev[i].kind == DEV_SERIAL;
    if (add_defaults(c))
        return -1;
    for (unsigned i = 0; i < c->n_front; i++)
        if (resolve_front(c, &c->front[i], &serials, &monitors))
            return -1;
    for (unsigned i = 0; i < c->n_dev; i++)
        if ((c->dev[i].kind == DEV_SERIAL && resolve_isa_serial(c, &c->dev[i], &serials)) ||
            (c->dev[i].kind == DEV_DEBUGCON && resolve_isa_debugcon(c, &c->dev[i])))
            return -1;
    return 0;
}
