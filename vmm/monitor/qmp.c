/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session of the JSON monitor: greeting, negotiation, replies, events. The client is not trusted:
 * bounded input, bounded output, and one that does not read is dropped. Must never know a command.
 */
#include <stdio.h>
#include <string.h>
#include "vmm/config/version.h"
#include "vmm/monitor/monitor.h"

/* One thread, and commands do not nest: scratch space is shared by all sessions. Events, which
 * commands cause, have their own (events.c). */
static struct json_doc doc;
static char reply[CHR_OUT];

static void send_text(struct qmp *q, const char *text, size_t len)
{
    char line[2] = {'\r', '\n'};

    if (chr_room(q->c) < len + sizeof(line)) {
        log_warn("chardev %s: the monitor client does not read, it is dropped", q->c->cfg->id);
        chr_hang_up(q->c);
        return;
    }
    chr_write(q->c, text, len);
    chr_write(q->c, line, sizeof(line));
}

static void send_reply(struct qmp *q, struct json_out *o)
{
    static const char too_long[] =
        "{\"error\": {\"class\": \"GenericError\", \"desc\": \"the reply is too long\"}}";

    if (o->overflow)
        send_text(q, too_long, sizeof(too_long) - 1);
    else
        send_text(q, o->buf, o->len);
}

static void send_error(struct qmp *q, const struct json_node *id, const char *class,
                       const char *desc)
{
    struct json_out o;

    jw_init(&o, reply, sizeof(reply), q->pretty);
    jw_object(&o, NULL);
    jw_object(&o, "error");
    jw_string(&o, "class", class);
    jw_string(&o, "desc", desc);
    jw_end_object(&o);
    if (id)
        jw_node(&o, "id", &doc, id);
    jw_end_object(&o);
    send_reply(q, &o);
}

static void send_greeting(struct qmp *q)
{
    struct json_out o;

    jw_init(&o, reply, sizeof(reply), q->pretty);
    jw_object(&o, NULL);
    jw_object(&o, "QMP");
    jw_object(&o, "version");
    jw_object(&o, "qemu");
    jw_int(&o, "micro", QEMU_MICRO);
    jw_int(&o, "minor", QEMU_MINOR);
    jw_int(&o, "major", QEMU_MAJOR);
    jw_end_object(&o);
    jw_string(&o, "package", BULKHEAD_PACKAGE);
    jw_end_object(&o);
    jw_array(&o, "capabilities");
    jw_end_array(&o);
    jw_end_object(&o);
    jw_end_object(&o);
    send_reply(q, &o);
}

/* ---- commands
 * ------------------------------------------------------------------------------------ */
struct request {
    const char *execute;
    const struct json_node *args, *id;
    char error[160];
};

/* The shape of a command object. 0, or -1 with error. */
static int read_request(struct request *r)
{
    const struct json_node *root = json_root(&doc);

    memset(r, 0, sizeof(*r));
    if (root->type != JSON_OBJECT) {
        snprintf(r->error, sizeof(r->error), "QMP input must be a JSON object");
        return -1;
    }
    r->id = json_member(&doc, root, "id");
    for (const struct json_node *n = json_first(&doc, root); n; n = json_next(&doc, n)) {
        const char *key = json_key(&doc, n);

        if (!strcmp(key, "execute") && n->type == JSON_STRING)
            r->execute = json_str(&doc, n);
        else if (!strcmp(key, "execute"))
            snprintf(r->error, sizeof(r->error), "QMP input member 'execute' must be a string");
        else if (!strcmp(key, "arguments") && n->type == JSON_OBJECT)
            r->args = n;
        else if (!strcmp(key, "arguments"))
            snprintf(r->error, sizeof(r->error), "QMP input member 'arguments' must be an object");
        else if (strcmp(key, "id"))
            snprintf(r->error, sizeof(r->error), "QMP input member '%.100s' is unexpected", key);
        if (r->error[0])
            return -1;
    }
    if (!r->execute)
        snprintf(r->error, sizeof(r->error), "QMP input lacks member 'execute'");
    return r->execute ? 0 : -1;
}

/* Negotiation comes first and once. Returns an error text or NULL. */
static const char *check_mode(const struct qmp *q, const struct request *r)
{
    bool negotiates = !strcmp(r->execute, "qmp_capabilities");

    if (!q->negotiated && !negotiates)
        return "Expecting capabilities negotiation with 'qmp_capabilities'";
    if (q->negotiated && negotiates)
        return "Capabilities negotiation is already complete, command ignored";
    return NULL;
}

static void run_request(struct qmp *q, const struct request *r)
{
    struct json_out o;
    struct qmp_call call = {
        .vm = q->vm, .doc = &doc, .args = r->args, .out = &o, .error_class = "GenericError"};
    size_t start;

    jw_init(&o, reply, sizeof(reply), q->pretty);
    jw_object(&o, NULL);
    start = o.len;
    if (qmp_execute(&call, r->execute)) {
        send_error(q, r->id, call.error_class, call.error);
        return;
    }
    q->negotiated = true; /* the first command that gets here is qmp_capabilities */
    if (o.len == start) {
        jw_object(&o, "return");
        jw_end_object(&o);
    }
    if (r->id)
        jw_node(&o, "id", &doc, r->id);
    jw_end_object(&o);
    send_reply(q, &o);
}

static void run_value(struct qmp *q)
{
    struct request r;
    const char *wrong;

    if (json_parse(&doc, q->frame.buf, q->frame.len)) {
        send_error(q, NULL, "GenericError", doc.err);
        return;
    }
    if (read_request(&r)) {
        send_error(q, r.id, "GenericError", r.error);
        return;
    }
    wrong = check_mode(q, &r);
    if (wrong)
        send_error(q, r.id, "CommandNotFound", wrong);
    else
        run_request(q, &r);
}

static size_t qmp_receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct qmp *q = opaque;

    for (size_t i = 0; i < len && q->c->connected; i++) {
        switch (qmp_frame_byte(&q->frame, buf[i])) {
        case FRAME_VALUE:
            run_value(q);
            qmp_frame_reset(&q->frame);
            break;
        case FRAME_BAD:
            send_error(q, NULL, "GenericError", "JSON parse error, unreadable or too long");
            break;
        case FRAME_MORE:
            break;
        }
    }
    return len;
}

static void qmp_chr_event(void *opaque, enum chr_event ev)
{
    struct qmp *q = opaque;

    if (ev != CHR_OPENED && ev != CHR_CLOSED)
        return;
    q->open = ev == CHR_OPENED;
    q->negotiated = false;
    qmp_frame_reset(&q->frame);
    if (q->open)
        send_greeting(q);
}

void qmp_send_event(struct qmp *q, const char *text, size_t len)
{
    if (q->open && q->negotiated && q->c->connected)
        send_text(q, text, len);
}

int qmp_init(struct qmp *q, struct vm *vm, struct chr *c, bool pretty)
{
    memset(q, 0, sizeof(*q));
    q->vm = vm;
    q->c = c;
    q->pretty = pretty;
    q->fe.receive = qmp_receive;
    q->fe.event = qmp_chr_event;
    q->fe.opaque = q;
    return chr_join(c, &q->fe);
}
