/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory as a vhost-user back end sees it: the regions of SET_MEM_TABLE / ADD_MEM_REG, mapped
 * here, with translation from guest physical and front-end addresses. Never trusts an address.
 */
#ifndef BULKHEAD_VHOST_USER_VU_MEM_H
#define BULKHEAD_VHOST_USER_VU_MEM_H

#include <stdint.h>
#include <stddef.h>
#include "ipc/abi/codepage.h"

#define VU_REGIONS_MAX 8
struct vu_region {
    uint64_t gpa, size, uva, mmap_off;
    uint8_t *host; /* address of byte gpa */
    void *map;
    size_t map_len;
};
struct vu_mem {
    unsigned n;
    struct vu_region r[VU_REGIONS_MAX];
    struct abi_codepage *codepage; /* NULL: front end keeps no code map (foreign front ends) */
    uint64_t codepage_pages;
};
/* Takes ownership of fd (closes it). 0 or -errno; overlaps in gpa or uva are refused. */
int vu_mem_add(struct vu_mem *m, uint64_t gpa, uint64_t size, uint64_t uva, uint64_t mmap_off, int fd);
int vu_mem_remove(struct vu_mem *m, uint64_t gpa, uint64_t size, uint64_t uva);
void vu_mem_clear(struct vu_mem *m);
/* Host address of [gpa, gpa+len) if it lies in one region, else NULL. *avail (optional): bytes from
 * gpa to the end of the region, also when len is 0. */
void *vu_mem_gpa(const struct vu_mem *m, uint64_t gpa, uint64_t len, uint64_t *avail);
void *vu_mem_uva(const struct vu_mem *m, uint64_t uva, uint64_t len);
/* The bytes at host address p were written by this process: code-page coherence (ipc/abi/codepage.h). */
void vu_mem_written(const struct vu_mem *m, const void *p, size_t len);

#endif
