/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks of written pages: a stamp for each page, and the number of the current sweep. Owns stamps, sweep and
 * swept in display memory; must never wait for a vCPU.
 */
#include "cpu-worker/vga/vga-internal.h"

static uint32_t *stamps(const struct vga *v)
{
    return (uint32_t *)((uint8_t *)v->d + ABI_DISPLAY_STAMPS);
}

void vga_page_stamp(struct vga *v, uint64_t off)
{
    if (v && off < v->d_size)
        __atomic_store_n(&stamps(v)[off >> 12], vga_sweep_now(v), __ATOMIC_SEQ_CST);
}

void vga_stamp_all(struct vga *v)
{
    for (uint64_t off = ABI_DISPLAY_TEXT; off < v->d_size; off += 4096)
        vga_page_stamp(v, off);
}

uint32_t vga_sweep_now(const struct vga *v)
{
    return __atomic_load_n(&v->d->sweep, __ATOMIC_SEQ_CST);
}

void vga_sweep_next(struct vga *v)
{
    __atomic_fetch_add(&v->d->sweep, 1, __ATOMIC_SEQ_CST);
}

void vga_swept_set(struct vga *v, uint32_t sweep)
{
    uint32_t old = __atomic_load_n(&v->d->swept, __ATOMIC_SEQ_CST);
    while ((int32_t)(sweep - old) > 0 &&
           !__atomic_compare_exchange_n(&v->d->swept, &old, sweep, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    }
}
