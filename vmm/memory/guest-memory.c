/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the memfds of a VM. A memfd is sealed against resizing before anyone else sees it, because a
 * process that could shrink it would kill every other one that maps it (SIGBUS). Must never hand
 * out a descriptor whose size can still change.
 */
#include "vmm/memory/guest-memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ipc/abi/codepage.h"
#include "ipc/abi/machine-page.h"
#include "ipc/abi/topology.h"
#include "ipc/memfd.h"
#include "ipc/abi/xl-shared.h"

/* Mode 0400 makes reopening through /proc with write access fail for every other UID, so a
 * descriptor that was passed read-only stays read-only (docs/architecture.md, 7). */
static int sealed_memfd(const char *name, uint64_t size)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -errno;
    if (fchmod(fd, 0400) < 0 || ftruncate(fd, (off_t)size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        int e = errno;
        close(fd);
        return -e;
    }
    return fd;
}

static void *map_shared(int fd, uint64_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);

    return p == MAP_FAILED ? NULL : p;
}

int mem_device_state_create(const char *name)
{
    return sealed_memfd(name, MEM_DEVICE_STATE_SIZE);
}

static int create_board(struct vm *vm)
{
    vm->board_fd = sealed_memfd("board-memory", MEM_BOARD_SIZE);
    if (vm->board_fd < 0)
        return vm->board_fd;
    vm->board_size = MEM_BOARD_SIZE;
    vm->board = map_shared(vm->board_fd, vm->board_size);
    return vm->board ? 0 : -errno;
}

static int create_ram(struct vm *vm)
{
    int fd = sealed_memfd("guest-ram", vm->plan.mem);

    if (fd < 0)
        return fd;
    vm->ram_fd = fd;
    vm->ram_size = vm->plan.mem;
    vm->ram = map_shared(fd, vm->ram_size);
    if (!vm->ram)
        return -errno;
    /* Both are wishes: a kernel without huge shmem pages, or an old one, just says no. */
    (void)madvise(vm->ram, vm->ram_size, MADV_HUGEPAGE);
    (void)madvise(vm->ram, vm->ram_size, MADV_DONTDUMP);
    return 0;
}

static int create_machine_page(struct vm *vm)
{
    int fd = sealed_memfd("machine-page", sizeof(struct abi_machine_page));

    if (fd < 0)
        return fd;
    vm->page_fd = fd;
    vm->page = map_shared(fd, sizeof(struct abi_machine_page));
    if (!vm->page)
        return -errno;
    vm->page->magic = ABI_MACHINE_MAGIC;
    vm->page->version = ABI_MACHINE_VERSION;
    vm->page->size = sizeof(struct abi_machine_page);
    vm->page->vcpus = vm->plan.smp;
    vm->page->slot_size[ABI_SLOT_RAM] = vm->ram_size;
    vm->page->slot_size[ABI_SLOT_BOARD] = vm->board_size;
    for (unsigned i = 0; i < vm->plan.smp && i < ABI_VCPU_MAX; i++)
        vm->page->run[i].apic_id = topo_apic_id(&vm->plan.topology, i);
    return 0;
}

static int create_input(struct vm *vm)
{
    int fd = sealed_memfd("input", 4096);
    struct abi_input_page *p = fd < 0 ? NULL : map_shared(fd, 4096);

    if (!p)
        return fd < 0 ? fd : -errno;
    vm->input_fd = fd;
    p->magic = ABI_INPUT_MAGIC;
    munmap(p, 4096);
    return 0;
}

static int create_display(struct vm *vm)
{
    uint64_t size = ABI_DISPLAY_VRAM + ((uint64_t)vm->plan.vga.mem_mib << 20);
    int fd;

    if (!vm->plan.vga.present)
        return 0;
    fd = sealed_memfd("display", size);
    if (fd < 0)
        return fd;
    vm->display_fd = fd;
    vm->display = map_shared(fd, size);
    vm->display_ro_fd = ipc_memfd_readonly(fd);
    if (!vm->display)
        return -ENOMEM;
    if (vm->display_ro_fd < 0)
        return vm->display_ro_fd;
    vm->display_size = size;
    vm->page->slot_size[ABI_SLOT_DISPLAY] = size;
    vm->display->magic = ABI_DISPLAY_MAGIC;
    vm->display->version = ABI_DISPLAY_VERSION;
    vm->display->size = (uint32_t)size;
    vm->display->vram_size = (uint32_t)(size - ABI_DISPLAY_VRAM);
    return 0;
}

/* Only the page count is written here; the map itself belongs to the engine and the devices. */
static int create_codepage_map(struct vm *vm)
{
    struct abi_codepage *cp;
    uint64_t all = 0;
    int fd;

    for (unsigned i = 0; i < ABI_RAM_MAX; i++)
        all += vm->page->slot_size[i];
    fd = sealed_memfd("code-pages", abi_codepage_size(all));

    if (fd < 0)
        return fd;
    vm->codepage_fd = fd;
    cp = map_shared(fd, sizeof(*cp));
    if (!cp)
        return -errno;
    cp->pages = all / 4096;
    munmap(cp, sizeof(*cp));
    return 0;
}

/* A second, read-only description of the same memfd. */
static int reopen_read_only(int fd)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int ro = open(path, O_RDONLY | O_CLOEXEC);
    return ro < 0 ? -errno : ro;
}
/* Each side gets a descriptor that allows what it may do: the worker cannot make the cache writable, the
 * translator cannot write what it was asked (decision 0010). */
static int create_translations(struct vm *vm)
{
    if (!vm->plan.tb_size)
        return 0;
    vm->xl_cache_fd = sealed_memfd("translations", vm->plan.tb_size);
    vm->xl_rings_fd = sealed_memfd("translation-asks", xl_rings_size(vm->plan.smp));
    vm->xl_bell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (vm->xl_cache_fd < 0 || vm->xl_rings_fd < 0 || vm->xl_bell_fd < 0)
        return vm->xl_cache_fd < 0 ? vm->xl_cache_fd : vm->xl_rings_fd < 0 ? vm->xl_rings_fd : -errno;
    vm->xl_cache_ro_fd = reopen_read_only(vm->xl_cache_fd);
    vm->xl_rings_ro_fd = reopen_read_only(vm->xl_rings_fd);
    return vm->xl_cache_ro_fd < 0 ? vm->xl_cache_ro_fd : vm->xl_rings_ro_fd < 0 ? vm->xl_rings_ro_fd : 0;
}

int mem_create(struct vm *vm, char *err, size_t errlen)
{
    int r = create_ram(vm);

    if (r < 0) {
        snprintf(err, errlen, "-m: cannot set up %llu MiB of guest memory: %s",
                 (unsigned long long)(vm->plan.mem >> 20), strerror(-r));
        mem_destroy(vm);
        return r;
    }
    r = create_board(vm);
    if (r == 0)
        r = create_machine_page(vm);
    if (r == 0)
        r = create_display(vm);
    if (r == 0)
        r = create_input(vm);
    if (r == 0)
        r = create_codepage_map(vm);
    if (r == 0)
        r = mem_doorbells_create(vm);
    if (r == 0)
        r = create_translations(vm);
    if (r < 0) {
        snprintf(err, errlen, "cannot set up the VM's shared memory: %s", strerror(-r));
        mem_destroy(vm);
    }
    return r;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void mem_destroy(struct vm *vm)
{
    if (vm->ram)
        munmap(vm->ram, vm->ram_size);
    if (vm->board)
        munmap(vm->board, vm->board_size);
    if (vm->page)
        munmap(vm->page, sizeof(struct abi_machine_page));
    if (vm->display)
        munmap(vm->display, vm->display_size);
    vm->display = NULL;
    vm->display_size = 0;
    vm->ram = vm->board = NULL;
    vm->page = NULL;
    close_fd(&vm->ram_fd);
    close_fd(&vm->board_fd);
    close_fd(&vm->page_fd);
    close_fd(&vm->codepage_fd);
    close_fd(&vm->input_fd);
    close_fd(&vm->display_fd);
    close_fd(&vm->display_ro_fd);
    close_fd(&vm->xl_cache_fd);
    close_fd(&vm->xl_cache_ro_fd);
    close_fd(&vm->xl_rings_fd);
    close_fd(&vm->xl_rings_ro_fd);
    close_fd(&vm->xl_bell_fd);
    mem_eventfds_close(vm);
}
