/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device must remember, in the state memfd the vmm owns: two copies and a commit word. The device
 * works on a private copy and commits it as a whole, so a death at any instruction leaves the state
 * before or after one step, never between. Owns the layout; knows no device.
 */
#ifndef BULKHEAD_DEVICE_PROCS_RUNTIME_DEVSTATE_H
#define BULKHEAD_DEVICE_PROCS_RUNTIME_DEVSTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEVSTATE_ROOM 28672u /* bytes of one copy */

struct devstate_shm {
    uint32_t magic, version, kind, size;
    uint32_t seq; /* 0 = nothing committed; copy seq & 1 counts */
    uint8_t pad[4076];
    uint8_t copy[2][DEVSTATE_ROOM];
};
struct devstate {
    struct devstate_shm *shm;
    void *state; /* the private copy */
    size_t size;
    uint32_t seq;
};

/* Maps fd (kept by the caller). *fresh: no predecessor's state of this kind, version and size is there;
 * *state was not touched. Else it holds what was committed last: hostile input. 0 or -errno. */
int devstate_init(struct devstate *d, int fd, uint32_t kind, uint32_t version, void *state, size_t size,
                  bool *fresh);
void devstate_commit(struct devstate *d);

#endif
