/* SPDX-License-Identifier: Apache-2.0 */
/* See xl-engine.h. */
#include "tests/lib/xl-engine.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "cpu-worker/run/xl.h"
#include "vmm/translator/process/serve.h"

static uint64_t size = 16u << 20;
static struct xl_memory memory;
static struct serve serve;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void bell(void *opaque)
{
    (void)opaque;
    pthread_mutex_lock(&lock);
    while (serve_some(&serve, 64) == 64)
        ;
    pthread_mutex_unlock(&lock);
}
static void setup(const struct cpu *c)
{
    char path[40];
    int fd = memfd_create("cache", MFD_CLOEXEC), rings = memfd_create("rings", MFD_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (ftruncate(fd, (off_t)size) < 0 || ftruncate(rings, (off_t)xl_rings_size(XL_VCPU_MAX)) < 0)
        exit(1);
    int ro = open(path, O_RDONLY | O_CLOEXEC);
    void *rw = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ro < 0 || rw == MAP_FAILED || xl_memory_map(&memory, ro, size, rings, XL_VCPU_MAX) ||
        cache_attach(&serve.cache, rw, size, memory.ring, XL_VCPU_MAX))
        exit(1);
    serve.feat = c->feat;
    serve.vendor = c->vendor;
    serve.cache.head->asleep = 1; /* each request calls bell */
    memory.bell = bell;
    memory.heat_ask = atoi(getenv("BULKHEAD_TIER")) == 1 ? 1 : 3;
    close(fd);
    close(rings);
}
void xl_engine_attach(struct cpu *c)
{
    const char *tier = getenv("BULKHEAD_TIER");
    if (!tier || atoi(tier) < 1)
        return;
    if (!memory.cache)
        setup(c);
    int err = xl_attach(c, &memory);
    if (err)
        printf("# translations: not on this host (%d)\n", err);
}
uint64_t xl_engine_made(void)
{
    return memory.cache ? serve.cache.head->n.made : 0;
}
const struct xl_counts *xl_engine_counts(void)
{
    return memory.cache ? &serve.cache.head->n : NULL;
}
uint64_t xl_engine_traps(const struct cpu *c)
{
    return c->xl->ring->n[XL_N_TRAP];
}
void xl_engine_size(uint64_t bytes)
{
    size = bytes;
}
