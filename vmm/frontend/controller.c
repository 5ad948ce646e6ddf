/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Controllers' PCI functions: configuration space, address map, interrupt routes, reset, and the life
 * of the process behind. Every wait for that process is bounded.
 */
#include "vmm/frontend/controller.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "ipc/fds.h"
#include "ipc/log.h"
#include "ipc/memfd.h"

#define RESET_WAIT_NS 1000000000ull

static struct controller *ctl_of(struct pci_dev *p)
{
    return p->opaque;
}

void controller_doorbell(struct controller *c)
{
    ipc_eventfd_signal(c->vm->kick_fd[c->kick]);
}

void controller_units_publish(struct controller *c)
{
    __atomic_fetch_add(&c->page->units_seq, 1, __ATOMIC_SEQ_CST);
    controller_doorbell(c);
}

/* ---- address map --------------------------------------------------------------------------- */

static uint64_t region_offset(unsigned region)
{
    return (uint64_t)region << ABI_DEV_REGION_SHIFT;
}

static int bar_map(struct pci_dev *p, unsigned bar, uint64_t base, struct addr_map *m)
{
    struct controller *c = ctl_of(p);

    if (p->bar[bar].kind == PCI_BAR_IO)
        return addr_map_io_add(m, base, p->bar[bar].size, ABI_MAP_DEVICE, c->index,
                               region_offset(bar));
    return addr_map_mem_add(m, base, p->bar[bar].size, ABI_MAP_DEVICE, c->index, region_offset(bar));
}

static int map_extra(struct pci_dev *p, struct addr_map *m)
{
    struct controller *c = ctl_of(p);
    int first = 0;

    if (!(p->cfg[PCI_COMMAND] & PCI_COMMAND_IO))
        return 0;
    for (const struct controller_port *f = c->type->port; f < c->type->port + 4 && f->count; f++) {
        int r = addr_map_io_add(m, f->first, f->count, ABI_MAP_DEVICE, c->index,
                                region_offset(f->region));
        if (r && !first)
            first = r;
    }
    return first;
}

/* ---- reset --------------------------------------------------------------------------------- */

/* The process stops what it does; then what its requests still had under way is waited for, so that
 * nothing lands in the memory of the machine that starts anew. #syscalls:vmm futex clock_gettime */
static void reset(struct pci_dev *p)
{
    struct controller *c = ctl_of(p);
    uint32_t seq = __atomic_add_fetch(&c->page->reset_seq, 1, __ATOMIC_SEQ_CST), done;
    uint64_t end = ipc_now_ns() + RESET_WAIT_NS;

    controller_doorbell(c);
    while (c->up && (done = __atomic_load_n(&c->page->reset_done, __ATOMIC_ACQUIRE)) != seq) {
        struct timespec ts = {.tv_nsec = 100000000};

        if (ipc_now_ns() >= end) {
            vm_backend_broken(c->vm, c->plan->id, "does not reset");
            break;
        }
        syscall(SYS_futex, &c->page->reset_done, FUTEX_WAIT, done, &ts, NULL, 0);
    }
    for (unsigned i = 0; i < PLAN_UNITS_MAX; i++)
        disk_link_drain(&c->link[i]);
}

static const struct pci_ops controller_ops = {
    .bar_map = bar_map,
    .map_extra = map_extra,
    .irq_changed = controller_irq_changed,
    .vector_pending = controller_vector_pending,
    .reset = reset,
};

/* ---- the process --------------------------------------------------------------------------- */

void controller_ready(struct controller *c)
{
    c->up = true;
    __atomic_store_n(&c->page->given_up, 0, __ATOMIC_SEQ_CST);
}

void controller_down(struct controller *c)
{
    c->up = false;
}

void controller_failed(struct controller *c)
{
    c->up = false;
    __atomic_store_n(&c->page->given_up, 1, __ATOMIC_SEQ_CST);
}

void controller_timeouts_look(struct controller *c)
{
    uint32_t n = __atomic_load_n(&c->page->timeouts, __ATOMIC_RELAXED);

    if (n == c->timeouts)
        return;
    c->timeouts = n;
    if (c->up)
        vm_backend_broken(c->vm, c->plan->id, "does not answer a register access");
}

/* ---- construction -------------------------------------------------------------------------- */

const struct controller_type controller_types[CTL_KINDS] = {
    [CTL_IDE] = {.class_name = "IDE controller",
                 .vendor = 0x8086, .device = 0x7010, .pci_class = 0x010180,
                 .bar = {[4] = {PCI_BAR_IO, 16}},
                 .port = {{0x1f0, 8, 8}, {0x3f6, 1, 9}, {0x170, 8, 10}, {0x376, 1, 11}},
                 .lines = 2, .line_gsi = {14, 15}},
    [CTL_AHCI] = {.class_name = "SATA controller",
                  .vendor = 0x8086, .device = 0x2922, .pci_class = 0x010601, .revision = 2,
                  .bar = {[5] = {PCI_BAR_MEM32, 4096}}, .lines = 1},
    [CTL_NVME] = {.class_name = "NVM Express controller",
                  .vendor = 0x1b36, .device = 0x0010, .pci_class = 0x010802, .revision = 2,
                  .bar = {[0] = {PCI_BAR_MEM64, 16384}, [4] = {PCI_BAR_MEM32, 4096}}, .lines = 1,
                  .vectors = 9, .msix_bar = 4},
    [CTL_SCSI] = {.class_name = NULL},
};

static int page_build(struct controller *c)
{
    struct abi_devpage *p;

    c->page_fd = ipc_memfd_create("device-page", sizeof(*p), IPC_SEALS_SIZE);
    if (c->page_fd < 0)
        return c->page_fd;
    p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED, c->page_fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    p->magic = ABI_DEV_MAGIC;
    p->version = ABI_DEV_VERSION;
    p->size = sizeof(*p);
    p->vcpus = c->vm->plan.smp;
    for (unsigned i = 0; i < PLAN_UNITS_MAX; i++) {
        const struct plan_unit *u = &c->plan->unit[i];

        if (u->used)
            p->unit[i].flags = ABI_DEV_UNIT_PRESENT | (u->cd ? ABI_DEV_UNIT_CD : 0) |
                               (u->disk >= 0 && c->vm->plan.disk[u->disk].readonly
                                    ? ABI_DEV_UNIT_READONLY : 0);
    }
    p->units_seq = 1;
    c->page = p;
    return 0;
}

static int slots_take(struct controller *c, const struct controller_place *at)
{
    int kick = vm_alloc_kicks(c->vm, 1);
    int call = kick < 0 ? -1 : vm_alloc_calls(c->vm, c->type->lines + c->type->vectors);

    if (call < 0 || at->isr_slot + c->type->lines > ABI_ISR_MAX)
        return -ENOSPC;
    c->kick = (unsigned)kick;
    c->call0 = (unsigned)call;
    c->n_call = c->type->lines + c->type->vectors;
    c->isr0 = at->isr_slot;
    c->vm->page->dev[c->index].kick = c->kick;
    for (unsigned i = 0; i < c->type->lines; i++)
        controller_line_connect(c, i, c->type->line_gsi[i] ? c->type->line_gsi[i] : at->gsi);
    return 0;
}

static void function_make(struct controller *c, const struct controller_place *at)
{
    const struct controller_type *t = c->type;

    pci_dev_init(&c->pci, &controller_ops, c, t->class_name, t->vendor, t->device, t->pci_class,
                 t->revision);
    pci_dev_subsystem(&c->pci, 0x1af4, 0x1100);
    for (unsigned i = 0; i < PCI_BARS; i++)
        if (t->bar[i].kind != PCI_BAR_NONE)
            pci_dev_bar(&c->pci, i, t->bar[i].kind, false, t->bar[i].size);
    if (t->vectors)
        pci_dev_msix(&c->pci, t->msix_bar, t->vectors);
    if (!t->line_gsi[0])
        pci_dev_intx(&c->pci, at->gsi);
    if (c->plan->kind == CTL_IDE) { /* PIIX3 section 2.3: timing, both channels decoded */
        pci_put32(c->pci.cfg + 0x40, 0x80008000);
        pci_put32(c->pci.wmask + 0x40, 0xffffffff);
        c->pci.wmask[0x44] = 0xff;
    }
    c->pci.id = c->plan->builtin ? "" : c->plan->qdev_id;
}

static void give(struct controller *c, const struct controller_place *at)
{
    struct vm_ctl *out = &c->vm->ctl[c->index];

    out->page_fd = c->page_fd;
    out->kick = c->kick;
    out->call0 = c->call0;
    out->n_call = c->n_call;
    out->ram_low = at->ram[0].size;
    out->ram_high = at->n_ram > 1 ? at->ram[1].size : 0;
}

int controller_add(struct controller *c, struct vm *vm, struct pci_bus *bus, unsigned index,
                   const struct controller_place *at, char *err, size_t errlen)
{
    struct addr_map fits;
    int r;

    memset(c, 0, sizeof(*c));
    c->vm = vm;
    c->index = index;
    c->plan = &vm->plan.ctl[index];
    c->type = &controller_types[c->plan->kind];
    r = page_build(c);
    if (!r)
        r = slots_take(c, at);
    for (unsigned i = 0; i < PLAN_UNITS_MAX && !r; i++)
        r = disk_link_build(&c->link[i], c, i, at);
    if (r) {
        snprintf(err, errlen, "%s: cannot be set up: %s", c->plan->id, strerror(-r));
        return r;
    }
    give(c, at);
    if (!c->type->class_name)
        return 0;
    function_make(c, at);
    r = pci_bus_add(bus, &c->pci, (uint8_t)(at->slot << 3 | at->fn));
    if (!r)
        r = pci_bus_map(bus, &fits);
    if (r)
        snprintf(err, errlen, "%s: PCI slot %d function %d is not available: %s", c->plan->id, at->slot,
                 at->fn, strerror(-r));
    return r;
}
