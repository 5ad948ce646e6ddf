/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaky buckets. Must never let a drive without limits pay for them.
 */
#include "block-proc/throttle.h"

#include <errno.h>
#include <string.h>

#define NS           1e9
#define BRIM_SECONDS 0.1 /* without a burst of its own, a bucket holds a tenth of a second */

static int check(const uint64_t *v, size_t n)
{
    if (n != THROTTLE_VALUES)
        return -EINVAL;
    for (unsigned kind = 0; kind < 12; kind += 6) {
        if (v[kind] && (v[kind + 1] || v[kind + 2]))
            return -EINVAL;
        if (v[kind + 3] && (v[kind + 4] || v[kind + 5]))
            return -EINVAL;
        for (unsigned i = 0; i < 3; i++)
            if (v[kind + 3 + i] && (v[kind + 3 + i] < v[kind + i] || !v[kind + i]))
                return -EINVAL;
    }
    return v[12] && !v[6] && !v[7] && !v[8] ? -EINVAL : 0;
}

int throttle_set(struct throttle *t, const uint64_t *v, size_t n)
{
    int r = check(v, n);
    if (r < 0)
        return r;
    memset(t, 0, sizeof(*t));
    for (unsigned i = 0; i < 6; i++) {
        unsigned at = i / 3 * 6 + i % 3;
        t->bucket[i].avg = (double)v[at];
        t->bucket[i].brim = v[at + 3] ? (double)v[at + 3] : (double)v[at] * BRIM_SECONDS;
        t->on = t->on || v[at];
    }
    t->size = v[12];
    return 0;
}

static void leak(struct throttle *t, uint64_t now_ns)
{
    double s = t->last_ns && now_ns > t->last_ns ? (double)(now_ns - t->last_ns) / NS : 0;
    t->last_ns = now_ns;
    for (unsigned i = 0; i < 6; i++) {
        double level = t->bucket[i].level - t->bucket[i].avg * s;
        t->bucket[i].level = level > 0 ? level : 0;
    }
}

/* Bucket i concerns requests of this direction. */
static bool concerns(const struct throttle *t, unsigned i, bool write)
{
    return t->bucket[i].avg > 0 && (i % 3 == 0 || (i % 3 == 2) == write);
}

uint64_t throttle_wait(struct throttle *t, bool write, uint64_t now_ns)
{
    double wait = 0;
    if (!t->on)
        return 0;
    leak(t, now_ns);
    for (unsigned i = 0; i < 6; i++) {
        double over = t->bucket[i].level - t->bucket[i].brim;
        if (concerns(t, i, write) && over > 0 && over / t->bucket[i].avg > wait)
            wait = over / t->bucket[i].avg;
    }
    return wait > 0 ? (uint64_t)(wait * NS) + 1 : 0;
}

void throttle_count(struct throttle *t, bool write, uint64_t bytes)
{
    uint64_t ops = t->size && bytes > t->size ? (bytes + t->size - 1) / t->size : 1;
    for (unsigned i = 0; t->on && i < 6; i++)
        if (concerns(t, i, write))
            t->bucket[i].level += i < 3 ? (double)bytes : (double)ops;
}
