/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The drive's options. The vmm has checked them for the user; here they are checked because a message may be wrong.
 */
#include "block-proc/options.h"

#include <errno.h>
#include <string.h>
#include "vhost-user/vu-backend.h"

static int one_of(const char *what, const char *s, const char *const *names, unsigned n, unsigned *out)
{
    for (unsigned i = 0; s && i < n; i++)
        if (!strcmp(s, names[i])) {
            *out = i;
            return 0;
        }
    if (!s)
        return 0;
    log_error("unknown %s %s", what, s);
    return -EINVAL;
}

static int names_read(const Ctl__BlockConfig *c, struct blk_options *o)
{
    static const char *const caches[] = {"writeback", "writethrough", "none", "directsync", "unsafe"};
    static const char *const policies[] = {"report", "ignore", "stop", "enospc"}; /* enum gate_policy */
    static const char *const zeroes[] = {"off", "on", "unmap"};
    unsigned cache = BLK_WRITEBACK, werror = GATE_REPORT, rerror = GATE_REPORT, detect = DETECT_OFF;
    if (one_of("cache mode", c->cache, caches, 5, &cache) || one_of("error policy", c->werror, policies, 4, &werror) ||
        one_of("error policy", c->rerror, policies, 4, &rerror) || one_of("detect-zeroes", c->detect_zeroes, zeroes, 3, &detect))
        return -EINVAL;
    o->cache = (enum blk_cache)cache;
    o->werror = (enum gate_policy)werror;
    o->rerror = (enum gate_policy)rerror;
    o->detect = (enum blk_detect)detect;
    return 0;
}

static bool block_size_ok(uint32_t v)
{
    return v >= VBLK_SECTOR && v <= 32768 && !(v & (v - 1));
}

static int sizes_read(const Ctl__BlockConfig *c, struct blk_options *o)
{
    o->logical = c->has_logical_block ? c->logical_block : VBLK_SECTOR;
    o->physical = c->has_physical_block ? c->physical_block : 0;
    if (block_size_ok(o->logical) && (!o->physical || (block_size_ok(o->physical) && o->physical >= o->logical)))
        return 0;
    log_error("block sizes are powers of two from 512 to 32768, the physical one not below the logical one");
    return -EINVAL;
}

int blk_options_read(const Ctl__BlockConfig *c, struct blk_options *o)
{
    memset(o, 0, sizeof(*o));
    o->readonly = c->has_readonly && c->readonly;
    o->discard = c->has_discard && c->discard;
    o->snapshot = c->has_snapshot && c->snapshot;
    o->copy_on_read = c->has_copy_on_read && c->copy_on_read;
    o->queues = c->has_queues && c->queues ? c->queues : 1;
    if (o->queues > VU_QUEUES_MAX) {
        log_error("%u queues wanted, at most %u are possible", o->queues, VU_QUEUES_MAX);
        return -EINVAL;
    }
    if (c->serial)
        memcpy(o->serial, c->serial, strnlen(c->serial, VBLK_ID_BYTES));
    o->n_throttle = c->n_throttle;
    if (o->n_throttle && o->n_throttle != THROTTLE_VALUES) {
        log_error("%zu rate limits, not %d", c->n_throttle, THROTTLE_VALUES);
        return -EINVAL;
    }
    for (size_t i = 0; i < o->n_throttle; i++)
        o->throttle[i] = c->throttle[i];
    return names_read(c, o) < 0 ? -EINVAL : sizes_read(c, o);
}
