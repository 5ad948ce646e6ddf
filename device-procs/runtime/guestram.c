/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory for DMA: one mapping, every access checked against it. Must never keep a pointer into
 * it beyond one copy.
 */
#include "device-procs/runtime/guestram.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void *map_whole(int fd, uint64_t min, uint64_t *len)
{
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    void *p;

    if (size < 0 || (uint64_t)size < min)
        return NULL;
    p = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    *len = (uint64_t)size;
    return p == MAP_FAILED ? NULL : p;
}

int guestram_init(struct guestram *g, int ram_fd, uint64_t low, uint64_t high, int codepage_fd)
{
    uint64_t len = 0;

    if (low > GUESTRAM_HIGH || low + high < low)
        return -EINVAL;
    g->base = map_whole(ram_fd, low + high, &len);
    if (!g->base)
        return -EINVAL;
    g->low = low;
    g->high = high;
    g->cp = map_whole(codepage_fd, ABI_CODEPAGE_HDR, &len);
    if (!g->cp)
        return -EINVAL;
    g->cp_pages = len - ABI_CODEPAGE_HDR;
    return 0;
}

static uint8_t *host_of(const struct guestram *g, uint64_t gpa, uint64_t len)
{
    uint64_t off = gpa - GUESTRAM_HIGH;

    if (gpa < g->low)
        return len <= g->low - gpa ? g->base + gpa : NULL;
    if (gpa >= GUESTRAM_HIGH && off < g->high && len <= g->high - off)
        return g->base + g->low + off;
    return NULL;
}

bool guestram_has(const struct guestram *g, uint64_t gpa, uint64_t len)
{
    return host_of(g, gpa, len);
}

bool guestram_read(const struct guestram *g, uint64_t gpa, void *buf, size_t len)
{
    const uint8_t *p = host_of(g, gpa, len);

    if (p)
        memcpy(buf, p, len);
    else
        memset(buf, 0, len);
    __asm__ volatile("" ::: "memory"); /* the copy is believed, not the guest's memory */
    return p;
}

bool guestram_write(const struct guestram *g, uint64_t gpa, const void *buf, size_t len)
{
    uint8_t *p = host_of(g, gpa, len);

    if (!p)
        return false;
    memcpy(p, buf, len);
    abi_codepage_dma_written(g->cp, g->cp_pages, (uint64_t)(p - g->base), len);
    return true;
}
