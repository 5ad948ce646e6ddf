/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The debug port (isa-debugcon, port 402h on Bochs and QEMU): a byte written is a byte shown, and reading
 * tells that the port is there. Owns nothing but the ring's producing end; must never hold a vCPU up
 * for long: when nobody empties the ring, bytes are lost.
 */
#include <sched.h>
#include "cpu-worker/chipset/chipset-internal.h"

#define READ_BACK 0xe9
#define WAIT_NS   20000000ull

static struct abi_serial *debug_serial(struct chipset *cs)
{
    return &cs->page->serial[ABI_DEBUG_PORT];
}

static bool ring_full(const struct abi_char_ring *r)
{
    return r->head - __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE) >= ABI_CHAR_RING;
}

/* #syscalls:cpu-worker sched_yield */
static bool room_wait(struct chipset *cs, const struct abi_char_ring *r)
{
    uint64_t end = cs_now(cs) + WAIT_NS;
    while (ring_full(r)) {
        if (cs->debug_lost || cs_now(cs) > end)
            return false; /* waited for once, not for each byte */
        cs->host.serial_doorbell(cs->host.opaque);
        sched_yield();
    }
    return true;
}

uint8_t debug_port_read(void)
{
    return READ_BACK;
}

void debug_port_write(struct chipset *cs, uint8_t v)
{
    struct abi_char_ring *r = &debug_serial(cs)->tx;
    cs->debug_lost = !room_wait(cs, r);
    if (cs->debug_lost)
        return;
    uint32_t head = r->head;
    r->data[head % ABI_CHAR_RING] = v;
    __atomic_store_n(&r->head, head + 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&r->tail, __ATOMIC_SEQ_CST) == head)
        cs->host.serial_doorbell(cs->host.opaque);
}

void debug_port_reset(struct chipset *cs)
{
    struct abi_serial *s = debug_serial(cs);
    if (s->present && s->port && s->port <= 0xffff)
        cs_ports_claim(cs, s->port, 1, PORT_DEBUG);
}
