/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Display memory: one memfd per graphics card, owned by the vmm, with the card's registers, the marks of
 * written pages and the video memory. The cpu-worker maps it read-write, ui-proc read-only. Owns the
 * layout only; must never hold code that takes a decision.
 *
 * The video memory is one array of 32-bit words: byte p of word n is plane p at address n. Chained and
 * linear modes see the same bytes one after another. While the guest uses text memory as plain memory,
 * planes 0 and 1 live in the text area (even bytes: plane 0, odd bytes: plane 1) and `text_apart` is set.
 *
 * Written pages: a page's stamp is the sweep number under which a store to it was last seen beginning. A
 * page may have changed since sweep n when stamp >= n; `swept` names the last sweep after which no vCPU
 * holds a fast path from before it (docs/decisions/0008-display-memory.md).
 */
#ifndef BULKHEAD_IPC_ABI_DISPLAY_H
#define BULKHEAD_IPC_ABI_DISPLAY_H

#include <stdint.h>

#define ABI_DISPLAY_MAGIC   0x31504442u /* "BDP1" */
#define ABI_DISPLAY_VERSION 1u

#define ABI_DISPLAY_STAMPS   0x10000u /* uint32_t per page of the memfd */
#define ABI_DISPLAY_TEXT     0x30000u /* 128 KiB */
#define ABI_DISPLAY_TEXT_LEN 0x20000u
#define ABI_DISPLAY_VRAM     0x80000u
#define ABI_DISPLAY_VRAM_MAX (64u << 20)

enum { ABI_VBE_ID, ABI_VBE_XRES, ABI_VBE_YRES, ABI_VBE_BPP, ABI_VBE_ENABLE, ABI_VBE_BANK,
       ABI_VBE_VIRT_WIDTH, ABI_VBE_VIRT_HEIGHT, ABI_VBE_X_OFFSET, ABI_VBE_Y_OFFSET, ABI_VBE_MEM_64K,
       ABI_VBE_COUNT };
#define ABI_VBE_ENABLED  0x01u
#define ABI_VBE_GETCAPS  0x02u
#define ABI_VBE_8BIT_DAC 0x20u
#define ABI_VBE_LFB      0x40u
#define ABI_VBE_NOCLEAR  0x80u
#define ABI_VBE_X_MAX    16384u
#define ABI_VBE_Y_MAX    12000u

struct abi_vga { /* registers as the guest wrote them */
    uint8_t misc, feature, seq_index, gc_index, crtc_index, attr_index, attr_data_next, dac_state;
    uint8_t dac_read, dac_write, dac_part, dac_mask;
    uint8_t seq[8], gc[16], crtc[32], attr[32];
    uint8_t dac_temp[4];
    uint8_t dac[768]; /* red, green, blue; six bits each, or eight with ABI_VBE_8BIT_DAC */
    uint32_t latch;
    uint16_t vbe_index;
    uint16_t vbe[ABI_VBE_COUNT];
    uint32_t text_apart; /* planes 0 and 1 live in the text area */
};

struct abi_display {
    uint32_t magic, version;
    uint32_t size;      /* of the memfd */
    uint32_t vram_size;
    uint32_t seq;       /* atomic: odd while registers or the place of planes 0 and 1 change */
    uint32_t sweep;     /* atomic, worker: number of the current sweep; stamps carry it */
    uint32_t swept;     /* atomic, worker: every vCPU has obeyed sweep number `swept` */
    uint32_t pad;
    uint8_t edid[256];  /* vmm; 0 = none */
    struct abi_vga vga;
};

_Static_assert(sizeof(struct abi_display) <= ABI_DISPLAY_STAMPS, "ABI");
_Static_assert((ABI_DISPLAY_VRAM + ABI_DISPLAY_VRAM_MAX) / 4096 * 4 <= ABI_DISPLAY_TEXT - ABI_DISPLAY_STAMPS, "ABI");

#endif
