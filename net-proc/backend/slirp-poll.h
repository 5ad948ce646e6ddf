/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libslirp's poll set, kept in an epoll instance: after each turn of the stack its wishes are
 * compared with what the kernel was told, and only differences cost a system call. Must never
 * call into the stack except through the functions given to it.
 */
#ifndef BULKHEAD_NET_PROC_BACKEND_SLIRP_POLL_H
#define BULKHEAD_NET_PROC_BACKEND_SLIRP_POLL_H

#include <stdbool.h>
#include <stdint.h>

#define SLIRP_FDS_MAX 4096 /* descriptor numbers above this are not polled */

struct slirp_poll {
    int epfd;
    uint32_t round;   /* of pollfds_fill */
    unsigned n_active; /* descriptors epoll knows */
    uint16_t active[SLIRP_FDS_MAX];
    struct {
        uint8_t told;   /* SLIRP_POLL_* epoll was asked for, 0 = not in epoll */
        uint8_t ready;  /* SLIRP_POLL_* seen since the last clear */
        uint16_t pos;   /* in active[] */
        uint32_t round; /* last one that wanted it */
    } fd[SLIRP_FDS_MAX];
};

int slirp_poll_init(struct slirp_poll *p); /* 0 or -errno */
/* The stack opened this number, or is about to close it: forget what epoll was told. */
void slirp_poll_forget(struct slirp_poll *p, int fd);
void slirp_poll_begin(struct slirp_poll *p);             /* before pollfds_fill */
int slirp_poll_want(struct slirp_poll *p, int fd, int events); /* in it; returns the index, -1 */
void slirp_poll_end(struct slirp_poll *p);               /* after it */
/* Collects what is ready now, without waiting; number of descriptors. */
int slirp_poll_collect(struct slirp_poll *p);
int slirp_poll_ready(const struct slirp_poll *p, int index); /* SLIRP_POLL_* of an index */
void slirp_poll_clear(struct slirp_poll *p);             /* after pollfds_poll */

#endif
