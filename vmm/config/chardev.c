/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host ends: -chardev, the short forms of -serial, -monitor and -qmp, and who uses which. Must
 * never open anything: monitor/ does, from the plan.
 */
#include <stdlib.h>
#include <string.h>
#include "vmm/config/options.h"
#include "vmm/config/optlist.h"

#define UNIX_PATH_MAX_LEN 107 /* struct sockaddr_un, with its terminator */

/* ---- reading one host end
 * ------------------------------------------------------------------------ */
static int key_port(struct parse *c, void *obj, const char *key, const char *val)
{
    struct plan_chardev *ch = obj;
    uint64_t v;

    if (opt_number(c, key, val, 1, 65535, &v))
        return -1;
    ch->port = (uint16_t)v;
    return 0;
}

static int key_chr_id(struct parse *c, void *obj, const char *key, const char *val)
{
    struct plan_chardev *ch = obj;

    return opt_id(c, key, val, ch->id, sizeof(ch->id));
}

/* "host:port", "[::1]:port", ":port" of the short form */
static int key_addr(struct parse *c, void *obj, const char *key, const char *val)
{
    struct plan_chardev *ch = obj;
    const char *colon = strrchr(val, ':'), *start = val;
    size_t len;

    (void)key;
    if (!colon)
        return parse_fail(c, "'%s' is not an address of the form host:port", val);
    len = (size_t)(colon - val);
    if (len >= 2 && *val == '[' && colon[-1] == ']') {
        start++;
        len -= 2;
    }
    if (len >= sizeof(ch->host))
        return parse_fail(c, "host name too long");
    memcpy(ch->host, start, len);
    ch->host[len] = 0;
    return key_port(c, obj, "port", colon + 1);
}

#define CHR_STR(f)                                                                                 \
    .kind = KEY_STR, .off = offsetof(struct plan_chardev, f),                                      \
    .size = sizeof(((struct plan_chardev *)0)->f)
#define CHR_BOOL(f) .kind = KEY_BOOL, .off = offsetof(struct plan_chardev, f)
#define SOCKET_KEYS                                                                                \
    {"server", CHR_BOOL(server), .form = "on|off", .text = "listen instead of connecting"},        \
        {"wait", CHR_BOOL(wait), .form = "on|off",                                                 \
         .text = "wait for the first client before starting"},                                     \
        {"reconnect", .kind = KEY_REFUSE}, {"telnet", .kind = KEY_REFUSE},                         \
        {"websocket", .kind = KEY_REFUSE}, {"tn3270", .kind = KEY_REFUSE},                         \
        {"tls-creds", .kind = KEY_REFUSE}, {"tls-authz", .kind = KEY_REFUSE},                      \
        {"fd", .kind = KEY_REFUSE}, {"to", .kind = KEY_REFUSE}, {"abstract", .kind = KEY_REFUSE},  \
    {                                                                                              \
        "tight", .kind = KEY_REFUSE                                                                \
    }
#define COMMON_KEYS                                                                                \
    {"id", KEY_FN, .fn = key_chr_id, .form = "name", .text = "how other options refer to it"},     \
        {"mux", CHR_BOOL(mux), .form = "on|off", .text = "several users, chosen with Ctrl-a c"},   \
        {"logfile", .kind = KEY_REFUSE},                                                           \
    {                                                                                              \
        "logappend", .kind = KEY_REFUSE                                                            \
    }
#define NODELAY_KEY                                                                                \
    {                                                                                              \
        "nodelay", CHR_BOOL(nodelay), .form = "on|off", .text = "TCP_NODELAY"                      \
    }
#define PATH_KEY                                                                                   \
    {                                                                                              \
        "path", CHR_STR(path), .form = "path", .text = "path of the file or socket"                \
    }

static const struct opt_key plain_keys[] = {COMMON_KEYS, KEY_END};
static const struct opt_key stdio_keys[] = {
    COMMON_KEYS,
    {"signal", CHR_BOOL(signal), .form = "on|off", .text = "Ctrl-c ends the emulator"},
    KEY_END,
};
static const struct opt_key file_keys[] = {
    COMMON_KEYS,
    PATH_KEY,
    {"append", CHR_BOOL(append), .form = "on|off", .text = "keep what is in the file"},
    {"input-path", .kind = KEY_REFUSE},
    KEY_END,
};
static const struct opt_key socket_keys[] = {
    COMMON_KEYS,
    SOCKET_KEYS,
    PATH_KEY,
    NODELAY_KEY,
    {"host", CHR_STR(host), .form = "addr", .text = "address"},
    {"port", KEY_FN, .fn = key_port, .form = "n", .text = "TCP port"},
    KEY_END,
};
static const struct opt_key unix_keys[] = {SOCKET_KEYS, PATH_KEY, KEY_END};
static const struct opt_key tcp_keys[] = {
    SOCKET_KEYS,
    NODELAY_KEY,
    {"addr", KEY_FN, .fn = key_addr},
    KEY_END,
};

static const struct backend {
    const char *name;
    enum plan_char_kind kind;
    const struct opt_key *keys;
} backends[] = {
    {"null", CHAR_NULL, plain_keys}, {"stdio", CHAR_STDIO, stdio_keys},
    {"file", CHAR_FILE, file_keys},  {"socket", CHAR_UNIX, socket_keys},
    {"pty", CHAR_PTY, plain_keys},   {NULL, CHAR_NONE, NULL},
};

static struct plan_chardev *new_chardev(struct parse *c, enum plan_char_kind kind)
{
    struct plan_chardev *ch;

    if (c->p->n_char == PLAN_CHAR_MAX) {
        parse_fail(c, "too many character devices (limit %d)", PLAN_CHAR_MAX);
        return NULL;
    }
    ch = &c->p->chardev[c->p->n_char];
    memset(ch, 0, sizeof(*ch));
    ch->kind = kind;
    ch->wait = true; /* as QEMU: a server waits unless told not to */
    ch->signal = true;
    return ch;
}

static int find_chardev(const struct parse *c, const char *id)
{
    for (unsigned i = 0; i < c->p->n_char; i++)
        if (!strcmp(c->p->chardev[i].id, id))
            return (int)i;
    return -1;
}

/* What must hold for every host end; counts it in. */
static int finish_chardev(struct parse *c, struct plan_chardev *ch)
{
    if (find_chardev(c, ch->id) >= 0)
        return parse_fail(c, "Duplicate ID '%s' for chardev", ch->id);
    if (ch->kind == CHAR_UNIX && ch->port)
        ch->kind = CHAR_TCP;
    if (ch->kind == CHAR_UNIX && !ch->path[0])
        return parse_fail(c, "socket needs path=, or host= and port=");
    if (ch->kind == CHAR_TCP && ch->path[0])
        return parse_fail(c, "socket has both path= and port=");
    if (ch->kind == CHAR_FILE && !ch->path[0])
        return parse_fail(c, "file needs path=");
    if (ch->kind == CHAR_UNIX && strlen(ch->path) > UNIX_PATH_MAX_LEN)
        return parse_fail(c, "UNIX socket path '%s' is too long (limit %d bytes)", ch->path,
                          UNIX_PATH_MAX_LEN);
    if (!ch->server)
        ch->wait = false;
    for (unsigned i = 0; i < c->p->n_char; i++)
        if (ch->kind == CHAR_STDIO && c->p->chardev[i].kind == CHAR_STDIO)
            return parse_fail(c, "cannot use stdio by multiple character devices");
    c->p->n_char++;
    return 0;
}

int set_chardev(struct parse *c, const char *arg)
{
    const struct backend *b = backends;
    struct plan_chardev *ch;
    struct optlist l;
    const char *name;

    if (!strcmp(arg, "help")) {
        fprintf(c->out, "Available chardev backend types:\n");
        for (; b->name; b++)
            fprintf(c->out, "  %s\n", b->name);
        return 1;
    }
    if (optlist_split(c, &l, arg, "backend"))
        return -1;
    name = optlist_take(&l, "backend");
    while (name && b->name && strcmp(b->name, name))
        b++;
    if (!name || !b->name)
        return parse_fail(c, "'%s' is not a built char driver (null, stdio, file, socket, pty)",
                          name ? name : "");
    if (optlist_get(&l, "help")) {
        fprintf(c->out, "%s options:\n", name);
        optkeys_help(c->out, b->keys);
        return 1;
    }
    ch = new_chardev(c, b->kind);
    if (!ch || optkeys_apply(c, b->keys, &l, ch, NULL))
        return -1;
    if (!ch->id[0])
        return parse_fail(c, "Parameter 'id' is missing");
    return finish_chardev(c, ch);
}

/* ---- short forms
 * --------------------------------------------------------------------------------- */
static int short_file(struct parse *c, struct plan_chardev *ch, const char *rest)
{
    ch->kind = CHAR_FILE;
    return opt_copy(c, "path", rest, ch->path, sizeof(ch->path));
}

static int short_unix(struct parse *c, struct plan_chardev *ch, const char *rest)
{
    struct optlist l;

    ch->kind = CHAR_UNIX;
    return optlist_split(c, &l, rest, "path") || optkeys_apply(c, unix_keys, &l, ch, NULL) ? -1 : 0;
}

static int short_tcp(struct parse *c, struct plan_chardev *ch, const char *rest)
{
    struct optlist l;

    ch->kind = CHAR_TCP;
    return optlist_split(c, &l, rest, "addr") || optkeys_apply(c, tcp_keys, &l, ch, NULL) ? -1 : 0;
}

static int short_form(struct parse *c, struct plan_chardev *ch, const char *spec)
{
    if (!strcmp(spec, "null"))
        ch->kind = CHAR_NULL;
    else if (!strcmp(spec, "stdio"))
        ch->kind = CHAR_STDIO;
    else if (!strcmp(spec, "pty"))
        ch->kind = CHAR_PTY;
    else if (!strncmp(spec, "file:", 5))
        return short_file(c, ch, spec + 5);
    else if (!strncmp(spec, "unix:", 5))
        return short_unix(c, ch, spec + 5);
    else if (!strncmp(spec, "tcp:", 4))
        return short_tcp(c, ch, spec + 4);
    else if (!strcmp(spec, "vc") || !strncmp(spec, "vc:", 3))
        return parse_fail(c, "'vc' needs a display, and no display is built");
    else
        return parse_fail(
            c,
            "'%s' is not a built char driver (stdio, mon:..., file:, unix:, tcp:, pty, "
            "null, chardev:, none)",
            spec);
    return 0;
}

/* Makes the host end of a short form. Returns its index or -1. */
static int make_short(struct parse *c, const char *spec, const char *label, bool mux)
{
    struct plan_chardev *ch = new_chardev(c, CHAR_NONE);

    if (!ch)
        return -1;
    snprintf(ch->id, sizeof(ch->id), "%s", label);
    ch->mux = mux;
    if (short_form(c, ch, spec))
        return -1;
    if (mux)
        ch->signal = false; /* the keys go to the guest: Ctrl-c must not end it */
    return finish_chardev(c, ch) ? -1 : (int)c->p->n_char - 1;
}

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
    int index = find_chardev(c, id);

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
        index = make_short(c, f->spec, label, false);
        return index < 0 || use_chardev(c, index, json) ? -1 : index;
    }
    if (f->kind != FRONT_SERIAL)
        return parse_fail(c, "'mon:' is for serial ports");
    index = make_short(c, f->spec + 4, label, true);
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
            parse_warn(c, "no display is built, the serial port goes nowhere (try -nographic)");
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
        if (c->dev[i].kind == DEV_SERIAL && resolve_isa_serial(c, &c->dev[i], &serials))
            return -1;
    return 0;
}
