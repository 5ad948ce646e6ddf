/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring to the cpu-worker. A full ring drops the event: a guest that reads nothing cannot make us keep
 * anything. Owns the producer's index.
 */
#include "ui-proc/input.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/fds.h"

int input_map(struct input *in, int page_fd, int doorbell)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, page_fd, 0);

    close(page_fd);
    if (p == MAP_FAILED) {
        return -errno;
    }
    in->page = p;
    in->doorbell = doorbell;
    in->head = abi_input_resume(&in->page->ring);
    return 0;
}

/* #syscalls:ui write */
void input_send(struct input *in, unsigned type, unsigned code, int a, int b)
{
    struct abi_input_event e = {(uint16_t)type, (uint16_t)code, a, b};

    if (in->page && abi_input_put(&in->page->ring, &in->head, &e)) {
        ipc_eventfd_signal(in->doorbell);
    }
}

void input_sweep(struct input *in)
{
    if (in->page) {
        __atomic_fetch_add(&in->page->sweep_req, 1, __ATOMIC_SEQ_CST);
        ipc_eventfd_signal(in->doorbell);
    }
}

unsigned input_leds(const struct input *in)
{
    return in->page ? __atomic_load_n(&in->page->leds, __ATOMIC_RELAXED) & 7 : 0;
}
