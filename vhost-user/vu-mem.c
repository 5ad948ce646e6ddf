/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory table of a back end: maps regions, translates addresses, tells the code-page map what was
 * written. Must never hand out a pointer without a length check, nor map a file that is too short
 * (touching such a mapping would kill the process).
 */
#include "vhost-user/vu-mem.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>
#include "ipc/abi/disk-link.h"

#define PAGE 4096ull

static bool overlaps(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
    return a < b + blen && b < a + alen;
}

static int check_region(const struct vu_mem *m, uint64_t gpa, uint64_t size, uint64_t uva,
                        uint64_t mmap_off)
{
    uint64_t end;
    if (size == 0 || __builtin_add_overflow(gpa, size, &end) ||
        __builtin_add_overflow(uva, size, &end) || __builtin_add_overflow(mmap_off, size, &end) ||
        end > INT64_MAX)
        return -EINVAL;
    if (m->n == VU_REGIONS_MAX)
        return -ENOSPC;
    for (unsigned i = 0; i < m->n; i++)
        if (overlaps(gpa, size, m->r[i].gpa, m->r[i].size) ||
            overlaps(uva, size, m->r[i].uva, m->r[i].size))
            return -EEXIST;
    return 0;
}

static int map_region(struct vu_region *r, int fd)
{
    off_t have = lseek(fd, 0, SEEK_END);
    if (have < 0)
        return -errno;
    if ((uint64_t)have < r->mmap_off + r->size)
        return -EINVAL;
    uint64_t start = r->mmap_off & ~(PAGE - 1);
    r->map_len = r->mmap_off + r->size - start;
    r->map = mmap(NULL, r->map_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
                  (off_t)start);
    if (r->map == MAP_FAILED)
        return -errno;
    r->host = (uint8_t *)r->map + (r->mmap_off - start);
    return 0;
}

/* #syscalls:block lseek mmap munmap close
 * #syscalls:net lseek mmap munmap close
 * #syscalls:net-link lseek mmap munmap close */
int vu_mem_add(struct vu_mem *m, uint64_t gpa, uint64_t size, uint64_t uva, uint64_t mmap_off, int fd)
{
    struct vu_region r = {.gpa = gpa, .size = size, .uva = uva, .mmap_off = mmap_off};
    int err = check_region(m, gpa, size, uva, mmap_off);
    if (err == 0)
        err = map_region(&r, fd);
    if (err == 0)
        m->r[m->n++] = r;
    close(fd);
    return err;
}

int vu_mem_remove(struct vu_mem *m, uint64_t gpa, uint64_t size, uint64_t uva)
{
    for (unsigned i = 0; i < m->n; i++) {
        struct vu_region *r = &m->r[i];
        if (r->gpa != gpa || r->size != size || r->uva != uva)
            continue;
        munmap(r->map, r->map_len);
        *r = m->r[--m->n];
        return 0;
    }
    return -ENOENT;
}

void vu_mem_clear(struct vu_mem *m)
{
    while (m->n) {
        m->n--;
        munmap(m->r[m->n].map, m->r[m->n].map_len);
    }
}

void *vu_mem_gpa(const struct vu_mem *m, uint64_t gpa, uint64_t len, uint64_t *avail)
{
    for (unsigned i = 0; i < m->n; i++) {
        const struct vu_region *r = &m->r[i];
        uint64_t off = gpa - r->gpa; /* wraps to something huge below the region */
        if (off >= r->size)
            continue;
        if (avail)
            *avail = r->size - off;
        return len <= r->size - off ? r->host + off : NULL;
    }
    if (avail)
        *avail = 0;
    return NULL;
}

void *vu_mem_uva(const struct vu_mem *m, uint64_t uva, uint64_t len)
{
    for (unsigned i = 0; i < m->n; i++) {
        const struct vu_region *r = &m->r[i];
        uint64_t off = uva - r->uva;
        if (off < r->size)
            return len <= r->size - off ? r->host + off : NULL;
    }
    return NULL;
}

void vu_mem_written(const struct vu_mem *m, const void *p, size_t len)
{
    if (!m->codepage || !len)
        return;
    for (unsigned i = 0; i < m->n; i++) {
        const struct vu_region *r = &m->r[i];
        uint64_t off = (uint64_t)((const uint8_t *)p - r->host);
        if ((const uint8_t *)p < r->host || off >= r->size)
            continue;
        if (r->gpa >= ABI_LINK_GPA)
            return; /* between two processes, not the guest's */
        abi_codepage_dma_written(m->codepage, m->codepage_pages, r->mmap_off + off, len);
        return;
    }
}
