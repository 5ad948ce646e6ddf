/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mapping of the display memory, and the reader's side of its seqlock. Never writes to it.
 */
#include "ui-proc/display.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/log.h"

#define SEQ_TRIES 64

int display_map(struct display *d, int fd)
{
    struct stat st;
    void *p;

    if (fstat(fd, &st) < 0 || st.st_size < (off_t)(ABI_DISPLAY_VRAM + 0x40000) ||
        st.st_size > (off_t)(ABI_DISPLAY_VRAM + ABI_DISPLAY_VRAM_MAX)) {
        log_error("display memory: the descriptor has a wrong size");
        return -EINVAL;
    }
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (p == MAP_FAILED) {
        log_error("display memory: mmap: %s", strerror(errno));
        return -errno;
    }
    d->shared = p;
    d->vram_size = (uint32_t)st.st_size - ABI_DISPLAY_VRAM;
    if (d->shared->magic != ABI_DISPLAY_MAGIC || d->shared->version != ABI_DISPLAY_VERSION) {
        log_error("display memory: not one of this version");
        return -EPROTO;
    }
    return 0;
}

bool display_registers(const struct display *d, struct abi_vga *out)
{
    for (unsigned i = 0; i < SEQ_TRIES; i++) {
        uint32_t seq = __atomic_load_n(&d->shared->seq, __ATOMIC_ACQUIRE);

        memcpy(out, &d->shared->vga, sizeof(*out));
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (!(seq & 1) && __atomic_load_n(&d->shared->seq, __ATOMIC_RELAXED) == seq) {
            return true;
        }
    }
    return false;
}

bool display_written(const struct display *d, uint32_t since, uint64_t off, uint64_t len)
{
    const uint32_t *stamp = (const uint32_t *)((const uint8_t *)d->shared + ABI_DISPLAY_STAMPS);
    uint64_t end = ABI_DISPLAY_VRAM + (uint64_t)d->vram_size;

    if (off >= end || !len) {
        return false;
    }
    len = len < end - off ? len : end - off;
    for (uint64_t p = off >> 12; p <= (off + len - 1) >> 12; p++) {
        if ((int32_t)(__atomic_load_n(&stamp[p], __ATOMIC_SEQ_CST) - since) >= 0) {
            return true;
        }
    }
    return false;
}
