/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One back end for another under a running driver. The driver sees nothing: what it accepted is asked of the
 * successor before the predecessor stops. Must never leave the device without a back end that had one.
 */
#include "vhost-user/vu-frontend.h"

#include <unistd.h>

/* Rings stop where GET_VRING_BASE says; a predecessor that is dead, or does not answer, leaves that to the
 * recovery of vu_frontend_start. */
static void rings_hand_over(struct vu_frontend *from, struct vu_frontend *to)
{
    (void)vu_frontend_stop(from, false);
    for (unsigned i = 0; i < VU_FE_QUEUES_MAX; i++)
        to->q[i].base = from->q[i].base;
    to->recover = from->recover;
    to->started = false;
}

int vu_frontend_replace(struct vu_frontend *fe, int fd)
{
    struct vu_frontend next = *fe;
    bool running = fe->started;
    int r;

    next.fd = next.req_fd = -1; /* the old connection stays fe's */
    r = vu_frontend_connect(&next, fd);
    if (r)
        return r;
    if (running) {
        rings_hand_over(fe, &next);
        r = vu_frontend_start(&next);
    }
    if (r) {
        (void)vu_frontend_stop(&next, false);
        vu_frontend_disconnect(&next);
        if (fe->fd >= 0)
            (void)vu_frontend_start(fe);
        return r;
    }
    vu_frontend_disconnect(fe);
    *fe = next;
    return 0;
}
