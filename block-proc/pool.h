/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O threads: carry out requests with synchronous system calls and hand them back. Started before
 * the system-call filter is on, ended with the process. Must never touch a queue's rings.
 */
#ifndef BULKHEAD_BLOCK_PROC_POOL_H
#define BULKHEAD_BLOCK_PROC_POOL_H

#include "block-proc/request.h"

#define POOL_THREADS 4

struct blk_pool {
    struct img *img;
    int done_fd; /* eventfd: readable when something was handed back */
    pthread_mutex_t lock;
    pthread_cond_t work, done_cond;
    unsigned running; /* threads that reached their loop */
    struct blk_req *todo_head, *todo_tail;
    struct blk_req *done_head, *done_tail;
    pthread_t thread[POOL_THREADS];
};

/* Returns when every thread is past what libc does at its start, which no filter allows. 0 or -errno. */
int blk_pool_start(struct blk_pool *p, struct img *img);
void blk_pool_submit(struct blk_pool *p, struct blk_req *req);
/* All requests handed back so far, oldest first, linked by next; NULL if none. wait: at least one. */
struct blk_req *blk_pool_collect(struct blk_pool *p, bool wait);

#endif
