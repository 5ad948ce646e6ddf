/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving bytes between a host end and its users, through the loop. See chr.h.
 */
#include "vmm/monitor/chr.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "vmm/monitor/handed-fds.h"

/* ---- watching
 * ------------------------------------------------------------------------------------ */
static void on_listen(void *opaque, int fd, uint32_t events);
static void on_ready(void *opaque, int fd, uint32_t events);

/* A descriptor nobody waits for leaves the loop: EPOLLHUP cannot be masked and would spin. */
static void watch_set(struct chr *c, struct chr_watch *w, int fd, uint32_t events, ipc_io_fn fn)
{
    if (w->events && (!events || w->fd != fd)) {
        ipc_loop_del(&c->vm->loop, w->fd);
        w->events = 0;
    }
    if (!events || fd < 0)
        return;
    if (!w->events)
        ipc_loop_add(&c->vm->loop, fd, events, fn, c);
    else if (w->events != events)
        ipc_loop_mod(&c->vm->loop, fd, events);
    w->fd = fd;
    w->events = events;
}

/* Input is taken only while every user could take all of it; on a terminal with the Ctrl-a keys
 * always, or a guest that does not listen would lock the user out. */
static size_t input_room(const struct chr *c)
{
    size_t room = CHR_PEND;

    if (c->cfg->mux && c->in_tty)
        return room;
    for (unsigned i = 0; i < c->n_fe; i++)
        if (room > CHR_PEND - c->fe[i]->pend_len)
            room = CHR_PEND - c->fe[i]->pend_len;
    return c->n_fe ? room : 0;
}

void chr_update(struct chr *c)
{
    bool in = c->connected && c->in_fd >= 0 && !c->in_eof && input_room(c);
    bool out = c->connected && c->out_fd >= 0 && (c->out_len || c->starved);
    bool listen = c->listen_fd >= 0 && !c->connected && !c->leaving;

    watch_set(c, &c->w_listen, c->listen_fd, listen ? EPOLLIN : 0, on_listen);
    if (c->in_fd == c->out_fd) {
        watch_set(c, &c->w_in, c->in_fd, (in ? EPOLLIN : 0) | (out ? EPOLLOUT : 0), on_ready);
        return;
    }
    watch_set(c, &c->w_in, c->ready_fd >= 0 ? c->ready_fd : c->in_fd, in ? EPOLLIN : 0, on_ready);
    watch_set(c, &c->w_out, c->out_fd, out ? EPOLLOUT : 0, on_ready);
}

/* ---- joining, coming and leaving
 * ----------------------------------------------------------------- */
int chr_join(struct chr *c, struct chr_fe *fe)
{
    if (c->n_fe == CHR_FE_MAX)
        return -ENOSPC;
    c->fe[c->n_fe++] = fe;
    return 0;
}

static void tell_all(struct chr *c, enum chr_event ev)
{
    for (unsigned i = 0; i < c->n_fe; i++)
        c->fe[i]->event(c->fe[i]->opaque, ev);
}

void chr_opened(struct chr *c)
{
    c->focus = 0;
    tell_all(c, CHR_OPENED);
    if (c->n_fe)
        c->fe[0]->event(c->fe[0]->opaque, CHR_FOCUS_IN);
    chr_update(c);
}

void chr_closed(struct chr *c)
{
    c->connected = false;
    c->out_len = c->out_off = 0;
    c->escape = c->starved = false;
    for (unsigned i = 0; i < c->n_fe; i++)
        c->fe[i]->pend_len = 0;
    tell_all(c, CHR_CLOSED);
    chr_update(c);
}

void chr_start(struct chr *c)
{
    c->time_zero_ns = ipc_now_ns();
    c->line_start = true;
    if (c->connected)
        chr_opened(c);
    else
        chr_update(c);
}

void chr_attach(struct chr *c, int fd)
{
    c->in_fd = c->out_fd = fd;
    c->connected = true;
    c->in_eof = false;
}

/* Runs from the loop, so that nobody's stack still uses the connection.
 * #syscalls:vmm close */
static void leave(void *opaque)
{
    struct chr *c = opaque;

    watch_set(c, &c->w_in, -1, 0, on_ready);
    if (c->in_fd >= 0)
        close(c->in_fd);
    c->in_fd = c->out_fd = -1;
    c->leaving = false;
    chr_closed(c);
}

void chr_hang_up(struct chr *c)
{
    if (!c->connected || (c->cfg->kind != CHAR_UNIX && c->cfg->kind != CHAR_TCP))
        return;
    c->connected = false;
    c->leaving = true;
    if (!c->leave_timer.loop)
        ipc_timer_init(&c->leave_timer, &c->vm->loop, leave, c);
    ipc_timer_set(&c->leave_timer, ipc_now_ns());
    chr_update(c);
}

/* #syscalls:vmm accept4 */
static void on_listen(void *opaque, int fd, uint32_t events)
{
    struct chr *c = opaque;
    int client;

    (void)events;
    client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0)
        return;
    chr_attach(c, client);
    chr_opened(c);
}

/* ---- input
 * --------------------------------------------------------------------------------------- */
void chr_queue_input(struct chr *c, uint8_t byte)
{
    struct chr_fe *fe;

    if (c->focus >= c->n_fe)
        return;
    fe = c->fe[c->focus];
    if (fe->pend_len <
        CHR_PEND) /* else a terminal types into a deaf port: lost, as on a real one */
        fe->pend[fe->pend_len++] = byte;
}

void chr_resume(struct chr *c)
{
    for (unsigned i = 0; i < c->n_fe; i++) {
        struct chr_fe *fe = c->fe[i];
        size_t taken;

        if (!fe->pend_len)
            continue;
        taken = fe->receive(fe->opaque, fe->pend, fe->pend_len);
        fe->pend_len -= (unsigned)taken;
        memmove(fe->pend, fe->pend + taken, fe->pend_len);
    }
    chr_update(c);
}

void chr_feed(struct chr *c, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (c->cfg->mux)
            mux_input(c, buf[i]);
        else
            chr_queue_input(c, buf[i]);
    }
    chr_resume(c);
}

static void end_of_input(struct chr *c)
{
    if (c->cfg->kind == CHAR_UNIX || c->cfg->kind == CHAR_TCP)
        chr_hang_up(c);
    else if (c->cfg->kind == CHAR_PTY)
        chr_closed(c); /* the timer looks for the next one */
    else
        c->in_eof = true;
}

/* A unix socket may bring a descriptor along. #syscalls:vmm read recvmsg */
static ssize_t read_input(const struct chr *c, void *buf, size_t room)
{
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {buf, room};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    int fd;

    if (c->cfg->kind != CHAR_UNIX)
        return read(c->in_fd, buf, room);
    ssize_t n = recvmsg(c->in_fd, &m, MSG_CMSG_CLOEXEC); /* more than one does not fit, and is closed */
    const struct cmsghdr *h = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
    if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof(fd))) {
        memcpy(&fd, CMSG_DATA(h), sizeof(fd));
        handed_fd_arrived(fd);
    }
    return n;
}

static void read_some(struct chr *c)
{
    uint8_t buf[CHR_PEND];
    size_t room = input_room(c);
    ssize_t n;

    if (!room || !c->connected || c->in_eof)
        return;
    n = read_input(c, buf, room);
    if (n > 0)
        chr_feed(c, buf, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        end_of_input(c);
}

/* ---- output
 * -------------------------------------------------------------------------------------- */
/* A host end that refuses bytes for good (full disk, pty without reader) must not stop the guest.
 */
static void write_failed(struct chr *c, int err)
{
    if (c->cfg->kind == CHAR_UNIX || c->cfg->kind == CHAR_TCP) {
        chr_hang_up(c);
        return;
    }
    if (c->cfg->kind != CHAR_PTY && ipc_ratelimit_ok(&c->error_rate, 1, 10))
        log_warn("chardev %s: output is lost: %s", c->cfg->id, strerror(err));
    c->out_len = c->out_off = 0;
}

/* #syscalls:vmm write */
static void flush_out(struct chr *c)
{
    while (c->connected && c->out_len) {
        ssize_t n = write(c->out_fd, c->out + c->out_off, c->out_len);

        if (n > 0) {
            c->out_off += (size_t)n;
            c->out_len -= (size_t)n;
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            write_failed(c, errno);
            return;
        }
    }
    c->out_off = 0;
}

static void write_some(struct chr *c)
{
    flush_out(c);
    if (!c->starved || c->out_len > CHR_OUT / 4 * 3)
        return;
    c->starved = false;
    for (unsigned i = 0; i < c->n_fe; i++)
        if (c->fe[i]->writable)
            c->fe[i]->writable(c->fe[i]->opaque);
}

static void on_ready(void *opaque, int fd, uint32_t events)
{
    struct chr *c = opaque;

    (void)fd;
    if (events & EPOLLOUT || (fd == c->out_fd && events & (EPOLLERR | EPOLLHUP)))
        write_some(c);
    if (events & ~(uint32_t)EPOLLOUT && fd != (c->in_fd == c->out_fd ? -1 : c->out_fd))
        read_some(c);
    chr_update(c);
}

size_t chr_room(const struct chr *c)
{
    size_t room = CHR_OUT - c->out_len;

    if (!c->connected || c->out_fd < 0)
        return CHR_OUT;
    return c->timestamps ? room / 24 : room; /* every byte could begin a line */
}

size_t chr_put(struct chr *c, const void *buf, size_t len)
{
    if (!c->connected || c->out_fd < 0)
        return len; /* as a serial cable without an end */
    if (len > CHR_OUT - c->out_len)
        len = CHR_OUT - c->out_len;
    if (c->out_off + c->out_len + len > CHR_OUT) {
        memmove(c->out, c->out + c->out_off, c->out_len);
        c->out_off = 0;
    }
    memcpy(c->out + c->out_off + c->out_len, buf, len);
    c->out_len += len;
    return len;
}

size_t chr_write(struct chr *c, const void *buf, size_t len)
{
    size_t n = c->timestamps ? mux_output(c, buf, len) : chr_put(c, buf, len);

    flush_out(c);
    if (n < len || !chr_room(c))
        c->starved = true;
    chr_update(c);
    return n;
}

bool chr_write_all(struct chr *c, const void *buf, size_t len)
{
    if (chr_room(c) >= len) {
        chr_write(c, buf, len);
        return true;
    }
    chr_hang_up(c);
    return false;
}
