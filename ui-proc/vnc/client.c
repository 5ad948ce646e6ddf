/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client's connection: bytes in, bytes out, its end. Owns the buffers; what the bytes mean is decided
 * elsewhere. A client that does not read gets nothing new until it has read the old.
 */
#include "ui-proc/vnc/vnc-internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/fds.h"
#include "ipc/log.h"

#define HANDSHAKE_NS 30000000000ull
#define READS_PER_EVENT 8

void client_condemn(struct vnc_client *c, const char *why)
{
    static struct ipc_ratelimit limit;

    if (c->state != CL_CONDEMNED && why && ipc_ratelimit_ok(&limit, 10, 1)) {
        log_info("vnc client %s: %s", c->peer, why);
    }
    c->state = CL_CONDEMNED;
}

/* ---- output ---- */

uint8_t *put_room(struct vnc_client *c, size_t len)
{
    if (c->out_failed || len > VNC_OUT_MAX - c->out_len) {
        c->out_failed = true;
        return NULL;
    }
    if (c->out_len + len > c->out_room) {
        size_t room = c->out_room ? c->out_room : 65536;
        uint8_t *p;

        while (room < c->out_len + len) {
            room *= 2;
        }
        p = realloc(c->out, room);
        if (!p) {
            c->out_failed = true;
            return NULL;
        }
        c->out = p;
        c->out_room = room;
    }
    c->out_len += len;
    return c->out + c->out_len - len;
}

void put(struct vnc_client *c, const void *data, size_t len)
{
    uint8_t *p = put_room(c, len);

    if (p && len) {
        memcpy(p, data, len);
    }
}
void put8(struct vnc_client *c, unsigned v)
{
    uint8_t b = (uint8_t)v;
    put(c, &b, 1);
}
void put16(struct vnc_client *c, unsigned v)
{
    uint16_t b = htons((uint16_t)v);
    put(c, &b, 2);
}
void put32(struct vnc_client *c, uint32_t v)
{
    uint32_t b = htonl(v);
    put(c, &b, 4);
}

bool client_idle(const struct vnc_client *c)
{
    return c->out_sent == c->out_len;
}

/* #syscalls:ui sendto */
void client_flush(struct vnc_client *c)
{
    while (!c->out_failed && c->out_sent < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno != EAGAIN) {
            client_condemn(c, NULL);
        }
        if (n < 0) {
            break;
        }
        c->out_sent += (size_t)n;
        c->bytes += (uint64_t)n;
    }
    if (c->out_failed) {
        client_condemn(c, "more output than there is room for");
    } else if (client_idle(c)) {
        c->out_len = c->out_sent = 0;
    }
    (void)ipc_loop_mod(c->v->loop, c->fd, EPOLLIN | (client_idle(c) ? 0 : EPOLLOUT));
}

/* ---- end ---- */

void client_free(struct vnc_client *c)
{
    struct vnc *v = c->v;

    client_keys_release(c);
    ipc_loop_del(v->loop, c->fd);
    close(c->fd);
    ipc_timer_fini(&c->timer);
    encoders_free(c);
    for (unsigned i = 0; i < VNC_CLIENTS_MAX; i++) {
        if (v->client[i] == c) {
            v->client[i] = NULL;
        }
    }
    free(c->out);
    free(c);
}

/* ---- input ---- */

static void skip(struct vnc_client *c)
{
    size_t n = c->in_skip < c->in_len ? (size_t)c->in_skip : c->in_len;

    c->in_skip -= n;
    c->in_len -= n;
    memmove(c->in, c->in + n, c->in_len);
}

static void understand(struct vnc_client *c)
{
    for (;;) {
        size_t used;

        skip(c);
        if (!c->in_len || c->state == CL_CONDEMNED || c->refusal) {
            return;
        }
        used = c->state == CL_RUNNING ? message_input(c) : handshake_input(c);
        if (!used) {
            if (c->in_len == sizeof(c->in)) {
                client_condemn(c, "a message longer than any there is");
            }
            return;
        }
        c->in_len -= used;
        memmove(c->in, c->in + used, c->in_len);
    }
}

/* #syscalls:ui recvfrom */
static void client_read(struct vnc_client *c)
{
    for (int i = 0; i < READS_PER_EVENT && c->state != CL_CONDEMNED; i++) {
        ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            client_condemn(c, NULL);
            return;
        }
        c->in_len += (size_t)n;
        understand(c);
        if (c->refusal) { /* nothing more is read of one that will be refused */
            c->in_len = 0;
            return;
        }
    }
}

static void client_event(void *opaque, int fd, uint32_t events)
{
    struct vnc_client *c = opaque;

    (void)fd;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        client_read(c);
    }
    client_flush(c); /* one that is condemned may still learn why; pictures are sent by the clock */
    if (c->state == CL_CONDEMNED) {
        client_free(c);
    }
}

/* The handshake took too long, or the delay of a refusal is over. */
static void client_timeout(void *opaque)
{
    struct vnc_client *c = opaque;

    if (c->refusal && c->state == CL_AUTH) {
        put32(c, 1);
        if (c->minor >= 8) {
            put32(c, (uint32_t)strlen(c->refusal));
            put(c, c->refusal, strlen(c->refusal));
        }
        client_flush(c);
    }
    client_condemn(c, c->refusal ? c->refusal : "no handshake in time");
    client_free(c);
}

/* ---- begin ---- */

/* #syscalls:ui getpeername */
static void peer_name(struct vnc_client *c)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_storage room;
    } a = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t len = sizeof(a);
    char text[INET6_ADDRSTRLEN] = "";

    (void)getpeername(c->fd, &a.any, &len);
    if (a.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a.in.sin_addr, text, sizeof(text));
        snprintf(c->peer, sizeof(c->peer), "%s:%u", text, ntohs(a.in.sin_port));
    } else if (a.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &a.in6.sin6_addr, text, sizeof(text));
        snprintf(c->peer, sizeof(c->peer), "[%s]:%u", text, ntohs(a.in6.sin6_port));
    } else {
        snprintf(c->peer, sizeof(c->peer), "local");
    }
}

static struct vnc_client **free_place(struct vnc *v)
{
    for (unsigned i = 0; i < VNC_CLIENTS_MAX; i++) {
        if (!v->client[i]) {
            return &v->client[i];
        }
    }
    return NULL;
}

/* #syscalls:ui setsockopt */
int vnc_client_add(struct vnc *v, int fd)
{
    struct vnc_client **place = free_place(v), *c = place ? calloc(1, sizeof(*c)) : NULL;
    int one = 1, err;

    if (!c) {
        close(fd);
        return place ? -ENOMEM : -EMFILE;
    }
    c->v = v;
    c->fd = fd;
    c->quality = c->level = -1;
    c->encoding = ENC_RAW;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    peer_name(c);
    err = ipc_timer_init(&c->timer, v->loop, client_timeout, c);
    if (!err) {
        err = ipc_loop_add(v->loop, fd, EPOLLIN, client_event, c);
    }
    if (err) {
        ipc_timer_fini(&c->timer);
        close(fd);
        free(c);
        return err;
    }
    *place = c;
    ipc_timer_set(&c->timer, ipc_now_ns() + HANDSHAKE_NS);
    handshake_begin(c);
    client_flush(c);
    return 0;
}
