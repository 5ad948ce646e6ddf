/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where requests wait between the queue and the I/O threads: for a rate limit, or, after an error with the policy "stop", for
 * the user. They stay marked in the inflight journal: a successor takes them up again. Loop thread only.
 */
#ifndef BULKHEAD_BLOCK_PROC_GATE_H
#define BULKHEAD_BLOCK_PROC_GATE_H

#include "block-proc/pool.h"
#include "block-proc/throttle.h"
#include "ipc/loop.h"

enum gate_policy { GATE_REPORT, GATE_IGNORE, GATE_STOP, GATE_ENOSPC };

struct gate_list {
    struct blk_req *head, *tail;
};

struct blk_gate {
    struct throttle throttle;
    struct gate_list delayed, parked;
    struct ipc_timer timer;
    struct blk_pool *pool;
    enum gate_policy werror, rerror;
};

int gate_init(struct blk_gate *g, struct ipc_loop *loop, struct blk_pool *pool);
/* To the I/O threads, now or when its time has come. */
void gate_submit(struct blk_gate *g, struct blk_req *req);
/* What is to be done about req->err. GATE_STOP: it was parked. */
enum gate_policy gate_failed(struct blk_gate *g, struct blk_req *req);
/* cont: what was parked is tried again. */
void gate_retry(struct blk_gate *g);
/* New limits: what is delayed is looked at again. 0 or -EINVAL. */
int gate_limit(struct blk_gate *g, const uint64_t *v, size_t n);
/* The queue is being stopped: delayed requests go at once; NULL or a parked one of it, to be completed with its error. */
struct blk_req *gate_drain(struct blk_gate *g, const struct vq *vq);

#endif
