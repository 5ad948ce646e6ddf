/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vmm's end of the register mailbox: copies a request once, checks it, carries it out, answers.
 * Must never believe a field twice, and always answers: a vCPU is waiting.
 */
#include "vmm/machine/machine.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t ones(unsigned size)
{
    return size >= 8 ? ~(uint64_t)0 : ((uint64_t)1 << (8 * size)) - 1;
}

static bool request_ok(const struct abi_mailbox *q)
{
    bool mem = q->op == ABI_MBOX_MEM_READ || q->op == ABI_MBOX_MEM_WRITE;

    if (q->size != 1 && q->size != 2 && q->size != 4 && !(q->size == 8 && mem))
        return false;
    return mem ? q->addr <= ~(uint64_t)0 - q->size : q->addr <= 0xffffff;
}

/* PCI Express 5.0, 7.2.2: 4 KiB a function. Beyond the first 256 bytes there is nothing: zeroes, as a function
 * without extended capabilities has, or all-ones where there is no function. */
static bool config_in_memory(struct machine *m, const struct abi_mailbox *q, uint64_t *v)
{
    bool read = q->op == ABI_MBOX_MEM_READ;
    uint64_t base, size;

    if ((!read && q->op != ABI_MBOX_MEM_WRITE) || !machine_ecam(m, &base, &size) || q->addr - base >= size)
        return false;
    uint32_t off = (uint32_t)(q->addr - base), reg = off & 0xfff, function = off >> 12 << 8;

    *v = 0;
    if (q->size == 8)
        *v = ~(uint64_t)0;
    else if (read && reg < 0x100)
        *v = pci_cfg_read(&m->pci, function | reg, q->size);
    else if (read && pci_cfg_read(&m->pci, function, 4) == 0xffffffffu)
        *v = ~(uint64_t)0;
    else if (!read && reg < 0x100)
        pci_cfg_write(&m->pci, function | reg, q->size, (uint32_t)q->value);
    return true;
}

static uint64_t request_run(struct machine *m, const struct abi_mailbox *q)
{
    struct pci_bus *b = &m->pci;
    uint64_t v;

    if (q->op == ABI_MBOX_IO_WRITE && debug_exit_claims(m, q->addr)) {
        vm_guest_exit(m->vm, (uint32_t)(q->value & ones(q->size)));
        return 0;
    }
    if (config_in_memory(m, q, &v))
        return v;
    switch (q->op) {
    case ABI_MBOX_MEM_READ:
    case ABI_MBOX_IO_READ:
        return pci_space_read(b, q->op == ABI_MBOX_IO_READ, q->addr, q->size);
    case ABI_MBOX_MEM_WRITE:
    case ABI_MBOX_IO_WRITE:
        pci_space_write(b, q->op == ABI_MBOX_IO_WRITE, q->addr, q->size, q->value & ones(q->size));
        return 0;
    case ABI_MBOX_PCI_READ:
        return pci_cfg_read(b, (uint32_t)q->addr, q->size);
    case ABI_MBOX_PCI_WRITE:
        pci_cfg_write(b, (uint32_t)q->addr, q->size, (uint32_t)q->value);
        return 0;
    case ABI_MBOX_FWCFG:
        firmware_acpi_refresh(m);
        return 0;
    default:
        return ~(uint64_t)0;
    }
}

/* #syscalls:vmm futex write */
void machine_mailbox(struct vm *vm)
{
    struct machine *m = machine_get();

    flash_sync(m);
    for (unsigned i = 0; i < m->n_ctl; i++)
        controller_timeouts_look(&m->ctl[i]);
    for (unsigned i = 0; i < vm->plan.smp; i++) {
        struct abi_mailbox *shared = &vm->page->mbox[i], q;
        uint32_t req = __atomic_load_n(&shared->req, __ATOMIC_ACQUIRE);

        if (req == __atomic_load_n(&shared->done, __ATOMIC_RELAXED))
            continue;
        q.op = __atomic_load_n(&shared->op, __ATOMIC_RELAXED);
        q.size = __atomic_load_n(&shared->size, __ATOMIC_RELAXED);
        q.addr = __atomic_load_n(&shared->addr, __ATOMIC_RELAXED);
        q.value = __atomic_load_n(&shared->value, __ATOMIC_RELAXED);
        q.value = request_ok(&q) ? request_run(m, &q) & ones(q.size) : ~(uint64_t)0;
        __atomic_store_n(&shared->value, q.value, __ATOMIC_RELAXED);
        __atomic_store_n(&shared->done, req, __ATOMIC_RELEASE);
        syscall(SYS_futex, &shared->done, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    }
}
