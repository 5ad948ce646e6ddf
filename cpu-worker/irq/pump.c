/* SPDX-License-Identifier: Apache-2.0 */
/* The interrupt pump: see pump.h. Must never block: a stuck pump is a machine without interrupts.
 * The interrupt pump: see pump.h. Must never block: a stuck pump is a machine without
 * interrupts. */
#include "cpu-worker/irq/pump.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/run/team.h"
#include "ipc/fds.h"

#define NEVER UINT64_MAX

static void call_rung(void *opaque, int fd, uint32_t events)
{
    struct pump *p = opaque;
    (void)events;
    ipc_eventfd_drain(fd);
    for (unsigned slot = 0; slot < ABI_CALL_MAX; slot++)
        if (p->call[slot] == fd && !route_fire(p->page, p->cs, slot))
            ipc_eventfd_signal(fd); /* the loop comes back to it */
}

void pump_look(struct pump *p)
{
    struct abi_machine_page *page = p->page;
    if (mmio_map_changed(p->mem))
        p->flush(p->opaque);
    for (unsigned slot = 0; slot < ABI_ISR_MAX; slot++)
        chipset_isr_update(p->cs, slot);
    chipset_mce_look(p->cs);
    uint32_t button = __atomic_load_n(&page->power_button, __ATOMIC_RELAXED);
    if (button != page->chipset.pm.power_button_seen)
        chipset_power_button(p->cs);
    chipset_serial_input(p->cs);
    chipset_input(p->cs);
    uint32_t sweep = p->input ? __atomic_load_n(&p->input->sweep_req, __ATOMIC_RELAXED) : p->sweep_seen;
    if (sweep != p->sweep_seen && p->team && p->mem->vga) {
        p->sweep_seen = sweep;
        team_sweep(p->team, p->mem->vga);
    }
}

static void doorbell_rung(void *opaque, int fd, uint32_t events)
{
    (void)events;
    ipc_eventfd_drain(fd);
    pump_look(opaque);
}

/* #syscalls:cpu-worker timerfd_settime */
void pump_rearm(struct pump *p)
{
    pthread_mutex_lock(&p->arm_lock);
    /* Read under the lock: whoever comes last has seen the latest deadline. */
    bool running = __atomic_load_n(&p->clock->running, __ATOMIC_ACQUIRE);
    uint64_t virt = running ? chipset_deadline(p->cs) : NEVER;
    uint64_t at = virt == NEVER ? 0 : vclock_to_monotonic(p->clock, virt);
    if (at != p->armed_ns) {
        struct itimerspec ts = {.it_value = {.tv_sec = (time_t)(at / 1000000000u),
                                             .tv_nsec = (long)(at % 1000000000u)}};
        if (!timerfd_settime(p->timerfd, TFD_TIMER_ABSTIME, &ts, NULL))
            p->armed_ns = at;
    }
    pthread_mutex_unlock(&p->arm_lock);
}

/* #syscalls:cpu-worker read */
static void timer_expired(void *opaque, int fd, uint32_t events)
{
    struct pump *p = opaque;
    uint64_t count;
    (void)events;
    pthread_mutex_lock(&p->arm_lock);
    /* -EAGAIN: somebody set another time since epoll reported, and that one is still ahead. */
    if (read(fd, &count, sizeof(count)) == sizeof(count))
        p->armed_ns = 0;
    pthread_mutex_unlock(&p->arm_lock);
    chipset_timers_run(p->cs);
    pump_rearm(p);
}

int pump_init(struct pump *p)
{
    pthread_mutex_init(&p->arm_lock, NULL);
    p->armed_ns = 0;
    p->timerfd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (p->timerfd < 0)
        return -errno;
    int err = ipc_loop_add(p->loop, p->timerfd, EPOLLIN, timer_expired, p);
    if (!err && p->doorbell >= 0)
        err = ipc_loop_add(p->loop, p->doorbell, EPOLLIN, doorbell_rung, p);
    for (unsigned slot = 0; slot < ABI_CALL_MAX && !err; slot++)
        if (p->call[slot] >= 0)
            err = ipc_loop_add(p->loop, p->call[slot], EPOLLIN, call_rung, p);
    return err;
}
