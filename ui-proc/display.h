/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Display memory as ui-proc sees it: mapped read-only, written by a guest at any moment. Owns the mapping
 * and the copy of the registers; must never use a number from it twice.
 */
#ifndef BULKHEAD_UI_PROC_DISPLAY_H
#define BULKHEAD_UI_PROC_DISPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include "ipc/abi/display.h"

struct display {
    const struct abi_display *shared; /* NULL: the machine has no graphics card */
    uint32_t vram_size;
};

int display_map(struct display *d, int fd); /* 0, or -errno after logging why; takes the descriptor */
/* A copy of the registers that was not torn; false: they are being changed, keep the last picture. */
bool display_registers(const struct display *d, struct abi_vga *out);

/* May the bytes [off, off + len) of display memory have changed since sweep `since` was over? */
bool display_written(const struct display *d, uint32_t since, uint64_t off, uint64_t len);
static inline uint32_t display_swept(const struct display *d)
{
    return __atomic_load_n(&d->shared->swept, __ATOMIC_SEQ_CST);
}

static inline const uint8_t *display_vram(const struct display *d)
{
    return (const uint8_t *)d->shared + ABI_DISPLAY_VRAM;
}
static inline const uint8_t *display_text(const struct display *d)
{
    return (const uint8_t *)d->shared + ABI_DISPLAY_TEXT;
}

#endif
