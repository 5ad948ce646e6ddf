/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and pointer movements on their way to the guest: one ring for each producer (the vmm's monitors,
 * ui-proc), consumed by the cpu-worker. A full ring drops. Owns the layout; keys are Linux' event codes
 * (linux/input-event-codes.h). Either side treats what the other writes as hostile.
 */
#ifndef BULKHEAD_IPC_ABI_INPUT_H
#define BULKHEAD_IPC_ABI_INPUT_H

#include <stdint.h>

#define ABI_INPUT_MAGIC 0x31504942u /* "BIP1" */
#define ABI_INPUT_RING  256u
#define ABI_INPUT_KEYS  256u

enum abi_input_type {
    ABI_INPUT_KEY = 1, /* code = key, a = 1 down, 0 up */
    ABI_INPUT_MOVE,    /* a, b = pixels right and down */
    ABI_INPUT_BUTTON,  /* code = 0 left, 1 middle, 2 right, 3 side, 4 extra; a = 1 down, 0 up */
    ABI_INPUT_WHEEL,   /* a = notches away from the user */
    ABI_INPUT_RELEASE, /* every key and button of this producer is let go */
};
struct abi_input_event {
    uint16_t type, code;
    int32_t a, b;
};
struct abi_input_ring { /* free-running indexes; doorbell after producing */
    uint32_t head; /* producer */
    uint8_t pad0[60];
    uint32_t tail; /* consumer */
    uint8_t pad1[60];
    struct abi_input_event event[ABI_INPUT_RING];
};

/* A page between ui-proc and the worker. */
struct abi_input_page {
    uint32_t magic;
    uint32_t leds; /* worker: bit 0 scroll lock, 1 num lock, 2 caps lock */
    uint32_t sweep_req; /* ui-proc increments: begin a new sweep of display memory */
    uint8_t pad[52];
    struct abi_input_ring ring;
};

_Static_assert(sizeof(struct abi_input_event) == 12, "ABI");
_Static_assert(sizeof(struct abi_input_page) <= 4096, "ABI");

/* Producer's side. head is the producer's own copy. Returns 0 if there was no room. */
static inline int abi_input_put(struct abi_input_ring *r, uint32_t *head, const struct abi_input_event *e)
{
    if (*head - __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE) >= ABI_INPUT_RING)
        return 0;
    r->event[*head % ABI_INPUT_RING] = *e;
    __atomic_store_n(&r->head, ++*head, __ATOMIC_RELEASE);
    return 1;
}
/* The producer's next index after a restart: what the ring says, or the consumer's if that makes no sense. */
static inline uint32_t abi_input_resume(const struct abi_input_ring *r)
{
    uint32_t head = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE), tail = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
    return head - tail <= ABI_INPUT_RING ? head : tail;
}

#endif
