/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table behind libslirp's poll set; an index is the descriptor's number. Must never keep a
 * descriptor in epoll that the stack did not ask for in its last round: a hang-up it does not look
 * at would wake the process for ever.
 */
#include "net-proc/backend/slirp-poll.h"

#include <errno.h>
#include <slirp/libslirp.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#define POLL_BATCH 64

static const struct {
    uint8_t slirp;
    uint32_t epoll;
} poll_bits[] = {
    {SLIRP_POLL_IN, EPOLLIN},   {SLIRP_POLL_OUT, EPOLLOUT}, {SLIRP_POLL_PRI, EPOLLPRI},
    {SLIRP_POLL_ERR, EPOLLERR}, {SLIRP_POLL_HUP, EPOLLHUP},
};
#define POLL_BITS (sizeof poll_bits / sizeof poll_bits[0])

static uint32_t bits_to_epoll(int events)
{
    uint32_t r = 0;
    for (unsigned i = 0; i < POLL_BITS; i++)
        if (events & poll_bits[i].slirp)
            r |= poll_bits[i].epoll;
    return r;
}

static uint8_t bits_from_epoll(uint32_t events)
{
    uint8_t r = 0;
    for (unsigned i = 0; i < POLL_BITS; i++)
        if (events & poll_bits[i].epoll)
            r |= poll_bits[i].slirp;
    return r;
}

int slirp_poll_init(struct slirp_poll *p)
{
    memset(p, 0, sizeof *p);
    p->epfd = epoll_create1(EPOLL_CLOEXEC);
    return p->epfd < 0 ? -errno : 0;
}

static void entry_remove(struct slirp_poll *p, int fd)
{
    uint16_t pos = p->fd[fd].pos, last = p->active[--p->n_active];

    p->active[pos] = last;
    p->fd[last].pos = pos;
    p->fd[fd].told = 0;
    p->fd[fd].ready = 0;
}

/* #syscalls:net epoll_ctl */
void slirp_poll_forget(struct slirp_poll *p, int fd)
{
    if (fd < 0 || fd >= SLIRP_FDS_MAX || !p->fd[fd].told)
        return;
    (void)epoll_ctl(p->epfd, EPOLL_CTL_DEL, fd, NULL);
    entry_remove(p, fd);
}

void slirp_poll_begin(struct slirp_poll *p)
{
    p->round++;
}

int slirp_poll_want(struct slirp_poll *p, int fd, int events)
{
    if (fd < 0 || fd >= SLIRP_FDS_MAX || !events)
        return -1;
    struct epoll_event ev = {.events = bits_to_epoll(events), .data.fd = fd};
    bool known = p->fd[fd].told != 0;

    p->fd[fd].round = p->round;
    if (p->fd[fd].told == (uint8_t)events)
        return fd;
    if (epoll_ctl(p->epfd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) < 0) {
        /* Closed and opened again behind our back, or known to the kernel but not to us. */
        int op = errno == ENOENT ? EPOLL_CTL_ADD : errno == EEXIST ? EPOLL_CTL_MOD : 0;
        if (!op || epoll_ctl(p->epfd, op, fd, &ev) < 0)
            return -1;
    }
    p->fd[fd].told = (uint8_t)events;
    if (!known) {
        p->fd[fd].pos = (uint16_t)p->n_active;
        p->active[p->n_active++] = (uint16_t)fd;
    }
    return fd;
}

void slirp_poll_end(struct slirp_poll *p)
{
    for (unsigned i = p->n_active; i-- > 0;)
        if (p->fd[p->active[i]].round != p->round)
            slirp_poll_forget(p, p->active[i]);
}

/* #syscalls:net epoll_pwait2 */
int slirp_poll_collect(struct slirp_poll *p)
{
    struct epoll_event ev[POLL_BATCH];
    static const struct timespec no_wait;
    int n = epoll_pwait2(p->epfd, ev, POLL_BATCH, &no_wait, NULL);

    for (int i = 0; i < n; i++)
        p->fd[ev[i].data.fd].ready = bits_from_epoll(ev[i].events);
    return n < 0 ? 0 : n;
}

int slirp_poll_ready(const struct slirp_poll *p, int index)
{
    return index < 0 || index >= SLIRP_FDS_MAX ? 0 : p->fd[index].ready;
}

void slirp_poll_clear(struct slirp_poll *p)
{
    for (unsigned i = 0; i < p->n_active; i++)
        p->fd[p->active[i]].ready = 0;
}
