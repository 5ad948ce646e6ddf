/* SPDX-License-Identifier: Apache-2.0 */
/* A VM of memory only: RAM, machine page, eventfds, a synthetic kernel. Stands in for vmm/main. */
#include "tests/unit/machine/fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/cpu-model.h"

unsigned fix_broken;

static int slots_alloc(int *fd, unsigned *used, unsigned max, unsigned n)
{
    unsigned first = *used;

    if (n > max - first)
        return -1;
    for (unsigned i = 0; i < n; i++)
        fd[first + i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    *used += n;
    return (int)first;
}

int vm_alloc_kicks(struct vm *vm, unsigned n)
{
    return slots_alloc(vm->kick_fd, &vm->n_kick, ABI_KICK_MAX, n);
}

int vm_alloc_calls(struct vm *vm, unsigned n)
{
    return slots_alloc(vm->call_fd, &vm->n_call, ABI_CALL_MAX, n);
}

uint32_t fix_exit = UINT32_MAX;

void vm_guest_exit(struct vm *vm, uint32_t value)
{
    (void)vm;
    fix_exit = value;
}

void vm_backend_broken(struct vm *vm, const char *id, const char *why)
{
    (void)why;
    fix_broken++;
    machine_backend_down(vm, id);
}

int fix_memfd(const void *data, size_t len)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    if (fd < 0 || write(fd, data, len) != (ssize_t)len)
        abort();
    return fd;
}

size_t fix_bzimage(uint8_t *out, uint16_t version, bool kernel64)
{
    struct setup_header h = {
        .setup_sects = 4,
        .syssize = FIX_KERNEL_LEN / 16,
        .boot_flag = 0xaa55,
        .jump = 0x6aeb, /* header ends at 0x202 + 0x6a */
        .header = 0x53726448,
        .version = version,
        .loadflags = LOADED_HIGH,
        .code32_start = 0x100000,
        .initrd_addr_max = 0x7fffffff,
        .kernel_alignment = 0x200000,
        .relocatable_kernel = 1,
        .xloadflags = kernel64 ? XLF_KERNEL_64 : 0,
        .cmdline_size = 2047,
        .pref_address = 0x1000000,
        .init_size = FIX_INIT_SIZE,
    };

    memset(out, 0, 5 * 512);
    memcpy(out + 0x1f1, &h, sizeof(h));
    for (unsigned i = 0; i < FIX_KERNEL_LEN; i++)
        out[5 * 512 + i] = (uint8_t)(i * 7 + (i >> 8));
    return 5 * 512 + FIX_KERNEL_LEN;
}

static void plan_fill(struct plan *p)
{
    static uint8_t file[5 * 512 + FIX_KERNEL_LEN], initrd[5000];
    size_t len = fix_bzimage(file, 0x20f, true);

    memset(initrd, 0x5a, sizeof(initrd));
    p->smp = 1;
    p->bios_rom = -1;
    strcpy(p->cpu, "max");
    cpu_model_host(&p->cpu_model);
    strcpy(p->kernel, "vmlinuz");
    strcpy(p->initrd, "initrd.gz");
    strcpy(p->append, "console=ttyS0");
    p->kernel_fd = fix_memfd(file, len);
    p->initrd_fd = fix_memfd(initrd, sizeof(initrd));
    p->serial[0] = 0;
    p->serial[1] = p->serial[2] = p->serial[3] = -1;
}

struct vm *fix_vm(uint64_t ram)
{
    static struct vm vms[4]; /* a VM lives as long as the test */
    static unsigned used;
    struct vm *vm = &vms[used++];

    if (used > 4 || ipc_loop_init(&vm->loop))
        abort();
    plan_fill(&vm->plan);
    vm->page =
        mmap(NULL, sizeof(*vm->page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    vm->ram_fd = memfd_create("ram", MFD_CLOEXEC);
    if (ftruncate(vm->ram_fd, (off_t)ram))
        abort();
    vm->ram = mmap(NULL, ram, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, vm->ram_fd, 0);
    vm->ram_size = vm->plan.mem = ram;
    vm->board_size = 32 << 20;
    vm->board = mmap(NULL, vm->board_size, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    vm->doorbell_vmm = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    vm->doorbell_worker = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (vm->page == MAP_FAILED || vm->ram == MAP_FAILED)
        abort();
    return vm;
}

uint64_t fix_mbox(struct vm *vm, enum abi_mbox_op op, uint64_t addr, unsigned size, uint64_t value)
{
    struct abi_mailbox *q = &vm->page->mbox[0];

    q->op = op;
    q->addr = addr;
    q->size = size;
    q->value = value;
    __atomic_fetch_add(&q->req, 1, __ATOMIC_RELEASE);
    machine_mailbox(vm);
    if (__atomic_load_n(&q->done, __ATOMIC_ACQUIRE) != q->req)
        abort();
    return q->value;
}

static uint64_t cfg_addr(unsigned slot, unsigned fn, unsigned reg)
{
    return slot << 11 | fn << 8 | reg;
}

uint32_t fix_pci_read(struct vm *vm, unsigned slot, unsigned fn, unsigned reg, unsigned size)
{
    return (uint32_t)fix_mbox(vm, ABI_MBOX_PCI_READ, cfg_addr(slot, fn, reg), size, 0);
}

void fix_pci_write(struct vm *vm, unsigned slot, unsigned fn, unsigned reg, unsigned size,
                   uint32_t v)
{
    fix_mbox(vm, ABI_MBOX_PCI_WRITE, cfg_addr(slot, fn, reg), size, v);
}

const struct abi_map_entry *fix_map_find(struct vm *vm, bool io, uint64_t addr)
{
    struct abi_addr_map *m = &vm->page->map;
    struct abi_map_entry *e = io ? m->io : m->mem;
    unsigned n = io ? m->io_count : m->count;

    for (unsigned i = 0; i < n; i++)
        if (addr >= e[i].gpa && addr < e[i].gpa + e[i].size)
            return &e[i];
    return NULL;
}

uint64_t fix_eventfd_take(int fd)
{
    uint64_t n = 0;

    return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}
