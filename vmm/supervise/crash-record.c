/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Says what a child died of: one line on stderr and one event to management. Owns the
 * classification of deaths (docs/decisions/0003-crash-budget.md); must never decide what happens
 * next.
 */
#include <signal.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "vmm/supervise/supervisor.h"

static const char *signal_name(int sig)
{
    const char *n = sigabbrev_np(sig);

    return n ? n : "?";
}

static const char *cause_text(enum child_cause cause)
{
    switch (cause) {
    case CAUSE_PROTOCOL:
        return "broke the protocol";
    case CAUSE_HANG:
        return "did not answer";
    case CAUSE_BACKEND:
        return "vhost-user handshake failed";
    case CAUSE_SPAWN:
        return "could not be started";
    case CAUSE_REQUESTED:
        return "restart requested";
    default:
        return NULL;
    }
}

void death_reason(const struct child *c, int status, bool known, char *out, size_t len)
{
    const char *why = cause_text(c->cause);

    if (why)
        snprintf(out, len, "%s", why);
    else if (!known)
        snprintf(out, len, "ended");
    else if (WIFSIGNALED(status))
        snprintf(out, len, "killed by SIG%s", signal_name(WTERMSIG(status)));
    else
        snprintf(out, len, "exited with status %d", WEXITSTATUS(status));
}

/* SIGKILL never comes from the program itself: somebody else, an administrator or the out-of-memory
 * killer, ended a process that was doing nothing wrong. */
bool death_is_charged(const struct child *c, int status, bool known)
{
    if (c->cause == CAUSE_REQUESTED)
        return false;
    if (c->cause != CAUSE_NONE)
        return true;
    return !(known && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Text is printable ASCII already, except for the two characters JSON needs escaped. */
static void json_text(char *out, size_t len, const char *text)
{
    size_t n = 0;

    for (; *text && n + 3 < len; text++) {
        if (*text == '"' || *text == '\\')
            out[n++] = '\\';
        out[n++] = *text >= ' ' && *text <= '~' ? *text : ' ';
    }
    out[n] = '\0';
}

static void process_json(const struct child *c, const char *reason, char *json, size_t len)
{
    char id[130], why[400];

    json_text(id, sizeof(id), c->id);
    json_text(why, sizeof(why), reason);
    snprintf(json, len,
             "{\"role\": \"%s\", \"id\": \"%s\", \"pid\": %d, \"generation\": %u, "
             "\"reason\": \"%s\", \"restarts\": %u}",
             c->role_name, id, c->pid, c->generation, why, c->restarts);
}

static void process_event(struct child *c, const char *event, const char *reason)
{
    char json[768];

    process_json(c, reason, json, sizeof(json));
    qmp_event(c->sup->vm, event, json);
}

void crash_note_make(const struct child *c, int status, bool known, struct crash_note *n)
{
    char reason[64], text[400];

    death_reason(c, status, known, reason, sizeof(reason));
    snprintf(text, sizeof(text), "%s%s%s", reason, c->last_line[0] ? "; last message: " : "",
             c->last_line);
    snprintf(n->line, sizeof(n->line), "%s#%u (pid %d) %s", c->tag, c->generation, c->pid, text);
    process_json(c, text, n->json, sizeof(n->json));
}

void crash_note_tell(struct supervisor *s, const struct crash_note *n)
{
    log_warn("%s", n->line);
    qmp_event(s->vm, "BULKHEAD_PROCESS_CRASHED", n->json);
}

void restart_record(struct child *c)
{
    log_info("%s#%u (pid %d) is back", c->tag, c->generation, c->pid);
    process_event(c, "BULKHEAD_PROCESS_RESTARTED", "restarted");
}

void failure_record(struct child *c)
{
    char reason[64];

    snprintf(reason, sizeof(reason), "given up after %u restarts", c->restarts);
    log_error("%s: %s", c->tag, reason);
    process_event(c, "BULKHEAD_PROCESS_FAILED", reason);
}

/* "operation=write sector=7 action=stop reason=No space left on device", as QEMU's event has it. */
static void block_error_event(struct child *c, const char *detail)
{
    char json[768], operation[16] = "", action[16] = "", reason[128] = "", id[130], why[200];

    if (sscanf(detail, "operation=%15s sector=%*u action=%15s reason=%127[^\n]", operation, action, reason) != 3)
        return;
    json_text(id, sizeof(id), c->id);
    json_text(why, sizeof(why), reason);
    snprintf(json, sizeof(json),
             "{\"device\": \"%s\", \"node-name\": \"%s\", \"operation\": \"%s\", \"action\": \"%s\", \"nospace\": %s, "
             "\"reason\": \"%s\"}", id, id, !strcmp(operation, "read") ? "read" : "write",
             !strcmp(action, "stop") || !strcmp(action, "ignore") ? action : "report",
             !strcmp(reason, strerror(ENOSPC)) ? "true" : "false", why);
    qmp_event(c->sup->vm, "BLOCK_IO_ERROR", json);
}

void device_event_record(struct child *c, const char *name, const char *detail)
{
    char json[768], id[130], n[66], d[400];

    json_text(id, sizeof(id), c->id);
    json_text(n, sizeof(n), name);
    json_text(d, sizeof(d), detail);
    snprintf(json, sizeof(json), "{\"id\": \"%s\", \"event\": \"%s\", \"detail\": \"%s\"}", id, n,
             d);
    qmp_event(c->sup->vm, "BULKHEAD_DEVICE_EVENT", json);
    if (!strcmp(name, "BLOCK_IO_ERROR"))
        block_error_event(c, detail);
}
