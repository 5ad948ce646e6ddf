/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-cpu-worker: maps guest memory, starts the vCPUs' threads and obeys the vmm's run, pause
 * and reset. Owns the order of those three; must never execute guest code in the main thread, nor
 * decide what a reset or power-off means for the machine: it reports and parks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpu-worker/chipset/chipset.h"
#include "cpu-worker/irq/eventfds.h"
#include "cpu-worker/irq/pump.h"
#include "cpu-worker/irq/vcpu-thread.h"
#include "cpu-worker/run/run.h"
#include "cpu-worker/run/startup.h"
#include "cpu-worker/run/team.h"
#include "cpu-worker/vga/vga.h"
#include "cpu-worker/run/xl.h"
#include "device-procs/runtime/devproc.h"
#include "ipc/fds.h"

#define SEND_WAIT_MS 1000
#define STOP_WAIT_S  2
#define SLOT_SIZE_MAX (1ull << 30) /* of the slots but RAM */

struct worker {
    struct devproc *proc;
    struct abi_machine_page *page;
    struct abi_codepage *codepage;
    struct chipset *cs;
    unsigned n;             /* vCPUs */
    struct team *team;
    struct vga *vga;        /* NULL: no VGA card */
    struct xl_memory xl;    /* translations; cache NULL: none */
    int xl_bell_fd;
    struct mmu_host mem;    /* the pump's copy of the address map; each vCPU has its own */
    struct mmu_host *vcpu_mem[ABI_VCPU_MAX];
    struct vclock clock;
    struct pump pump;
    struct vcpu_thread vcpu[ABI_VCPU_MAX];
    int report_fd;          /* eventfd: a vCPU's thread has something for the main thread */
    uint32_t events;        /* atomic: bit n = CTL__WORKER_EVENT__KIND n waits to be sent */
    bool powered_on;        /* the machine has not run since power-on or reset */
    uint32_t leaving;       /* atomic: the guest powered off or reset; nothing after that counts */
    uint32_t asleep;        /* atomic: the guest is suspended to RAM; the clock runs, the vCPUs do not */
    enum ctl_msg wanted;    /* PAUSE or RESET that waits for the vCPUs to park, 0 = none */
    uint32_t wanted_seq;
};

static struct worker the_worker;

/* ---- what the chipset asks for (any thread, under its lock)
 * --------------------------------------- */

static void host_vcpu_kick(void *opaque, unsigned vcpu)
{
    struct worker *w = opaque;
    if (w->team->cpu[vcpu])
        cpu_kick(w->team->cpu[vcpu]);
}

static void host_timer_rearm(void *opaque)
{
    struct worker *w = opaque;
    pump_rearm(&w->pump);
}

/* #syscalls:cpu-worker write */
static void report(struct worker *w, unsigned kind)
{
    __atomic_fetch_or(&w->events, 1u << kind, __ATOMIC_SEQ_CST);
    ipc_eventfd_signal(w->report_fd);
}

static void all_park(struct worker *w)
{
    for (unsigned i = 0; i < w->n; i++)
        vcpu_thread_park(&w->vcpu[i]);
}
static bool all_parked(const struct worker *w)
{
    for (unsigned i = 0; i < w->n; i++)
        if (!vcpu_thread_parked(&w->vcpu[i]))
            return false;
    return true;
}

/* Power-off and reset end execution where they are written: the vCPUs park by themselves and the vmm
 * decides what comes next. */
static void host_event(void *opaque, enum chipset_event ev)
{
    struct worker *w = opaque;
    if (ev == CHIPSET_EV_WAKE) {
        report(w, CTL__WORKER_EVENT__KIND__WAKE);
        return;
    }
    if (__atomic_exchange_n(&w->leaving, 1, __ATOMIC_SEQ_CST))
        return;
    if (ev == CHIPSET_EV_SLEEP)
        __atomic_store_n(&w->asleep, 1, __ATOMIC_SEQ_CST);
    all_park(w);
    if (ev == CHIPSET_EV_SLEEP) {
        report(w, CTL__WORKER_EVENT__KIND__SLEEP);
        return;
    }
    report(w, ev == CHIPSET_EV_POWEROFF ? CTL__WORKER_EVENT__KIND__POWEROFF
                                        : CTL__WORKER_EVENT__KIND__RESET);
}

static void host_serial_doorbell(void *opaque)
{
    struct worker *w = opaque;
    if (w->mem.doorbell_vmm >= 0)
        ipc_eventfd_signal(w->mem.doorbell_vmm);
}

static uint64_t host_now_ns(void *opaque)
{
    struct worker *w = opaque;
    return vclock_now(&w->clock);
}

static uint64_t host_guest_tsc(void *opaque, unsigned vcpu)
{
    struct worker *w = opaque;
    return vclock_guest_tsc(&w->clock, vcpu);
}

static uint64_t host_tsc_to_ns(void *opaque, unsigned vcpu, uint64_t tsc)
{
    struct worker *w = opaque;
    return vclock_tsc_to_ns(&w->clock, vcpu, tsc);
}

static void flush_tlb(void *opaque)
{
    struct worker *w = opaque;
    mmio_map_refresh(&w->mem); /* the copy that is compared when the vmm rings */
    team_flush(w->team);
}

static void host_a20(void *opaque, bool enabled)
{
    struct worker *w = opaque;
    for (unsigned i = 0; i < w->n; i++)
        mmio_a20_set(w->vcpu_mem[i], enabled);
    team_flush(w->team);
}

/* ---- run, pause, reset
 * ---------------------------------------------------------------------------- */

static int ack(struct worker *w, uint32_t seq)
{
    Ctl__WorkerAck msg = CTL__WORKER_ACK__INIT;
    msg.seq = seq;
    return ctl_send(&w->proc->ctl, CTL_WORKER_ACK, &msg, NULL, 0, SEND_WAIT_MS);
}

static void chipset_power_on(struct worker *w)
{
    chipset_reset(w->cs);
    if (w->vga)
        vga_reset(w->vga);
    vclock_tsc_reset(&w->clock);
    w->powered_on = true;
}

/* Carries out the command that waited for the vCPUs to park. */
static int wanted_finish(struct worker *w)
{
    enum ctl_msg type = w->wanted;
    w->wanted = 0;
    if (!type)
        return 0;
    if (type == CTL_WORKER_RESET)
        chipset_power_on(w);
    return ack(w, w->wanted_seq);
}

static int park_then(struct worker *w, enum ctl_msg type, uint32_t seq)
{
    if (w->wanted)
        return -EPROTO; /* the vmm waits for one answer before the next question */
    w->wanted = type;
    w->wanted_seq = seq;
    if (all_parked(w)) {
        vclock_pause(&w->clock);
        pump_rearm(&w->pump);
        return wanted_finish(w);
    }
    all_park(w);
    return 0;
}

/* The first vCPU's state was set by the vmm. The others wait for their start-up IPI, with the memory types
 * of the first, as firmware leaves them. */
static void others_power_on(struct worker *w)
{
    const struct abi_vcpu_state *first = &w->page->vcpu[0];
    for (unsigned i = 1; i < w->n; i++) {
        struct abi_vcpu_state *s = &w->page->vcpu[i];
        startup_state_reset(s, true);
        s->mtrr_def_type = first->mtrr_def_type;
        memcpy(s->mtrr_fixed, first->mtrr_fixed, sizeof(s->mtrr_fixed));
        memcpy(s->mtrr_var, first->mtrr_var, sizeof(s->mtrr_var));
    }
}

static int run(struct worker *w, uint32_t seq)
{
    if (w->wanted)
        return -EPROTO;
    if (all_parked(w)) {
        __atomic_store_n(&w->leaving, 0, __ATOMIC_SEQ_CST);
        __atomic_store_n(&w->asleep, 0, __ATOMIC_SEQ_CST);
        if (w->powered_on)
            others_power_on(w);
        w->powered_on = false;
        vclock_run(&w->clock);
        pump_look(&w->pump); /* what happened while nobody rang */
        pump_rearm(&w->pump);
        for (unsigned i = 0; i < w->n; i++)
            vcpu_thread_run(&w->vcpu[i]);
    }
    return ack(w, seq);
}

static int worker_message(struct devproc *p, enum ctl_msg type, ProtobufCMessage *msg)
{
    struct worker *w = p->opaque;
    switch (type) {
    case CTL_WORKER_RUN:
        return run(w, ((const Ctl__WorkerRun *)msg)->seq);
    case CTL_WORKER_PAUSE:
        return park_then(w, type, ((const Ctl__WorkerPause *)msg)->seq);
    case CTL_WORKER_RESET:
        return park_then(w, type, ((const Ctl__WorkerReset *)msg)->seq);
    default:
        return -EPROTO;
    }
}

/* ---- reports of the vCPU's thread
 * ------------------------------------------------------------------ */

static void vcpu_parked(void *opaque, int why)
{
    struct worker *w = opaque;
    bool leaving = __atomic_load_n(&w->leaving, __ATOMIC_SEQ_CST);
    if (why != CPU_EXIT_PAUSED)
        all_park(w); /* one that cannot go on stops the machine */
    if (why == CPU_EXIT_TRIPLE_FAULT && !leaving)
        report(w, CTL__WORKER_EVENT__KIND__TRIPLE_FAULT);
    else if (why == CPU_EXIT_INTERNAL_ERROR)
        report(w, CTL__WORKER_EVENT__KIND__INTERNAL_ERROR);
    else
        ipc_eventfd_signal(w->report_fd);
}

static int event_send(struct worker *w, unsigned kind)
{
    Ctl__WorkerEvent ev = CTL__WORKER_EVENT__INIT;
    ev.kind = (Ctl__WorkerEvent__Kind)kind;
    for (unsigned i = 0; i < w->n && kind == CTL__WORKER_EVENT__KIND__INTERNAL_ERROR; i++)
        if (w->team->cpu[i]->internal_error)
            ev.detail = (char *)w->team->cpu[i]->internal_error;
    return ctl_send(&w->proc->ctl, CTL_WORKER_EVENT, &ev, NULL, 0, SEND_WAIT_MS);
}

static void reported(void *opaque, int fd, uint32_t events)
{
    struct worker *w = opaque;
    int err = 0;
    (void)events;
    ipc_eventfd_drain(fd);
    /* parked is read before the events: a reason reported before parking is then sent before the
     * acknowledgement. */
    bool parked = all_parked(w);
    uint32_t bits = __atomic_exchange_n(&w->events, 0, __ATOMIC_SEQ_CST);
    for (unsigned kind = 0; kind < 32 && !err; kind++)
        if (bits >> kind & 1)
            err = event_send(w, kind);
    if (parked) {
        if (!__atomic_load_n(&w->asleep, __ATOMIC_SEQ_CST))
            vclock_pause(&w->clock);
        pump_rearm(&w->pump);
        err = err ? err : wanted_finish(w);
    }
    if (err < 0) {
        log_error("report to the vmm: %s", strerror(-err));
        w->proc->loop.quit = true;
    }
}

/* ---- set-up
 * ----------------------------------------------------------------------------------------- */

/* At `at` if that is not NULL. */
static void *map_fd_at(void *at, int fd, uint64_t size, const char *what)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || (uint64_t)st.st_size < size) {
        log_error("%s: no descriptor of at least %llu bytes came with BOOT", what,
                  (unsigned long long)size);
        return NULL;
    }
    void *p = mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | (at ? MAP_FIXED : 0), fd, 0);
    if (p == MAP_FAILED) {
        log_error("%s: mmap: %s", what, strerror(errno));
        return NULL;
    }
    return p;
}

static void *map_fd(int fd, uint64_t size, const char *what)
{
    return map_fd_at(NULL, fd, size, what);
}

/* Every slot's memfd, one after another: one offset names a byte in any of them. */
static uint8_t *slots_map(const uint64_t *size, const int *fd, uint64_t all)
{
    uint64_t base = 0;
    uint8_t *p = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    for (unsigned i = 0; i < ABI_RAM_MAX; base += size[i++])
        if (size[i] && !map_fd_at(p + base, fd[i], size[i], "guest memory"))
            return NULL;
    return p;
}

static int page_map(struct worker *w, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    int fd = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_MACHINE_PAGE, 0);
    w->page = map_fd(fd, sizeof(*w->page), "machine page");
    if (!w->page)
        return -EINVAL;
    if (w->page->magic != ABI_MACHINE_MAGIC || w->page->version != ABI_MACHINE_VERSION) {
        log_error("machine page: magic %#x version %u, expected %#x version %u", w->page->magic,
                  w->page->version, ABI_MACHINE_MAGIC, ABI_MACHINE_VERSION);
        return -EPROTO;
    }
    w->n = w->page->vcpus;
    if (w->n < 1 || w->n > ABI_VCPU_MAX) {
        log_error("machine page: %u vCPUs, this program runs 1 to %u", w->n, ABI_VCPU_MAX);
        return -EINVAL;
    }
    return 0;
}

/* Keys and pointer of ui-proc, if there is one. */
static int input_map(struct worker *w, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    int fd = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_INPUT, 0);
    if (fd < 0)
        return 0;
    struct abi_input_page *p = map_fd(fd, 4096, "input page");
    if (!p || p->magic != ABI_INPUT_MAGIC)
        return -EINVAL;
    chipset_input_page(w->cs, p);
    w->pump.input = p;
    w->pump.team = w->team;
    return 0;
}

static int display_create(struct worker *w)
{
    const struct mmu_slot *s = &w->mem.slot[ABI_SLOT_DISPLAY];
    if (!s->size)
        return 0;
    w->vga = s->size < sizeof(struct abi_display) ? NULL : vga_create((void *)(w->mem.ram + s->base), s->size);
    if (!w->vga) {
        log_error("display memory: not one of this version");
        return -EPROTO;
    }
    w->mem.vga = w->vga;
    return 0;
}

static int memory_map(struct worker *w, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    uint64_t size = boot->worker ? boot->worker->ram_size : 0;
    if (!size || size & 0xfff || size != w->page->ram_below_4g + w->page->ram_above_4g) {
        log_error("guest memory: %llu bytes do not fit the machine page",
                  (unsigned long long)size);
        return -EINVAL;
    }
    uint64_t slot[ABI_RAM_MAX] = {size}, all = size;
    int fd[ABI_RAM_MAX] = {devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_RAM, 0)};
    for (unsigned i = 1; i < ABI_RAM_MAX; all += slot[i++]) {
        slot[i] = w->page->slot_size[i];
        fd[i] = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_RAM, i);
        if (slot[i] & 0xfff || slot[i] > SLOT_SIZE_MAX)
            return -EINVAL;
    }
    uint8_t *ram = slots_map(slot, fd, all);
    w->codepage = map_fd(devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_CODEPAGE, 0),
                         abi_codepage_size(all), "code-page map");
    if (!ram || !w->codepage)
        return -EINVAL;
    mmio_host_prepare(&w->mem, w->page, ram, all);
    for (uint64_t i = 0, base = 0; i < ABI_RAM_MAX; base += slot[i++])
        mmio_slot_set(&w->mem, (unsigned)i, base, slot[i]);
    int err = display_create(w);
    mmio_map_refresh(&w->mem);
    return err;
}

static void translator_wake(void *opaque)
{
    const struct worker *w = opaque;
    ipc_eventfd_signal(w->xl_bell_fd);
}
/* Before the system-call filter: afterwards nothing can be made executable any more. */
static int translations_map(struct worker *w, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    if (!boot->worker->has_xl_cache_size)
        return 0;
    int err = xl_memory_map(&w->xl, devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_XL_CACHE, 0),
                            boot->worker->xl_cache_size, devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_XL_RINGS, 0),
                            w->n);
    w->xl_bell_fd = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_XL_BELL, 0);
    w->xl.bell = translator_wake;
    w->xl.opaque = w;
    if (err)
        log_error("translations: %s", strerror(-err));
    return err;
}

/* The pages of devices that live elsewhere. */
static int device_pages_map(struct worker *w, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    for (unsigned i = 0; i < ABI_DEV_MAX; i++) {
        int fd = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_DEVICE_PAGE, i);
        if (fd < 0)
            continue;
        w->mem.dev[i] = map_fd(fd, sizeof(struct abi_devpage), "device page");
        if (!w->mem.dev[i])
            return -EINVAL;
        close(fd);
    }
    return 0;
}

/* Which ISR slots are driven by a line of a device page. */
static void device_lines_connect(struct worker *w)
{
    for (unsigned slot = 0; slot < ABI_ISR_MAX; slot++) {
        uint32_t source = w->page->isr[slot].source, dev = (source - 1) / ABI_DEV_LINES;
        if (source && dev < ABI_DEV_MAX && w->mem.dev[dev])
            chipset_line_source(w->cs, slot, &w->mem.dev[dev]->line[(source - 1) % ABI_DEV_LINES]);
    }
}

static int cpu_create(struct worker *w, unsigned i)
{
    size_t size = (cpu_size() + 63) & ~(size_t)63;
    struct cpu *c = aligned_alloc(64, size);
    struct mmu_host *mem = malloc(sizeof(*mem));
    if (!c || !mem)
        return -ENOMEM;
    *mem = w->mem;
    w->vcpu_mem[i] = mem;
    w->vcpu[i] = (struct vcpu_thread){.cpu = c, .index = i, .parked = 1, .on_park = vcpu_parked,
                                      .opaque = w};
    int err = cpu_init_member(c, i, w->page, mem, w->cs, w->team);
    if (err || !w->xl.cache)
        return err;
    err = xl_attach(c, &w->xl);
    if (err == -ENOTSUP && !i)
        log_info("the host's processor lacks AVX2, BMI2 or FSGSBASE: guest code is interpreted");
    return err == -ENOTSUP ? 0 : err;
}
static int cpus_create(struct worker *w)
{
    int err = 0;
    w->team = team_create(w->n, w->mem.ram_size, w->codepage);
    for (unsigned i = 0; i < w->n && w->team && !err; i++)
        err = cpu_create(w, i);
    return w->team ? err : -ENOMEM;
}

static int machine_create(struct worker *w)
{
    const struct chipset_host host = {
        .opaque = w, .vcpu_kick = host_vcpu_kick, .timer_rearm = host_timer_rearm,
        .event = host_event, .serial_doorbell = host_serial_doorbell, .now_ns = host_now_ns,
        .guest_tsc = host_guest_tsc, .tsc_to_ns = host_tsc_to_ns, .a20 = host_a20,
    };
    struct pump *p = &w->pump;
    w->cs = chipset_init(w->page, &host);
    if (!w->cs)
        return -ENOMEM;
    device_lines_connect(w);
    vclock_init(&w->clock, w->page);
    int err = cpus_create(w);
    if (err)
        return err;
    p->loop = &w->proc->loop;
    p->page = w->page;
    p->cs = w->cs;
    p->mem = &w->mem;
    p->clock = &w->clock;
    p->flush = flush_tlb;
    p->opaque = w;
    err = pump_init(p);
    if (err)
        return err;
    chipset_power_on(w);
    return 0;
}

static int worker_setup(struct devproc *p, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    struct worker *w = p->opaque;
    w->proc = p;
    int err = page_map(w, boot, fds, nfds);
    err = err ? err : memory_map(w, boot, fds, nfds);
    err = err ? err : translations_map(w, boot, fds, nfds);
    err = err ? err : device_pages_map(w, boot, fds, nfds);
    err = err ? err : pump_eventfds_take(&w->pump, &w->mem, boot, fds, nfds);
    if (err)
        return err;
    w->report_fd = ipc_eventfd_create();
    err = w->report_fd < 0 ? w->report_fd : machine_create(w);
    err = err ? err : input_map(w, boot, fds, nfds);
    err = err ? err : ipc_loop_add(&p->loop, w->report_fd, EPOLLIN, reported, w);
    for (unsigned i = 0; i < w->n && !err; i++)
        err = vcpu_thread_start(&w->vcpu[i]);
    if (err)
        log_error("set-up: %s", strerror(-err));
    return err;
}

static void worker_shutdown(struct devproc *p)
{
    struct worker *w = p->opaque;
    for (unsigned i = 0; i < w->n && w->vcpu_mem[i]; i++)
        mmio_stop(w->vcpu_mem[i]);
    all_park(w);
    for (unsigned i = 0; i < w->n; i++)
        vcpu_thread_stop(&w->vcpu[i], i ? 0 : STOP_WAIT_S);
}

int main(int argc, char **argv)
{
    static const struct devproc_ops ops = {
        .program = "bulkhead-cpu-worker", .role = "cpu-worker", .sbx = SBX_CPU_WORKER,
        .setup = worker_setup, .message = worker_message, .shutdown = worker_shutdown,
    };
    return devproc_main(argc, argv, &ops, &the_worker);
}
