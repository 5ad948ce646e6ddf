/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events from the input rings to keyboard and mouse, as fast as the guest takes their bytes: what the
 * devices have no room for waits in its ring. Must never trust an index or a value from a ring.
 */
#include "cpu-worker/chipset/chipset-internal.h"

#define MOVE_MAX 32767

static bool value_ok(int32_t v)
{
    return v >= -MOVE_MAX && v <= MOVE_MAX;
}

/* false: the event has to wait. */
static bool event_give(struct chipset *cs, unsigned producer, const struct abi_input_event *e)
{
    if (!value_ok(e->a) || !value_ok(e->b))
        return true;
    if (e->type == ABI_INPUT_KEY) {
        if (!kbd_room(cs))
            return false;
        if (e->code && e->code < ABI_INPUT_KEYS)
            kbd_key(cs, producer, e->code, e->a);
        return true;
    }
    if (e->type == ABI_INPUT_RELEASE) {
        kbd_release(cs, producer);
        mouse_release(cs, producer);
        return true;
    }
    return mouse_event(cs, producer, e);
}

static void ring_pull(struct chipset *cs, unsigned producer)
{
    struct abi_input_ring *r = cs->input[producer].ring;
    uint32_t *tail = &cs->input[producer].tail;
    if (!r)
        return;
    uint32_t head = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);
    if (head - *tail > ABI_INPUT_RING)
        *tail = head; /* nonsense, or another life of the producer */
    while (*tail != head) {
        struct abi_input_event e = r->event[*tail % ABI_INPUT_RING];
        if (!event_give(cs, producer, &e))
            break;
        ++*tail;
    }
    __atomic_store_n(&r->tail, *tail, __ATOMIC_RELEASE);
}

void input_pull(struct chipset *cs)
{
    uint32_t release = __atomic_load_n(&cs->page->input_release, __ATOMIC_ACQUIRE);
    if (release != cs->input_release_seen) {
        cs->input_release_seen = release;
        kbd_release(cs, 1);
        mouse_release(cs, 1);
    }
    ring_pull(cs, 0);
    ring_pull(cs, 1);
    mouse_pull(cs);
}
