/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between a UART's rings and its host end. A slow host end leaves the bytes in the ring, where they
 * slow down the guest, as a slow line does. Must never buffer without bound.
 */
#include "vmm/monitor/monitor.h"

#define PUMP_BYTES 4096
#define PUMP_TURNS 16 /* then others have their turn */

static size_t serial_receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct serial *s = opaque;

    return vm_serial_write(s->vm, s->n, buf, (unsigned)len);
}

static void serial_event(void *opaque, enum chr_event ev)
{
    struct serial *s = opaque;

    if (ev == CHR_BREAK)
        vm_serial_break(s->vm, s->n);
    else if (ev == CHR_CLOSED) /* what waited for the old one's buffer must not wait for ever */
        ipc_timer_set(&s->again, ipc_now_ns());
}

static void pump_out(struct serial *s)
{
    uint8_t buf[PUMP_BYTES];

    for (unsigned i = 0; i < PUMP_TURNS; i++) {
        size_t room = chr_room(s->c);
        unsigned n;

        if (!room) {
            s->c->starved = true; /* chr calls writable */
            return;
        }
        n = vm_serial_read(s->vm, s->n, buf, room < sizeof(buf) ? (unsigned)room : sizeof(buf));
        if (!n)
            return;
        chr_write(s->c, buf, n);
    }
    ipc_timer_set(&s->again, ipc_now_ns());
}

static void serial_again(void *opaque)
{
    pump_out(opaque);
}

void serial_pump(struct serial *s)
{
    if (!s->c)
        return;
    pump_out(s);
    chr_resume(s->c);
}

int serial_init(struct serial *s, struct vm *vm, unsigned n, struct chr *c)
{
    *s = (struct serial){.vm = vm, .c = c, .n = n};
    s->fe.receive = serial_receive;
    s->fe.event = serial_event;
    s->fe.writable = serial_again;
    s->fe.opaque = s;
    if (chr_join(c, &s->fe))
        return -1;
    return ipc_timer_init(&s->again, &vm->loop, serial_again, s);
}
