/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vmm's end of the children's control channels: handshake, heartbeats' answers, worker and
 * device messages. A child that breaks the protocol is lost on the spot. Must never wait for a
 * child.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "vmm/supervise/supervisor.h"

#define MESSAGES_PER_WAKE 16

int sup_child_send(struct child *c, enum ctl_msg type, const void *msg, const int *fds,
                   unsigned nfds)
{
    int r;

    if (c->ctl_fd < 0)
        return -ENOTCONN;
    r = ctl_send(c->ctl, type, msg, fds, nfds, 0);
    if (r == -EAGAIN)
        sup_child_lose(c, CAUSE_HANG, "does not read its control channel");
    else if (r < 0)
        sup_child_lose(c, CAUSE_NONE, NULL);
    return r;
}

static int on_hello(struct child *c, const Ctl__Hello *m)
{
    if (m->version != CTL_VERSION) {
        log_error("%s#%u speaks control version %u, not %u", c->tag, c->generation, m->version,
                  CTL_VERSION);
        return -EPROTO;
    }
    if (c->hello_seen)
        return -EPROTO;
    c->hello_seen = true;
    sup_child_boot_state(c);
    return 0;
}

/* BOOT goes out as soon as the process exists, HELLO comes as soon as its program runs: whichever
 * is second ends the NEW state. */
void sup_child_boot_state(struct child *c)
{
    if (c->hello_seen && c->boot_sent)
        c->ctl->state = CTL_ST_BOOTING;
}

static bool all_running(const struct supervisor *s)
{
    for (unsigned i = 0; i < s->n_child; i++)
        if (s->child[i].state != CHILD_RUNNING && !s->child[i].standby)
            return false;
    return true;
}

static void check_startup(struct supervisor *s)
{
    if (!s->starting || s->start_failed || !all_running(s))
        return;
    s->starting = false;
    for (unsigned i = 0; i < s->n_child; i++)
        child_log_flush_held(&s->child[i]);
    s->hooks->all_running(s->vm);
}

static void connect_backend(struct child *c)
{
    int fd = c->vu_fd, r;

    if (child_is_controller(c)) {
        c->backend_up = true;
        machine_device_ready(c->sup->vm, c->id);
        if (fd < 0)
            return;
    }
    if (fd < 0 || c->standby) /* a standby's is connected by who ordered it */
        return;
    c->vu_fd = -1;
    r = machine_backend_up(c->sup->vm, c->id, fd);
    if (c->state != CHILD_RUNNING)
        return;
    c->backend_up = r == 0;
    if (r < 0)
        sup_child_lose(c, CAUSE_BACKEND, strerror(-r));
}

static int on_ready(struct child *c, const Ctl__Ready *m)
{
    struct supervisor *s = c->sup;

    if (!child_move(c, CEV_READY))
        return -EPROTO;
    c->ctl->state = CTL_ST_RUNNING;
    c->stages = m->stages;
    c->was_ready = true;
    c->ready_ns = ipc_now_ns();
    ipc_timer_set(&c->timer, 0);
    if (m->detail && m->detail[0])
        log_child_text(c, IPC_LOG_INFO, m->detail);
    connect_backend(c);
    if (c->state != CHILD_RUNNING)
        return 0;
    if (c->generation > 1)
        restart_record(c);
    if (s->starting)
        check_startup(s);
    else if (c->program == SPAWN_CPU_WORKER)
        s->hooks->worker_ready(s->vm);
    return 0;
}

static void on_device_event(struct child *c, const Ctl__DeviceEvent *m)
{
    char text[200];

    if (c->program == SPAWN_BLOCK && !strcmp(m->name, "BLOCK_IO_ERROR") && m->detail && strstr(m->detail, " action=stop "))
        c->sup->hooks->io_error(c->sup->vm);
    if (!ipc_ratelimit_ok(&c->event_limit, 10, 1))
        return;
    snprintf(text, sizeof(text), "%s%s%s", m->name, m->detail ? ": " : "",
             m->detail ? m->detail : "");
    if (!c->sup->starting) /* at start-up its own error line says the same */
        log_child_text(c, IPC_LOG_WARN, text);
    device_event_record(c, m->name, m->detail ? m->detail : "");
}

static int on_worker_message(struct child *c, enum ctl_msg type, const ProtobufCMessage *msg)
{
    const struct sup_hooks *h = c->sup->hooks;

    if (c->program != SPAWN_CPU_WORKER)
        return -EPROTO;
    if (type == CTL_WORKER_ACK) {
        h->worker_ack(c->sup->vm, ((const Ctl__WorkerAck *)msg)->seq);
    } else {
        const Ctl__WorkerEvent *e = (const Ctl__WorkerEvent *)msg;
        if (e->detail && e->detail[0])
            log_child_text(c, IPC_LOG_WARN, e->detail);
        h->worker_event(c->sup->vm, (int)e->kind);
    }
    return 0;
}

static int on_pong(struct child *c, const Ctl__Pong *m)
{
    if (m->seq > c->ping_seq || m->seq < c->pong_seq)
        return -EPROTO;
    c->pong_seq = (uint32_t)m->seq;
    return 0;
}

static int dispatch(struct child *c, enum ctl_msg type, const ProtobufCMessage *msg)
{
    switch (type) {
    case CTL_HELLO:
        return on_hello(c, (const Ctl__Hello *)msg);
    case CTL_READY:
        return on_ready(c, (const Ctl__Ready *)msg);
    case CTL_PONG:
        return on_pong(c, (const Ctl__Pong *)msg);
    case CTL_WORKER_ACK:
    case CTL_WORKER_EVENT:
        return on_worker_message(c, type, msg);
    case CTL_DEVICE_EVENT:
        on_device_event(c, (const Ctl__DeviceEvent *)msg);
        return 0;
    case CTL_SCREENDUMP_DONE:
        if (c->program != SPAWN_UI)
            return -EPROTO;
        c->sup->hooks->screendump_done(((const Ctl__ScreendumpDone *)msg)->seq,
                                       ((const Ctl__ScreendumpDone *)msg)->error & 0xfff);
        return 0;
    case CTL_INFO_REPLY:
        sup_answer(c, (const Ctl__InfoReply *)msg);
        return 0;
    default:
        return -EPROTO;
    }
}

/* 1: go on; 0: nothing more, or the child is lost. */
static int receive_one(struct child *c)
{
    enum ctl_msg type;
    ProtobufCMessage *msg;
    unsigned nfds = 0;
    int r = ctl_recv(c->ctl, &type, &msg, NULL, &nfds, 0);

    if (r == -EAGAIN)
        return 0;
    if (r == 1)
        r = dispatch(c, type, msg) < 0 ? -EPROTO : 1;
    if (r == -EPROTO)
        sup_child_lose(c, CAUSE_PROTOCOL, "broke the control protocol");
    else if (r <= 0)
        sup_child_lose(c, CAUSE_NONE, NULL);
    return r == 1;
}

/* #syscalls:vmm recvmsg sendmsg */
void sup_child_receive(struct child *c)
{
    for (unsigned i = 0; i < MESSAGES_PER_WAKE && c->ctl_fd >= 0; i++)
        if (!receive_one(c))
            break;
}
