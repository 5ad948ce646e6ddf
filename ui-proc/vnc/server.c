/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server as a whole: listening, the clock that looks at the screen, who is there. The clock stands
 * still while nobody waits for a picture, and slows down while nothing changes.
 */
#include "ui-proc/vnc/vnc-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/log.h"

#define FAST_NS  16000000ull
#define SLOW_NS  200000000ull
#define BLINK_NS 266000000ull

static bool wanted(const struct vnc *v)
{
    for (unsigned i = 0; i < VNC_CLIENTS_MAX; i++) {
        const struct vnc_client *c = v->client[i];

        if (c && c->state == CL_RUNNING && (c->wants || c->continuous)) {
            return true;
        }
    }
    return false;
}

void server_look(struct vnc *v)
{
    struct screen *s = v->screen;
    enum screen_look r = screen_look(s, ipc_now_ns() / BLINK_NS % 2 == 0);

    if (s->stale && s->marks) {
        input_sweep(v->input); /* what is written from now on is marked anew */
    }

    for (unsigned i = 0; i < VNC_CLIENTS_MAX; i++) {
        struct vnc_client *c = v->client[i];

        if (c && r == SCREEN_RESIZED) {
            tiles_set(&c->dirty, 0, 0, s->width, s->height);
        } else if (c) {
            tiles_or(&c->dirty, &s->changed, s->height);
        }
    }
    if (r == SCREEN_SAME) {
        v->interval_ns = v->interval_ns * 5 / 4 < SLOW_NS ? v->interval_ns * 5 / 4 : SLOW_NS;
    } else {
        v->interval_ns = FAST_NS;
    }
}

static void tick(void *opaque)
{
    struct vnc *v = opaque;

    v->ticking = false;
    if (!wanted(v)) {
        return;
    }
    server_look(v);
    for (unsigned i = 0; i < VNC_CLIENTS_MAX; i++) {
        struct vnc_client *c = v->client[i];

        if (c) {
            update_send(c);
        }
        if (c && c->state == CL_CONDEMNED) {
            client_free(c);
        }
    }
    v->ticking = true; /* there may be one whose old update is still on its way */
    ipc_timer_set(&v->tick, ipc_now_ns() + v->interval_ns);
}

void server_wake(struct vnc *v)
{
    uint64_t now = ipc_now_ns();

    if (v->ticking && v->tick.deadline_ns > now + FAST_NS) {
        v->interval_ns = FAST_NS; /* somebody types: look soon */
        ipc_timer_set(&v->tick, now + FAST_NS);
    } else if (!v->ticking && wanted(v)) {
        v->ticking = true;
        ipc_timer_set(&v->tick, now + 1);
    }
}

/* The others go: the newcomer wants the screen for itself. */
void server_exclusive(struct vnc *v, const struct vnc_client *but)
{
    for (unsigned i = 0; i < VNC_CLIENTS_MAX; i++) {
        struct vnc_client *c = v->client[i];

        if (c && c != but && c->state != CL_CONDEMNED) {
            client_condemn(c, "another client wants the screen for itself");
            ipc_timer_set(&c->timer, 1);
        }
    }
}

/* #syscalls:ui accept4 close */
static void incoming(void *opaque, int fd, uint32_t events)
{
    struct vnc *v = opaque;
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (client < 0) {
        return;
    }
    int err = vnc_client_add(v, client);
    if (err < 0) {
        log_warn("vnc: a client is turned away: %s", err == -EMFILE ? "there are too many" : strerror(-err));
    }
}

int vnc_listen(struct vnc *v, int fd)
{
    return ipc_loop_add(v->loop, fd, EPOLLIN, incoming, v);
}

void vnc_password_set(struct vnc *v, const char *password, int64_t expires)
{
    explicit_bzero(v->password, sizeof(v->password));
    memcpy(v->password, password, strnlen(password, VNC_PASSWORD_MAX));
    v->password_expires = expires;
}

struct vnc *vnc_create(const struct vnc_config *cfg, struct ipc_loop *loop, struct screen *s, struct input *in)
{
    struct vnc *v = calloc(1, sizeof(*v));

    if (!v) {
        return NULL;
    }
    v->cfg = *cfg;
    v->loop = loop;
    v->screen = s;
    v->input = in;
    v->interval_ns = FAST_NS;
    if (ipc_timer_init(&v->tick, loop, tick, v) < 0) {
        free(v);
        return NULL;
    }
    return v;
}

unsigned vnc_describe(const struct vnc *v, char *out, unsigned room)
{
    unsigned n = 0;

    out[0] = 0;
    for (unsigned i = 0; i < VNC_CLIENTS_MAX && n + 200 < room; i++) {
        const struct vnc_client *c = v->client[i];

        if (c && c->state == CL_RUNNING) {
            n += (unsigned)snprintf(out + n, room - n, "%s encoding %d frames %llu bytes %llu\n", c->peer, c->encoding,
                                    (unsigned long long)c->frames, (unsigned long long)c->bytes);
        }
    }
    return n;
}
