/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and pointer to the guest: the producing end of ui-proc's ring. Never waits for the guest. */
#ifndef BULKHEAD_UI_PROC_INPUT_H
#define BULKHEAD_UI_PROC_INPUT_H

#include <stdbool.h>
#include "ipc/abi/input.h"

struct input {
    struct abi_input_page *page; /* NULL: nobody listens */
    int doorbell;
    uint32_t head;
};

int input_map(struct input *in, int page_fd, int doorbell); /* 0 or -errno; takes the descriptors */
void input_send(struct input *in, unsigned type, unsigned code, int a, int b);
void input_sweep(struct input *in); /* asks the worker to mark written pages anew */
unsigned input_leds(const struct input *in); /* bit 0 scroll, 1 num, 2 caps */

#endif
