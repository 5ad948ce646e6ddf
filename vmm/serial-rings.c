/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host end of the UARTs' character rings in the machine page. The other end is the cpu-worker,
 * which may be hostile: this side keeps its own indexes in private memory and checks the other's.
 * Must never let an index from shared memory reach beyond the ring.
 */
#include <string.h>
#include <unistd.h>
#include "ipc/log.h"
#include "vmm/lifecycle.h"

static struct {
    uint32_t tx_tail, rx_head;
    struct ipc_ratelimit bad;
} own[ABI_SERIAL_MAX];

void serial_rings_init(struct vm *vm)
{
    memset(own, 0, sizeof(own));
    for (unsigned i = 0; i < ABI_SERIAL_MAX; i++)
        vm->page->serial[i].present = vm->plan.serial[i] >= 0;
    vm->page->serial[ABI_DEBUG_PORT].port = vm->plan.debug_port;
}

/* #syscalls:vmm write */
static void ring_worker(struct vm *vm)
{
    uint64_t one = 1;

    (void)!write(vm->doorbell_worker, &one, sizeof(one));
}

static void copy_out(const struct abi_char_ring *r, uint32_t at, uint8_t *buf, unsigned len)
{
    uint32_t off = at % ABI_CHAR_RING;
    unsigned first = len < ABI_CHAR_RING - off ? len : ABI_CHAR_RING - off;

    memcpy(buf, r->data + off, first);
    memcpy(buf + first, r->data, len - first);
}

unsigned vm_serial_read(struct vm *vm, unsigned n, uint8_t *buf, unsigned len)
{
    struct abi_char_ring *r;
    uint32_t tail, used;

    if (n >= ABI_SERIAL_MAX || !len)
        return 0;
    r = &vm->page->serial[n].tx;
    tail = own[n].tx_tail;
    used = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE) - tail;
    if (used > ABI_CHAR_RING) {
        if (ipc_ratelimit_ok(&own[n].bad, 1, 10))
            log_warn("serial%u: the output ring's index is wrong; %u bytes skipped", n, used);
        own[n].tx_tail = tail + used;
        __atomic_store_n(&r->tail, own[n].tx_tail, __ATOMIC_RELEASE);
        return 0;
    }
    if (len > used)
        len = used;
    copy_out(r, tail, buf, len);
    own[n].tx_tail = tail + len;
    __atomic_store_n(&r->tail, own[n].tx_tail, __ATOMIC_RELEASE);
    /* The producer stores head, then looks at tail; this side stores tail, then looks at head. With
     * full fences between, a producer that found the ring full is always seen here. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (len && __atomic_load_n(&r->head, __ATOMIC_RELAXED) - tail >= ABI_CHAR_RING)
        ring_worker(vm);
    return len;
}

static void copy_in(struct abi_char_ring *r, uint32_t at, const uint8_t *buf, unsigned len)
{
    uint32_t off = at % ABI_CHAR_RING;
    unsigned first = len < ABI_CHAR_RING - off ? len : ABI_CHAR_RING - off;

    memcpy(r->data + off, buf, first);
    memcpy(r->data, buf + first, len - first);
}

unsigned vm_serial_write(struct vm *vm, unsigned n, const uint8_t *buf, unsigned len)
{
    struct abi_char_ring *r;
    uint32_t head, used;

    if (n >= ABI_SERIAL_MAX || !len)
        return 0;
    r = &vm->page->serial[n].rx;
    head = own[n].rx_head;
    used = head - __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
    if (used > ABI_CHAR_RING)
        return 0; /* a consumer ahead of the producer: nothing can be said about room */
    if (len > ABI_CHAR_RING - used)
        len = ABI_CHAR_RING - used;
    if (!len)
        return 0;
    copy_in(r, head, buf, len);
    own[n].rx_head = head + len;
    __atomic_store_n(&r->head, own[n].rx_head, __ATOMIC_RELEASE);
    ring_worker(vm);
    return len;
}

void vm_serial_break(struct vm *vm, unsigned n)
{
    if (n >= ABI_SERIAL_MAX)
        return;
    __atomic_fetch_add(&vm->page->serial[n].break_req, 1, __ATOMIC_RELEASE);
    ring_worker(vm);
}
