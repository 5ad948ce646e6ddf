/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person at the monitor presses and moves: sendkey, mouse_move, mouse_button and QMP's send-key and
 * input-send-event. Must never keep a key down longer than asked for.
 */
#include "vmm/monitor/input-commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "vmm/monitor/keys.h"

#define CHORD_MAX 16

/* Pressed in order, let go in reverse order; both at once, so that nothing in between can repeat them. */
static int chord_press(struct vm *vm, const unsigned *key, unsigned n)
{
    struct abi_input_event e[2 * CHORD_MAX];

    for (unsigned i = 0; i < n; i++) {
        e[i] = (struct abi_input_event){ABI_INPUT_KEY, (uint16_t)key[i], 1, 0};
        e[2 * n - 1 - i] = (struct abi_input_event){ABI_INPUT_KEY, (uint16_t)key[i], 0, 0};
    }
    return vm_input(vm, e, 2 * n);
}

/* "ctrl-alt-f1", "0x1c", "a 100": the time is accepted as QEMU's, a press is as short as it can be. */
void hmp_sendkey(struct vm *vm, const char *arg, struct hmp_out *out)
{
    unsigned key[CHORD_MAX], n = 0;
    const char *s = arg;

    while (*s && *s != ' ') {
        size_t len = strcspn(s, "- ");
        unsigned k = len > 2 && !strncmp(s, "0x", 2) ? key_of_number(strtoul(s, NULL, 16)) : key_of_name(s, len);

        if (!k || n == CHORD_MAX) {
            hmp_print(out, k ? "too many keys\n" : "unknown key: '%.*s'\n", (int)len, s);
            return;
        }
        key[n++] = k;
        s += len + (s[len] == '-');
    }
    if (*s)
        hmp_print(out, "sendkey: a hold time is not built, a press is as short as it can be\n");
    else if (chord_press(vm, key, n))
        hmp_print(out, "Error: %s\n", vm_last_error());
}

void hmp_mouse_move(struct vm *vm, const char *arg, struct hmp_out *out)
{
    struct abi_input_event e[2] = {{ABI_INPUT_MOVE, 0, 0, 0}, {ABI_INPUT_WHEEL, 0, 0, 0}};
    int dx, dy, dz = 0, n = sscanf(arg, "%d %d %d", &dx, &dy, &dz);

    if (n < 2) {
        hmp_print(out, "mouse_move: expected 'dx dy [dz]'\n");
        return;
    }
    e[0].a = dx;
    e[0].b = dy;
    e[1].a = -dz;
    if (vm_input(vm, e, dz ? 2 : 1))
        hmp_print(out, "Error: %s\n", vm_last_error());
}

/* State: 1 left, 2 right, 4 middle. */
void hmp_mouse_button(struct vm *vm, const char *arg, struct hmp_out *out)
{
    static const uint16_t code[3] = {0, 2, 1};
    struct abi_input_event e[3];
    char *end;
    unsigned long state = strtoul(arg, &end, 0);

    if (*end || end == arg || state > 7) {
        hmp_print(out, "mouse_button: expected a state from 0 to 7 (1 left, 2 right, 4 middle)\n");
        return;
    }
    for (unsigned i = 0; i < 3; i++)
        e[i] = (struct abi_input_event){ABI_INPUT_BUTTON, code[i], state >> i & 1, 0};
    if (vm_input(vm, e, 3))
        hmp_print(out, "Error: %s\n", vm_last_error());
}

/* ---- QMP ---- */

static int bad(struct qmp_call *c, const char *what)
{
    snprintf(c->error, sizeof(c->error), "%s", what);
    return -1;
}

/* {"type": "qcode", "data": "ret"} or {"type": "number", "data": 28} */
static unsigned key_value(const struct qmp_call *c, const struct json_node *n)
{
    const struct json_node *type = json_member(c->doc, n, "type"), *data = json_member(c->doc, n, "data");

    if (!type || !data || type->type != JSON_STRING)
        return 0;
    if (data->type == JSON_INT)
        return data->i > 0 && data->i < 256 ? key_of_number((unsigned long)data->i) : 0;
    return data->type == JSON_STRING ? key_of_name(json_str(c->doc, data), strlen(json_str(c->doc, data))) : 0;
}

int qmp_send_key(struct qmp_call *c)
{
    const struct json_node *keys = json_member(c->doc, c->args, "keys");
    unsigned key[CHORD_MAX], n = 0;

    if (json_member(c->doc, c->args, "hold-time"))
        return bad(c, "hold-time is not built, a press is as short as it can be");
    for (const struct json_node *k = json_first(c->doc, keys); k; k = json_next(c->doc, k)) {
        key[n] = k->type == JSON_OBJECT ? key_value(c, k) : 0;
        if (!key[n] || ++n == CHORD_MAX)
            return bad(c, "Parameter 'keys' has an unknown key, or too many");
    }
    return n && chord_press(c->vm, key, n) ? bad(c, vm_last_error()) : 0;
}

static bool is_true(const struct json_node *n)
{
    return n && n->type == JSON_TRUE;
}

static bool key_event(const struct qmp_call *c, const struct json_node *data, struct abi_input_event *e)
{
    const struct json_node *key = json_member(c->doc, data, "key");
    unsigned k = key && key->type == JSON_OBJECT ? key_value(c, key) : 0;

    *e = (struct abi_input_event){ABI_INPUT_KEY, (uint16_t)k, is_true(json_member(c->doc, data, "down")), 0};
    return k;
}

static bool button_event(const struct qmp_call *c, const struct json_node *data, struct abi_input_event *e)
{
    static const char *const names[] = {"left", "middle", "right", "side", "extra"};
    const struct json_node *b = json_member(c->doc, data, "button");
    bool down = is_true(json_member(c->doc, data, "down"));
    const char *name = b && b->type == JSON_STRING ? json_str(c->doc, b) : "";

    for (unsigned i = 0; i < 5; i++)
        if (!strcmp(name, names[i])) {
            *e = (struct abi_input_event){ABI_INPUT_BUTTON, (uint16_t)i, down, 0};
            return true;
        }
    *e = (struct abi_input_event){ABI_INPUT_WHEEL, 0, !down ? 0 : !strcmp(name, "wheel-up") ? 1 : -1, 0};
    return !strcmp(name, "wheel-up") || !strcmp(name, "wheel-down");
}

static bool move_event(const struct qmp_call *c, const struct json_node *data, struct abi_input_event *e)
{
    const struct json_node *axis = json_member(c->doc, data, "axis"), *v = json_member(c->doc, data, "value");
    const char *name = axis && axis->type == JSON_STRING ? json_str(c->doc, axis) : "";
    int value = v && v->type == JSON_INT && v->i > -32768 && v->i < 32768 ? (int)v->i : 0;

    *e = (struct abi_input_event){ABI_INPUT_MOVE, 0, !strcmp(name, "x") ? value : 0, !strcmp(name, "y") ? value : 0};
    return !strcmp(name, "x") || !strcmp(name, "y");
}

static bool event_read(const struct qmp_call *c, const struct json_node *n, struct abi_input_event *e)
{
    const struct json_node *type = json_member(c->doc, n, "type"), *data = json_member(c->doc, n, "data");

    if (!type || type->type != JSON_STRING || !data || data->type != JSON_OBJECT)
        return false;
    if (!strcmp(json_str(c->doc, type), "key"))
        return key_event(c, data, e);
    if (!strcmp(json_str(c->doc, type), "btn"))
        return button_event(c, data, e);
    return !strcmp(json_str(c->doc, type), "rel") && move_event(c, data, e);
}

int qmp_input_send_event(struct qmp_call *c)
{
    const struct json_node *list = json_member(c->doc, c->args, "events");
    struct abi_input_event e[2 * CHORD_MAX];
    unsigned n = 0;

    for (const struct json_node *k = json_first(c->doc, list); k; k = json_next(c->doc, k)) {
        if (n == 2 * CHORD_MAX)
            return bad(c, "Parameter 'events' has more than 32 events");
        if (k->type != JSON_OBJECT || !event_read(c, k, &e[n++]))
            return bad(c, "Parameter 'events' has an event that this machine's keyboard and mouse cannot make "
                          "(key, btn, rel)");
    }
    return n && vm_input(c->vm, e, n) ? bad(c, vm_last_error()) : 0;
}

/* ---- passwords ---- */

static int64_t expiry_time(const char *text, bool *good)
{
    int64_t now = (int64_t)time(NULL);
    char *end;
    long long v = strtoll(text + (text[0] == '+'), &end, 10);

    *good = true;
    if (!strcmp(text, "now"))
        return now;
    if (!strcmp(text, "never"))
        return 0;
    *good = *text && end != text && !*end && v >= 0;
    return text[0] == '+' ? now + v : v;
}

int vnc_expire_text(struct vm *vm, const char *text)
{
    bool good;
    int64_t when = expiry_time(text, &good);

    return good ? vm_vnc_expire(vm, when) : vm_fail(-1, "expected now, never, +seconds or seconds, not '%.40s'", text);
}

/* "vnc text [action]" */
void hmp_set_password(struct vm *vm, const char *arg, struct hmp_out *out)
{
    char proto[16], text[64] = "";

    if (sscanf(arg, "%15s %63s", proto, text) < 2 || strcmp(proto, "vnc"))
        hmp_print(out, "set_password: expected 'vnc password'\n");
    else if (vm_vnc_password(vm, text))
        hmp_print(out, "Error: %s\n", vm_last_error());
}

void hmp_expire_password(struct vm *vm, const char *arg, struct hmp_out *out)
{
    char proto[16], text[64];

    if (sscanf(arg, "%15s %63s", proto, text) != 2 || strcmp(proto, "vnc"))
        hmp_print(out, "expire_password: expected 'vnc time'\n");
    else if (vnc_expire_text(vm, text))
        hmp_print(out, "Error: %s\n", vm_last_error());
}

/* "vnc password text" */
void hmp_change(struct vm *vm, const char *arg, struct hmp_out *out)
{
    char dev[16], what[16], text[64] = "";

    if (sscanf(arg, "%15s %15s %63s", dev, what, text) < 3 || strcmp(dev, "vnc") ||
        (strcmp(what, "password") && strcmp(what, "passwd")))
        hmp_print(out, "change: expected 'vnc password text'\n");
    else if (vm_vnc_password(vm, text))
        hmp_print(out, "Error: %s\n", vm_last_error());
}

static const char *text_of(const struct qmp_call *c, const char *name)
{
    const struct json_node *n = json_member(c->doc, c->args, name);

    return n ? json_str(c->doc, n) : "";
}

int qmp_set_password(struct qmp_call *c)
{
    if (strcmp(text_of(c, "protocol"), "vnc"))
        return bad(c, "Invalid parameter 'protocol': only vnc is built");
    return vm_vnc_password(c->vm, text_of(c, "password")) ? bad(c, vm_last_error()) : 0;
}

int qmp_expire_password(struct qmp_call *c)
{
    if (strcmp(text_of(c, "protocol"), "vnc"))
        return bad(c, "Invalid parameter 'protocol': only vnc is built");
    return vnc_expire_text(c->vm, text_of(c, "time")) ? bad(c, vm_last_error()) : 0;
}

int qmp_change_vnc_password(struct qmp_call *c)
{
    return vm_vnc_password(c->vm, text_of(c, "password")) ? bad(c, vm_last_error()) : 0;
}

int query_vnc(struct qmp_call *c)
{
    const struct vm *vm = c->vm;
    char port[8];

    jw_object(c->out, "return");
    jw_bool(c->out, "enabled", vm->plan.vnc.kind != VNC_NOT);
    if (vm->n_vnc) {
        bool local = vm->plan.vnc.kind == VNC_UNIX;
        snprintf(port, sizeof(port), "%u", vm->vnc_port);
        jw_string(c->out, "host", local ? vm->plan.vnc.path : vm->plan.vnc.host[0] ? vm->plan.vnc.host : "0.0.0.0");
        jw_string(c->out, "service", local ? "" : port);
        jw_string(c->out, "family", local ? "unix" : strchr(vm->plan.vnc.host, ':') ? "ipv6" : "ipv4");
        jw_string(c->out, "auth", vm->plan.vnc.password ? "vnc" : "none");
    }
    jw_end_object(c->out);
    return 0;
}
