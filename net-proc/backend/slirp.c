/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libslirp in the process's loop. Every entry into the stack (guest frames, ready sockets, timers)
 * ends in stack_settle(), which asks it what to wait for next. Must never call the stack from one
 * of the stack's own callbacks.
 */
#include "net-proc/backend/slirp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ipc/log.h"
#include "net-proc/backend/slirp-files.h"
#include "net-proc/backend/slirp-poll.h"

#define STACK_TIMERS 4
/* libslirp answers "1000" when it has nothing to time: then the process sleeps. */
#define STACK_IDLE_MS 1000u

struct stack_timer { /* timer_new's handle */
    struct ipc_timer t;
    struct net_slirp *owner;
    SlirpTimerId id;
    SlirpTimerCb cb; /* older interface; NULL: slirp_handle_timer */
    void *cb_opaque;
    bool used;
};
struct net_slirp {
    Slirp *slirp;
    struct ipc_loop *loop;
    struct net_sink sink;
    struct slirp_poll poll;
    bool held;            /* sockets are not looked at: the card is full */
    uint64_t last_turn;   /* when the stack last saw the clock */
    struct ipc_timer tick; /* TCP timers of the stack */
    struct stack_timer timer[STACK_TIMERS];
    struct ipc_ratelimit rl;
};

/* One stack per process; the log hook has no other way to it. */
static struct net_slirp stack;

static int want_cb(int fd, int events, void *opaque)
{
    struct net_slirp *s = opaque;
    return slirp_poll_want(&s->poll, fd, events);
}

static int ready_cb(int index, void *opaque)
{
    struct net_slirp *s = opaque;
    return slirp_poll_ready(&s->poll, index);
}

static int nothing_ready_cb(int index, void *opaque)
{
    (void)index;
    (void)opaque;
    return 0;
}

/* After each entry into the stack: what does it wait for now, and until when? */
static void stack_settle(struct net_slirp *s)
{
    uint32_t timeout = UINT32_MAX;

    slirp_poll_begin(&s->poll);
    slirp_pollfds_fill(s->slirp, &timeout, want_cb, s);
    slirp_poll_end(&s->poll);
    uint64_t deadline = 0;
    if (timeout < STACK_IDLE_MS)
        deadline = ipc_now_ns() + (uint64_t)timeout * 1000000u;
    ipc_timer_set(&s->tick, deadline);
    s->sink.frames_done(s->sink.opaque);
}

/* One turn of the stack over ready sockets and its TCP timers. */
static void stack_turn(struct net_slirp *s, SlirpGetREventsCb ready)
{
    s->last_turn = ipc_now_ns();
    slirp_pollfds_poll(s->slirp, 0, ready, s);
    slirp_poll_clear(&s->poll);
}

static void sockets_ready(void *opaque, int fd, uint32_t events)
{
    struct net_slirp *s = opaque;

    (void)fd;
    (void)events;
    slirp_poll_collect(&s->poll);
    stack_turn(s, ready_cb);
    stack_settle(s);
}

static void tick_due(void *opaque)
{
    struct net_slirp *s = opaque;

    stack_turn(s, nothing_ready_cb);
    stack_settle(s);
}

static void timer_due(void *opaque)
{
    struct stack_timer *t = opaque;

    if (t->cb)
        t->cb(t->cb_opaque);
    else
        slirp_handle_timer(t->owner->slirp, t->id, t->cb_opaque);
    stack_settle(t->owner);
}

/* ---- what the stack asks of us
 * -------------------------------------------------------------------- */

static ssize_t send_packet_cb(const void *buf, size_t len, void *opaque)
{
    struct net_slirp *s = opaque;

    s->sink.frame(s->sink.opaque, buf, len, NULL);
    return (ssize_t)len;
}

static void guest_error_cb(const char *msg, void *opaque)
{
    struct net_slirp *s = opaque;

    if (ipc_ratelimit_ok(&s->rl, 5, 60))
        log_warn("user network: guest error: %s", msg);
}

static int64_t clock_cb(void *opaque)
{
    (void)opaque;
    return (int64_t)ipc_now_ns();
}

static struct stack_timer *timer_take(struct net_slirp *s)
{
    for (unsigned i = 0; i < STACK_TIMERS; i++) {
        struct stack_timer *t = &s->timer[i];
        if (!t->used && ipc_timer_init(&t->t, s->loop, timer_due, t) == 0) {
            t->used = true;
            t->owner = s;
            return t;
        }
    }
    /* libslirp 4.7 has one timer; a pool of four that is empty is a broken assumption. */
    log_error("user network: out of timers");
    abort();
}

static void *timer_new_cb(SlirpTimerCb cb, void *cb_opaque, void *opaque)
{
    struct stack_timer *t = timer_take(opaque);
    t->cb = cb;
    t->cb_opaque = cb_opaque;
    return t;
}

static void *timer_new_opaque_cb(SlirpTimerId id, void *cb_opaque, void *opaque)
{
    struct stack_timer *t = timer_take(opaque);
    t->cb = NULL;
    t->id = id;
    t->cb_opaque = cb_opaque;
    return t;
}

static void timer_free_cb(void *timer, void *opaque)
{
    struct stack_timer *t = timer;
    (void)opaque;
    ipc_timer_fini(&t->t);
    t->used = false;
}

static void timer_mod_cb(void *timer, int64_t expire_ms, void *opaque)
{
    struct stack_timer *t = timer;
    (void)opaque;
    ipc_timer_set(&t->t, (uint64_t)expire_ms * 1000000u);
}

/* Both ends of a descriptor's life: what epoll knows under this number is out of date. */
static void fd_changed_cb(int fd, void *opaque)
{
    struct net_slirp *s = opaque;
    slirp_poll_forget(&s->poll, fd);
}

static void notify_cb(void *opaque)
{
    (void)opaque; /* same thread: stack_settle() follows anyway */
}

static void init_completed_cb(Slirp *slirp, void *opaque)
{
    struct net_slirp *s = opaque;
    s->slirp = slirp; /* timers may be set before slirp_new returns */
}

static const SlirpCb stack_callbacks = {
    .send_packet = send_packet_cb,
    .guest_error = guest_error_cb,
    .clock_get_ns = clock_cb,
    .timer_new = timer_new_cb,
    .timer_free = timer_free_cb,
    .timer_mod = timer_mod_cb,
    .register_poll_fd = fd_changed_cb,
    .unregister_poll_fd = fd_changed_cb,
    .notify = notify_cb,
    .init_completed = init_completed_cb,
    .timer_new_opaque = timer_new_opaque_cb,
};

/* glib would write to stderr, which a child does not have. */
static void glib_log_cb(const gchar *domain, GLogLevelFlags level, const gchar *msg,
                        gpointer opaque)
{
    struct net_slirp *s = opaque;

    if (level & (G_LOG_LEVEL_DEBUG | G_LOG_LEVEL_INFO | G_LOG_LEVEL_MESSAGE))
        return;
    if (ipc_ratelimit_ok(&s->rl, 5, 60))
        log_warn("user network: %s: %s", domain ? domain : "glib", msg);
}

/* ---- the back end's interface
 * --------------------------------------------------------------------- */

static bool slirp_be_input(void *opaque, const uint8_t *frame, size_t len, const net_todo *todo)
{
    struct net_slirp *s = opaque;

    (void)todo; /* a long TCP segment has a correct IP length, and the stack, which ends TCP, takes it whole */

    /* The stack takes the time only in its turns; after a sleep its idea of "now" may be hours old,
     * and a new UDP flow would be born expired. */
    if (ipc_now_ns() - s->last_turn > 100000000u)
        stack_turn(s, nothing_ready_cb);
    slirp_input(s->slirp, frame, (int)len);
    return true;
}

/* A turn also sends what waited for the guest's answer to an ARP request: taking in the answer
 * alone does not. */
static void slirp_be_input_done(void *opaque)
{
    stack_turn(opaque, nothing_ready_cb);
    stack_settle(opaque);
}

static void slirp_be_hold(void *opaque, bool on)
{
    struct net_slirp *s = opaque;

    if (on == s->held)
        return;
    s->held = on;
    if (ipc_loop_mod(s->loop, s->poll.epfd, on ? 0 : EPOLLIN))
        log_error("user network: cannot change the poll set");
}

static void slirp_be_info(void *opaque, char *out, size_t cap)
{
    struct net_slirp *s = opaque;
    char *text = slirp_connection_info(s->slirp);

    snprintf(out, cap, "%s", text ? text : "");
    g_free(text);
}

/* ---- start
 * ---------------------------------------------------------------------------------------- */

static void endpoint_print(const struct sockaddr *sa, char *out, size_t cap)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;
    char a[INET6_ADDRSTRLEN];

    if (sa->sa_family == AF_INET6)
        snprintf(out, cap, "[%s]:%u", inet_ntop(AF_INET6, &v6->sin6_addr, a, sizeof a),
                 ntohs(v6->sin6_port));
    else
        snprintf(out, cap, "%s:%u", inet_ntop(AF_INET, &v4->sin_addr, a, sizeof a),
                 ntohs(v4->sin_port));
}

static socklen_t endpoint_size(const struct sockaddr *sa)
{
    return sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static int hostfwd_bind(struct net_slirp *s, const struct net_hostfwd *f, char *err, size_t errlen)
{
    int flags = (f->udp ? SLIRP_HOSTFWD_UDP : 0) |
                (f->host.sa.sa_family == AF_INET6 ? SLIRP_HOSTFWD_V6ONLY : 0);

    errno = 0;
    if (slirp_add_hostxfwd(s->slirp, &f->host.sa, endpoint_size(&f->host.sa), &f->guest.sa,
                           endpoint_size(&f->guest.sa), flags) == 0)
        return 0;
    int e = errno ? errno : EIO;
    char where[80];
    endpoint_print(&f->host.sa, where, sizeof where);
    snprintf(err, errlen, "hostfwd: cannot listen on %s %s: %s%s", f->udp ? "udp" : "tcp", where,
             strerror(e), e == EACCES ? " (this process has no privilege for low ports)" : "");
    return -e;
}

static int slirp_be_forward(void *opaque, const void *rule, bool add, char *err, size_t errlen)
{
    struct net_slirp *s = opaque;
    const struct net_hostfwd *f = rule;
    int flags = f->udp ? SLIRP_HOSTFWD_UDP : 0, r = 0;

    if (add)
        r = hostfwd_bind(s, f, err, errlen);
    else if (slirp_remove_hostxfwd(s->slirp, &f->host.sa, endpoint_size(&f->host.sa), flags) < 0)
        r = -ENOENT;
    if (r == -ENOENT)
        snprintf(err, errlen, "no such forward");
    stack_settle(s);
    return r;
}

static void stack_config(SlirpConfig *out, const struct net_config *cfg, const char **dnssearch)
{
    for (unsigned i = 0; i < cfg->n_dnssearch; i++)
        dnssearch[i] = cfg->dnssearch[i];
    *out = (SlirpConfig){
        .version = SLIRP_CONFIG_VERSION_MAX,
        .restricted = cfg->restricted,
        .in_enabled = cfg->ipv4,
        .vnetwork = cfg->net,
        .vnetmask = cfg->mask,
        .vhost = cfg->host,
        .in6_enabled = cfg->ipv6,
        .vprefix_addr6 = cfg->net6,
        .vprefix_len = cfg->prefix6,
        .vhost6 = cfg->host6,
        .vhostname = cfg->hostname[0] ? cfg->hostname : NULL,
        .bootfile = cfg->bootfile[0] ? cfg->bootfile : NULL,
        .vdhcp_start = cfg->dhcpstart,
        .vnameserver = cfg->dns,
        .vnameserver6 = cfg->dns6,
        .vdnssearch = cfg->n_dnssearch ? dnssearch : NULL,
        .vdomainname = cfg->domainname[0] ? cfg->domainname : NULL,
        .if_mtu = cfg->mtu,
        .if_mru = cfg->mtu,
    };
}

static int loop_join(struct net_slirp *s, struct ipc_loop *l)
{
    s->loop = l;
    int r = slirp_poll_init(&s->poll);
    if (!r)
        r = ipc_loop_add(l, s->poll.epfd, EPOLLIN, sockets_ready, s);
    if (!r)
        r = ipc_timer_init(&s->tick, l, tick_due, s);
    return r;
}

/* The calls libslirp makes at run time, found with strace over the tests:
 * #syscalls:net socket connect bind listen accept getsockname getpeername getsockopt setsockopt
 * #syscalls:net sendto recvfrom recvmsg shutdown ioctl fcntl close brk mmap munmap
 */
int net_slirp_open(struct net_backend *be, struct ipc_loop *l, const struct net_config *cfg,
                   const struct net_sink *sink, char *err, size_t errlen)
{
    struct net_slirp *s = &stack;
    const char *dnssearch[NET_DNSSEARCH_MAX + 1] = {NULL};
    SlirpConfig sc;

    s->sink = *sink;
    signal(SIGPIPE, SIG_IGN);
    g_log_set_default_handler(glib_log_cb, s);
    slirp_files_init(cfg);
    int r = loop_join(s, l);
    if (r) {
        snprintf(err, errlen, "user network: cannot join the loop: %s", strerror(-r));
        return r;
    }
    stack_config(&sc, cfg, dnssearch);
    s->slirp = slirp_new(&sc, &stack_callbacks, s);
    if (!s->slirp) {
        snprintf(err, errlen, "user network: the configuration was refused");
        return -EINVAL;
    }
    for (unsigned i = 0; i < cfg->n_fwd; i++) {
        r = hostfwd_bind(s, &cfg->fwd[i], err, errlen);
        if (r)
            return r;
    }
    *be = (struct net_backend){
        .opaque = s,
        .can = NET_CAN_SEGMENT,
        .input = slirp_be_input,
        .input_done = slirp_be_input_done,
        .hold = slirp_be_hold,
        .forward = slirp_be_forward,
        .info = slirp_be_info,
    };
    stack_turn(s, nothing_ready_cb);
    stack_settle(s);
    return 0;
}
