/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -display and -vnc: where VNC clients come in and how they are let in. Must never look at the host.
 */
#include <stdlib.h>
#include <string.h>
#include "vmm/config/optlist.h"
#include "vmm/config/options.h"

static int key_to(struct parse *c, void *obj, const char *key, const char *val)
{
    struct plan_vnc *v = obj;
    uint64_t n;

    if (opt_number(c, key, val, 0, 65535 - 5900, &n))
        return -1;
    v->to = (uint16_t)n;
    return 0;
}

static int key_share(struct parse *c, void *obj, const char *key, const char *val)
{
    static const char *const names[] = {"allow-exclusive", "force-shared", "ignore"};
    struct plan_vnc *v = obj;

    for (unsigned i = 0; i < 3; i++)
        if (!strcmp(val, names[i])) {
            v->share = i;
            return 0;
        }
    return parse_fail(c, "Parameter '%s' expects allow-exclusive, force-shared or ignore, not '%s'", key, val);
}

#define VNC_BOOL(field) .kind = KEY_BOOL, .off = offsetof(struct plan_vnc, field)
static const struct opt_key vnc_keys[] = {
    {"to", KEY_FN, .fn = key_to, .form = "n", .text = "try the displays up to this one"},
    {"password", VNC_BOOL(password), .form = "on|off", .text = "clients need the password the monitor sets"},
    {"lossy", VNC_BOOL(lossy), .form = "on|off", .text = "JPEG for clients that ask for a quality"},
    {"share", KEY_FN, .fn = key_share, .form = "allow-exclusive|force-shared|ignore",
     .text = "what becomes of the others when a client wants the screen alone"},
    {"ipv4", VNC_BOOL(ipv4), .form = "on|off", .text = "listen on IPv4 only"},
    {"ipv6", VNC_BOOL(ipv6), .form = "on|off", .text = "listen on IPv6 only"},
    {"non-adaptive", KEY_ONLY, .form = "on|off", .text = "encodings are never changed behind a client's back"},
    {"reverse", KEY_REFUSE, .text = "the server does not connect to viewers"},
    {"websocket", KEY_REFUSE, .text = "websockets are not built"},
    {"tls-creds", KEY_REFUSE, .text = "TLS is not built"},
    {"tls-authz", KEY_REFUSE, .text = "TLS is not built"},
    {"sasl", KEY_REFUSE, .text = "SASL is not built"},
    {"sasl-authz", KEY_REFUSE, .text = "SASL is not built"},
    {"password-secret", KEY_REFUSE, .text = "secret objects are not built"},
    {"key-delay-ms", KEY_REFUSE, .text = "keys wait until the guest takes them"},
    {"audiodev", KEY_REFUSE, .text = "sound is not built"},
    {"power-control", KEY_ONLY, .form = "off", .text = "clients cannot switch the machine off"},
    {"head", KEY_ONLY, .form = "0"},
    KEY_END,
};

/* host:d, :d, [v6]:d, unix:path or none. */
static int address_read(struct parse *c, struct plan_vnc *v, const char *text)
{
    const char *colon = strrchr(text, ':');
    char *end;
    unsigned long d;

    if (!strcmp(text, "none")) {
        v->kind = VNC_IDLE;
        return 0;
    }
    if (!strncmp(text, "unix:", 5)) {
        v->kind = VNC_UNIX;
        return opt_copy(c, "vnc", text + 5, v->path, sizeof(v->path));
    }
    d = colon ? strtoul(colon + 1, &end, 10) : 0;
    if (!colon || end == colon + 1 || *end || d > 65535 - 5900)
        return parse_fail(c, "can't convert to a display number: '%s' (host:number, unix:path or none)", text);
    if ((size_t)(colon - text) >= sizeof(v->host))
        return parse_fail(c, "the host name is too long");
    v->kind = VNC_TCP;
    v->display = (uint16_t)d;
    memcpy(v->host, text, (size_t)(colon - text));
    v->host[colon - text] = 0;
    if (v->host[0] == '[' && v->host[strlen(v->host) - 1] == ']') {
        v->host[strlen(v->host) - 1] = 0;
        memmove(v->host, v->host + 1, strlen(v->host));
    }
    return 0;
}

int set_vnc(struct parse *c, const char *arg)
{
    struct plan_vnc v = {.kind = VNC_TCP};
    struct optlist l;
    const char *address;

    if (c->p->vnc.kind)
        return parse_fail(c, "only one VNC server is possible");
    if (optlist_split(c, &l, arg, "vnc"))
        return -1;
    address = optlist_take(&l, "vnc");
    if (!address)
        return parse_fail(c, "no display given");
    if (address_read(c, &v, address) || optkeys_apply(c, vnc_keys, &l, &v, NULL))
        return -1;
    c->p->vnc = v;
    strcpy(c->p->display, "vnc");
    c->display_set = true;
    return 0;
}

int set_display(struct parse *c, const char *arg)
{
    if (!strcmp(arg, "help")) {
        fprintf(c->out, "Available display backend types:\nnone\nvnc\n");
        return 1;
    }
    if (!strncmp(arg, "vnc=", 4))
        return set_vnc(c, arg + 4);
    if (strcmp(arg, "none"))
        return parse_fail(c, "display '%.*s' is not built (available: none, vnc)", (int)strcspn(arg, ","), arg);
    c->display_set = true;
    return 0;
}

/* Without a window system, a screen that was not refused is on 127.0.0.1:5900, or the next that is free. */
void display_default(struct parse *c)
{
    if (c->display_set)
        return;
    c->p->vnc = (struct plan_vnc){.kind = VNC_TCP, .host = "127.0.0.1", .to = 99};
    strcpy(c->p->display, "vnc");
}
