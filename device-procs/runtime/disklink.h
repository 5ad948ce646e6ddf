/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A controller's end of a disk link (ipc/abi/disk-link.h): prepares virtio-blk requests, hands them
 * to the block process, collects their completions. The block process is a peer that may lie: its
 * used ring is checked. What a dead incarnation of this process had in flight is waited for first
 * (draining), so that nothing of it can land after a successor's request. Allocates nothing.
 */
#ifndef BULKHEAD_DEVICE_PROCS_RUNTIME_DISKLINK_H
#define BULKHEAD_DEVICE_PROCS_RUNTIME_DISKLINK_H

#include <stdbool.h>
#include <stdint.h>
#include "ipc/abi/disk-link.h"

#define DL_SECTOR     512u
#define DL_BUFFER_GPA (ABI_LINK_GPA + __builtin_offsetof(struct abi_disk_link, buffer))

enum dl_op { DL_READ = 0, DL_WRITE = 1, DL_FLUSH = 4, DL_DISCARD = 11, DL_ZERO = 13 };
struct dl_seg {
    uint64_t gpa; /* guest memory, checked by the caller, or DL_BUFFER_GPA + n */
    uint32_t len;
};
struct disklink {
    struct abi_disk_link *shm;
    int kick, call;
    void *opaque;
    /* Request `cookie` is over. */
    void (*done)(void *opaque, uint32_t cookie, bool ok);
    unsigned draining; /* requests of an earlier incarnation that are still out */
    bool failed;       /* nobody will answer any more */
    uint16_t avail_idx, used_idx;
    unsigned n_free, n_ready, n_out;
    uint8_t free[ABI_LINK_TAGS], ready[ABI_LINK_TAGS]; /* ready: to be handed over by flush */
    struct {
        bool out, forgotten;
        uint32_t cookie;
    } tag[ABI_LINK_TAGS];
};

/* Maps the link and looks what an earlier incarnation left. 0 or -errno. */
int disklink_init(struct disklink *l, int fd, int kick, int call,
                  void (*done)(void *opaque, uint32_t cookie, bool ok), void *opaque);
unsigned disklink_room(const struct disklink *l); /* requests that can be prepared now */
/* Prepares a request; it leaves with disklink_flush. DISCARD and ZERO take no segments but n_sectors.
 * false: no tag is free, the link has failed, or there are too many segments. */
bool disklink_prepare(struct disklink *l, enum dl_op op, uint64_t sector, uint32_t n_sectors,
                      const struct dl_seg *seg, unsigned nseg, uint32_t cookie);
/* Hands over what was prepared. To be called after the state that knows of it was committed. */
void disklink_flush(struct disklink *l);
/* The call eventfd rang: completions, through done(). */
void disklink_poll(struct disklink *l);
/* Their completions shall go nowhere (the device was reset). */
void disklink_forget(struct disklink *l);
/* The same for one request. */
void disklink_forget_one(struct disklink *l, uint32_t cookie);
/* The vmm gave the block process up: everything that is out ends with an error. */
void disklink_fail(struct disklink *l);
/* A given-up block process is back. No effect on a link that works. */
void disklink_revive(struct disklink *l);
bool disklink_idle(const struct disklink *l); /* nothing out, nothing to drain */
static inline uint8_t *disklink_buffer(const struct disklink *l)
{
    return l->shm->buffer;
}

#endif
