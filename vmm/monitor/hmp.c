/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session of the human monitor on a host end. Must never let a command's output wait in memory:
 * what does not fit in the host end's buffer is lost to that session.
 */
#include <stdio.h>
#include <string.h>
#include "vmm/config/version.h"
#include "vmm/monitor/monitor.h"

static void say(void *opaque, const char *s, size_t len)
{
    struct hmp *h = opaque;

    chr_write_all(h->c, s, len);
}

static void prompt(struct hmp *h)
{
    say(h, HMP_PROMPT, sizeof(HMP_PROMPT) - 1);
}

/* Terminals want "\r\n". */
static void show(struct hmp *h, const struct hmp_out *out)
{
    size_t n;

    for (const char *s = out->text; *s; s += n + (s[n] == '\n')) {
        n = strcspn(s, "\n");
        say(h, s, n);
        if (s[n])
            say(h, "\r\n", 2);
    }
}

static void run_line(struct hmp *h)
{
    static struct hmp_out out; /* one thread; commands do not nest */

    out.len = 0;
    out.text[0] = 0;
    hmp_execute(h->vm, h->edit.line, &out);
    show(h, &out);
    hmp_edit_next(&h->edit);
    prompt(h);
}

static void complete(struct hmp *h)
{
    static struct hmp_out list;
    const char *add;

    if (h->edit.pos != h->edit.len)
        return;
    list.len = 0;
    list.text[0] = 0;
    add = hmp_complete(h->edit.line, &list);
    hmp_edit_insert(&h->edit, add, say, h);
    if (list.len) {
        say(h, "\r\n", 2);
        show(h, &list);
        hmp_edit_redraw(&h->edit, say, h);
    }
}

static size_t hmp_receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct hmp *h = opaque;

    for (size_t i = 0; i < len && h->c->connected; i++) {
        switch (hmp_edit_byte(&h->edit, buf[i], say, h)) {
        case EDIT_LINE:
            run_line(h);
            break;
        case EDIT_TAB:
            complete(h);
            break;
        case EDIT_MORE:
            break;
        }
    }
    return len;
}

static void greet(struct hmp *h)
{
    static const char hello[] =
        "Bulkhead " BULKHEAD_VERSION " monitor - type 'help' for more information\r\n";

    say(h, hello, sizeof(hello) - 1);
    h->greeted = true;
}

static void hmp_event(void *opaque, enum chr_event ev)
{
    struct hmp *h = opaque;

    if (ev == CHR_FOCUS_IN) {
        if (h->c->cfg->mux)
            say(h, "\r\n", 2);
        if (!h->greeted)
            greet(h);
        if (h->edit.len)
            hmp_edit_redraw(&h->edit, say, h); /* the line that was left half written */
        else
            prompt(h);
    } else if (ev == CHR_FOCUS_OUT) {
        say(h, "\r\n", 2);
    } else if (ev == CHR_CLOSED) {
        h->greeted = false;
        memset(&h->edit, 0, sizeof(h->edit)); /* one client's history is not the next one's */
    }
}

int hmp_init(struct hmp *h, struct vm *vm, struct chr *c)
{
    memset(h, 0, sizeof(*h));
    h->vm = vm;
    h->c = c;
    h->fe.receive = hmp_receive;
    h->fe.event = hmp_event;
    h->fe.opaque = h;
    return chr_join(c, &h->fe);
}
