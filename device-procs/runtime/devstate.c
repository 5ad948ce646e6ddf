/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A/B copies with a commit word. The word is stored after the copy; a killed process's stores are in
 * memory in program order, so a plain release store is enough. Must never write the copy that counts.
 */
#include "device-procs/runtime/devstate.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEVSTATE_MAGIC 0x31535644u /* "DVS1" */

_Static_assert(sizeof(struct devstate_shm) <= 65536, "fits the state memfd");

int devstate_init(struct devstate *d, int fd, uint32_t kind, uint32_t version, void *state, size_t size,
                  bool *fresh)
{
    off_t len = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    struct devstate_shm *s;

    if (len < (off_t)sizeof(*s) || size > DEVSTATE_ROOM)
        return -EINVAL;
    s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (s == MAP_FAILED)
        return -errno;
    *d = (struct devstate){.shm = s, .state = state, .size = size};
    d->seq = __atomic_load_n(&s->seq, __ATOMIC_ACQUIRE);
    *fresh = !d->seq || s->magic != DEVSTATE_MAGIC || s->version != version || s->kind != kind ||
             s->size != size;
    if (!*fresh) {
        memcpy(state, s->copy[d->seq & 1], size);
        return 0;
    }
    s->magic = DEVSTATE_MAGIC;
    s->version = version;
    s->kind = kind;
    s->size = (uint32_t)size;
    return 0;
}

void devstate_commit(struct devstate *d)
{
    uint32_t next = d->seq + 1 ? d->seq + 1 : 2;

    memcpy(d->shm->copy[next & 1], d->state, d->size);
    __atomic_store_n(&d->shm->seq, next, __ATOMIC_RELEASE);
    d->seq = next;
}
