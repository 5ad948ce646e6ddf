/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what children log and writes it to the vmm's stderr with the child's name in front. The
 * text is the child's and therefore hostile: it is bounded, made printable and rate-limited here.
 * Must never be parsed for anything but display.
 */
#include <errno.h>
#include <string.h>
#include "vmm/supervise/supervisor.h"

#define RECORDS_PER_WAKE 16 /* so that one talkative child does not starve the others */
#define BURST            20 /* lines per second and child */

static void keep_line(char *dst, size_t cap, const char *text)
{
    size_t n = strnlen(text, cap - 1);

    memcpy(dst, text, n);
    dst[n] = '\0';
}

static void show(struct child *c, unsigned level, const char *text)
{
    struct ipc_ratelimit *rl = &c->log_limit;
    uint32_t before = rl->suppressed;

    if (!ipc_ratelimit_ok(rl, BURST, 1))
        return;
    if (before > rl->suppressed)
        ipc_log(IPC_LOG_WARN, "%s#%u: %u lines dropped", c->tag, c->generation, before);
    ipc_log((enum ipc_log_level)level, "%s#%u: %s", c->tag, c->generation, text);
}

/* During start-up an error line is held back: if the child dies, it becomes the one line that says
 * why there is no VM; if the child gets ready after all, it is shown then. */
static void take_line(struct child *c, unsigned level, const char *text)
{
    keep_line(c->last_line, sizeof(c->last_line), text);
    if (level == IPC_LOG_ERROR && !c->first_error[0]) {
        keep_line(c->first_error, sizeof(c->first_error), text);
        c->error_held = c->sup->starting && !c->was_ready;
        if (c->error_held)
            return;
    } else if (level == IPC_LOG_ERROR && c->error_held) {
        return;
    }
    /* Everything goes away around a child that ends: only what went wrong is worth a line. */
    if (c->state != CHILD_STOPPING || level == IPC_LOG_ERROR)
        show(c, level, text);
}

/* #syscalls:vmm recvmsg writev */
void child_log_read(struct child *c)
{
    for (unsigned i = 0; i < RECORDS_PER_WAKE && c->log_fd >= 0; i++) {
        struct ipc_log_record r;
        int n = ipc_log_record_recv(c->log_fd, &r);
        if (n == -EPROTO)
            continue;
        if (n <= 0)
            break;
        ipc_log_text_clean(r.text, strlen(r.text));
        take_line(c, r.level, r.text);
    }
}

void log_child_text(struct child *c, unsigned level, const char *text)
{
    char line[201];

    keep_line(line, sizeof(line), text);
    ipc_log_text_clean(line, strlen(line));
    show(c, level, line);
}

void child_log_flush_held(struct child *c)
{
    if (c->error_held)
        show(c, IPC_LOG_ERROR, c->first_error);
    c->error_held = false;
}
