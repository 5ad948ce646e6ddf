/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two lists under one lock and four threads between them. Allocates only at start.
 */
#include "block-proc/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "ipc/fds.h"

#define STACK_BYTES (256u << 10)

static void list_add(struct blk_req **head, struct blk_req **tail, struct blk_req *req)
{
    req->next = NULL;
    if (*head)
        (*tail)->next = req;
    else
        *head = req;
    *tail = req;
}

static struct blk_req *todo_take(struct blk_pool *p)
{
    pthread_mutex_lock(&p->lock);
    while (!p->todo_head)
        pthread_cond_wait(&p->work, &p->lock);
    struct blk_req *req = p->todo_head;
    p->todo_head = req->next;
    pthread_mutex_unlock(&p->lock);
    return req;
}

static void done_add(struct blk_pool *p, struct blk_req *req)
{
    pthread_mutex_lock(&p->lock);
    bool first = !p->done_head;
    list_add(&p->done_head, &p->done_tail, req);
    pthread_cond_signal(&p->done_cond);
    pthread_mutex_unlock(&p->lock);
    if (first)
        ipc_eventfd_signal(p->done_fd);
}

/* #syscalls:block futex write */
static void *thread_main(void *arg)
{
    struct blk_pool *p = arg;
    struct img_io io = {0};
    if (img_io_init(&io, p->img) < 0)
        abort();
    pthread_mutex_lock(&p->lock);
    p->running++;
    pthread_cond_signal(&p->done_cond);
    pthread_mutex_unlock(&p->lock);
    for (;;) {
        struct blk_req *req = todo_take(p);
        blk_req_run(req, p->img, &io);
        done_add(p, req);
    }
    return NULL;
}

int blk_pool_start(struct blk_pool *p, struct img *img)
{
    pthread_attr_t attr;
    int err = 0;
    memset(p, 0, sizeof(*p));
    p->img = img;
    p->done_fd = ipc_eventfd_create();
    if (p->done_fd < 0)
        return p->done_fd;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->done_cond, NULL);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    for (unsigned i = 0; i < POOL_THREADS && err == 0; i++)
        err = pthread_create(&p->thread[i], &attr, thread_main, p);
    pthread_attr_destroy(&attr);
    pthread_mutex_lock(&p->lock);
    while (err == 0 && p->running < POOL_THREADS)
        pthread_cond_wait(&p->done_cond, &p->lock);
    pthread_mutex_unlock(&p->lock);
    return -err;
}

void blk_pool_submit(struct blk_pool *p, struct blk_req *req)
{
    pthread_mutex_lock(&p->lock);
    list_add(&p->todo_head, &p->todo_tail, req);
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
}

struct blk_req *blk_pool_collect(struct blk_pool *p, bool wait)
{
    pthread_mutex_lock(&p->lock);
    while (wait && !p->done_head)
        pthread_cond_wait(&p->done_cond, &p->lock);
    struct blk_req *list = p->done_head;
    p->done_head = p->done_tail = NULL;
    pthread_mutex_unlock(&p->lock);
    return list;
}
