/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code-page map: which guest pages hold decoded or translated code, and which of those a device
 * has written by DMA since. One memfd per VM, mapped by the cpu-worker and by every process that
 * writes guest memory. Owns the layout and the two-sided ordering rule; nothing else.
 *
 * Ordering (store-buffer pattern). Engine: set HAS_CODE, full fence, read the bytes. Device: write
 * the bytes, full fence, test HAS_CODE; if set, set DIRTY and increment seq, and only then publish
 * the completion (used index). So either the device sees the bit or the engine saw the new bytes;
 * and a guest that sees the completion also sees seq (x86 keeps both stores and both loads in
 * order). The engine compares seq at every block boundary.
 */
#ifndef BULKHEAD_IPC_ABI_CODEPAGE_H
#define BULKHEAD_IPC_ABI_CODEPAGE_H

#include <stdint.h>
#include <stddef.h>

#define ABI_CODEPAGE_HAS_CODE 0x1u
#define ABI_CODEPAGE_DIRTY    0x2u
#define ABI_CODEPAGE_HDR      4096u

struct abi_codepage {
    uint32_t seq;   /* atomic; incremented after DIRTY was set somewhere */
    uint32_t pad;
    uint64_t pages; /* number of bytes in map = RAM bytes / 4096, RAM in memfd-offset order */
    uint8_t hdr[ABI_CODEPAGE_HDR - 16];
    uint8_t map[];  /* index = page number in the RAM memfd (not GPA) */
};

static inline size_t abi_codepage_size(uint64_t ram_bytes)
{
    return ABI_CODEPAGE_HDR + ((ram_bytes / 4096 + 4095) & ~(size_t)4095);
}

/* Device side. [off, off+len) in the RAM memfd was just written. `pages` is the caller's own copy of
 * the page count: the one in shared memory is not trusted. */
static inline void abi_codepage_dma_written(struct abi_codepage *cp, uint64_t pages, uint64_t off,
                                            uint64_t len)
{
    if (!cp || !len)
        return;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    int hit = 0;
    for (uint64_t p = off / 4096; p <= (off + len - 1) / 4096 && p < pages; p++) {
        if (__atomic_load_n(&cp->map[p], __ATOMIC_RELAXED) & ABI_CODEPAGE_HAS_CODE) {
            __atomic_fetch_or(&cp->map[p], ABI_CODEPAGE_DIRTY, __ATOMIC_RELAXED);
            hit = 1;
        }
    }
    if (hit)
        __atomic_fetch_add(&cp->seq, 1, __ATOMIC_SEQ_CST);
}

#endif
