/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host ends: -chardev and the short forms of -serial, -monitor and -qmp. Must never open
 * anything: monitor/ does, from the plan.
 */
#include <string.h>
#include "vmm/config/chardev.h"
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

int chardev_find(const struct parse *c, const char *id)
{
    for (unsigned i = 0; i < c->p->n_char; i++)
        if (!strcmp(c->p->chardev[i].id, id))
            return (int)i;
    return -1;
}

/* What must hold for every host end; counts it in. */
static int finish_chardev(struct parse *c, struct plan_chardev *ch)
{
    if (chardev_find(c, ch->id) >= 0)
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

int chardev_make_short(struct parse *c, const char *spec, const char *label, bool mux)
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
