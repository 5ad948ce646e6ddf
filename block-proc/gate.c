/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two lists: delayed and parked. Must never reorder requests that wait for a rate limit.
 */
#include "block-proc/gate.h"

#include <errno.h>

static void list_put(struct gate_list *l, struct blk_req *req)
{
    req->next = NULL;
    if (l->head)
        l->tail->next = req;
    else
        l->head = req;
    l->tail = req;
}

static struct blk_req *list_take(struct gate_list *l)
{
    struct blk_req *req = l->head;
    if (req)
        l->head = req->next;
    return req;
}

static bool writes(const struct blk_req *req)
{
    return req->type != VBLK_IN;
}

static void release(struct blk_gate *g, struct blk_req *req)
{
    throttle_count(&g->throttle, writes(req), req->len);
    blk_pool_submit(g->pool, req);
}

static void on_time(void *opaque)
{
    struct blk_gate *g = opaque;
    while (g->delayed.head) {
        uint64_t now = ipc_now_ns(), wait = throttle_wait(&g->throttle, writes(g->delayed.head), now);
        if (wait) {
            ipc_timer_set(&g->timer, now + wait);
            return;
        }
        release(g, list_take(&g->delayed));
    }
}

int gate_init(struct blk_gate *g, struct ipc_loop *loop, struct blk_pool *pool)
{
    g->pool = pool;
    return ipc_timer_init(&g->timer, loop, on_time, g);
}

void gate_submit(struct blk_gate *g, struct blk_req *req)
{
    if (!g->throttle.on || req->type == VBLK_FLUSH) {
        blk_pool_submit(g->pool, req);
        return;
    }
    list_put(&g->delayed, req);
    if (g->delayed.head == req)
        on_time(g);
}

enum gate_policy gate_failed(struct blk_gate *g, struct blk_req *req)
{
    enum gate_policy p = writes(req) ? g->werror : g->rerror;
    if (p == GATE_ENOSPC)
        p = req->err == -ENOSPC ? GATE_STOP : GATE_REPORT;
    if (p == GATE_STOP)
        list_put(&g->parked, req);
    return p;
}

void gate_retry(struct blk_gate *g)
{
    for (struct blk_req *req; (req = list_take(&g->parked));) {
        req->err = 0;
        blk_pool_submit(g->pool, req);
    }
}

int gate_limit(struct blk_gate *g, const uint64_t *v, size_t n)
{
    int r = throttle_set(&g->throttle, v, n);
    if (r == 0)
        on_time(g);
    return r;
}

struct blk_req *gate_drain(struct blk_gate *g, const struct vq *vq)
{
    struct gate_list others = {0};
    struct blk_req *mine = NULL;
    for (struct blk_req *req; (req = list_take(&g->delayed));)
        release(g, req);
    for (struct blk_req *req; (req = list_take(&g->parked));) {
        if (!mine && req->vq == vq)
            mine = req;
        else
            list_put(&others, req);
    }
    g->parked = others;
    return mine;
}
