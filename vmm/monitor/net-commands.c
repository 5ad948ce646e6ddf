/* SPDX-License-Identifier: Apache-2.0 */
/* Network commands of both monitors; see net-commands.h. */
#include "vmm/monitor/net-commands.h"

#include <stdio.h>
#include <string.h>
#include "vmm/monitor/handed-fds.h"

#define WORDS_MAX 3

static void report(int rc, struct hmp_out *out)
{
    if (rc)
        hmp_print(out, "Error: %s\n", vm_last_error());
}

/* Cuts a copy of arg into at most WORDS_MAX words; how many, WORDS_MAX + 1 when there are more. */
static unsigned words(char text[HMP_LINE], const char *arg, char *word[WORDS_MAX])
{
    char *save = NULL;
    unsigned n = 0;

    snprintf(text, HMP_LINE, "%s", arg);
    for (char *w = strtok_r(text, " \t", &save); w; w = strtok_r(NULL, " \t", &save)) {
        if (n < WORDS_MAX)
            word[n] = w;
        n++;
        if (n > WORDS_MAX)
            break;
    }
    return n;
}

/* ---- netdevs ----------------------------------------------------------------------------------- */

void hmp_netdev_add(struct vm *vm, const char *arg, struct hmp_out *out)
{
    report(vm_netdev_add(vm, arg), out);
}
void hmp_netdev_del(struct vm *vm, const char *arg, struct hmp_out *out)
{
    report(vm_netdev_del(vm, arg), out);
}
void hmp_netdev_replace(struct vm *vm, const char *arg, struct hmp_out *out)
{
    char text[HMP_LINE], *w[WORDS_MAX];

    if (words(text, arg, w) != 2)
        hmp_print(out, "netdev_replace: expected 'card netdev'\n");
    else
        report(vm_netdev_replace(vm, w[0], w[1]), out);
}
void hmp_set_link(struct vm *vm, const char *arg, struct hmp_out *out)
{
    char text[HMP_LINE], *w[WORDS_MAX];

    if (words(text, arg, w) != 2 || (strcmp(w[1], "on") && strcmp(w[1], "off")))
        hmp_print(out, "set_link: expected 'name on|off'\n");
    else
        report(vm_set_link(vm, w[0], !strcmp(w[1], "on")), out);
}

/* ---- forwards ----------------------------------------------------------------------------------- */

/* "[netdev] rule" */
static void hostfwd(struct vm *vm, const char *arg, bool add, struct hmp_out *out)
{
    char text[HMP_LINE], *w[WORDS_MAX];
    unsigned n = words(text, arg, w);

    if (n < 1 || n > 2)
        hmp_print(out, "hostfwd_%s: expected '[netdev] rule'\n", add ? "add" : "remove");
    else if (vm_hostfwd(vm, n == 2 ? w[0] : "", w[n - 1], add))
        report(-1, out);
    else if (!add)
        hmp_print(out, "host forwarding rule for %s removed\n", w[n - 1]);
}
void hmp_hostfwd_add(struct vm *vm, const char *arg, struct hmp_out *out)
{
    hostfwd(vm, arg, true, out);
}
void hmp_hostfwd_remove(struct vm *vm, const char *arg, struct hmp_out *out)
{
    hostfwd(vm, arg, false, out);
}

/* ---- descriptors -------------------------------------------------------------------------------- */

void hmp_getfd(struct vm *vm, const char *arg, struct hmp_out *out)
{
    (void)vm;
    report(handed_fd_name(arg), out);
}
void hmp_closefd(struct vm *vm, const char *arg, struct hmp_out *out)
{
    (void)vm;
    report(handed_fd_close(arg), out);
}

/* ---- what is there ------------------------------------------------------------------------------ */

static void card_print(const struct plan_net *n, unsigned i, struct hmp_out *out)
{
    char name[80];

    snprintf(name, sizeof(name), "virtio-net-pci.%u", i);
    hmp_print(out, "%s: index=0,type=nic,model=virtio-net-pci,macaddr=%02x:%02x:%02x:%02x:%02x:%02x%s\n",
              n->qdev_id[0] ? n->qdev_id : name, n->mac[0], n->mac[1], n->mac[2], n->mac[3], n->mac[4], n->mac[5],
              n->link_down ? ",link=down" : "");
}
static void netdev_print(const struct plan_net *n, struct hmp_out *out)
{
    if (n->deleted)
        return;
    hmp_print(out, "%s%s: index=0,type=%s", n->has_card ? " \\ " : "", n->id, n->type);
    if (!strcmp(n->backend, "user"))
        hmp_print(out, ",net=%.*s,restrict=%s", n->net[0] ? (int)strcspn(n->net, "/") : 8,
                  n->net[0] ? n->net : "10.0.2.0", n->restricted ? "on" : "off");
    else if (n->ifname[0])
        hmp_print(out, ",ifname=%s", n->ifname);
    else if (n->at.kind == ADDR_UNIX)
        hmp_print(out, ",unix:%s", n->at.path);
    else if (n->at.kind == ADDR_INET)
        hmp_print(out, ",%s:%u", n->at.host, n->at.port);
    hmp_print(out, "\n");
}
void hmp_info_network(struct vm *vm, struct hmp_out *out)
{
    for (unsigned i = 0; i < vm->plan.n_net; i++) {
        if (vm->plan.net[i].has_card)
            card_print(&vm->plan.net[i], i, out);
        netdev_print(&vm->plan.net[i], out);
    }
}
void hmp_info_usernet(struct vm *vm, struct hmp_out *out)
{
    static char text[16384];

    for (unsigned i = 0; i < vm->plan.n_net; i++) {
        const struct plan_net *n = &vm->plan.net[i];
        if (n->deleted || !n->has_card || strcmp(n->backend, "user"))
            continue;
        hmp_print(out, "Hub -1 (%s):\n", n->id);
        if (vm_info_usernet(vm, i, text, sizeof(text)))
            hmp_print(out, "  its process does not answer\n");
        else
            hmp_print(out, "%s", text);
    }
}

/* ---- JSON --------------------------------------------------------------------------------------- */

struct options { /* "key=value,..." under construction */
    char text[4096];
    size_t len;
    bool full;
};

static void option_put(struct options *o, const char *key, const char *sub, const char *val)
{
    int n = snprintf(o->text + o->len, sizeof(o->text) - o->len, "%s%s%s%s=", o->len ? "," : "", key, *sub ? "." : "",
                     sub);

    o->full |= n < 0 || (size_t)n >= sizeof(o->text) - o->len;
    for (o->len += o->full ? 0 : (size_t)n; *val && !o->full; val++) {
        o->full = o->len + 3 > sizeof(o->text);
        if (!o->full && *val == ',')
            o->text[o->len++] = ',';
        if (!o->full)
            o->text[o->len++] = *val;
    }
    o->text[o->full ? 0 : o->len] = 0;
}
static const char *scalar(const struct json_doc *d, const struct json_node *n)
{
    return n->type == JSON_TRUE ? "on" : n->type == JSON_FALSE ? "off" : json_str(d, n);
}
/* QAPI's lists of {"str": ...} (hostfwd, dnssearch) are the option given again and again. */
static void list_put(struct options *o, const struct json_doc *d, const char *key, const struct json_node *list)
{
    for (const struct json_node *m = json_first(d, list); m; m = json_next(d, m)) {
        const struct json_node *s = m->type == JSON_OBJECT ? json_member(d, m, "str") : m;
        option_put(o, key, "", s ? scalar(d, s) : "");
    }
}
static void member_put(struct options *o, const struct json_doc *d, const struct json_node *m)
{
    const char *key = json_key(d, m);

    if (m->type == JSON_ARRAY) {
        list_put(o, d, key, m);
    } else if (m->type == JSON_OBJECT) {
        for (const struct json_node *s = json_first(d, m); s; s = json_next(d, s))
            option_put(o, key, json_key(d, s), scalar(d, s));
    } else {
        option_put(o, key, "", scalar(d, m));
    }
}
int qmp_netdev_add(struct qmp_call *c)
{
    struct options o = {.text = ""};

    for (const struct json_node *m = c->args ? json_first(c->doc, c->args) : NULL; m; m = json_next(c->doc, m))
        member_put(&o, c->doc, m);
    if (o.full)
        return vm_fail(-1, "the arguments are too long");
    return vm_netdev_add(c->vm, o.text);
}
