/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a VM and its serial rings: sealed, sized, refused in one line; hostile ring indexes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ipc/abi/codepage.h"
#include "tests/unit/supervise/tap.h"
#include "vmm/lifecycle.h"
#include "vmm/memory/guest-memory.h"

static struct vm vm;

static bool sealed(int fd)
{
    struct stat st;
    int want = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

    return fcntl(fd, F_GET_SEALS) == want && ftruncate(fd, 1) < 0 && fstat(fd, &st) == 0 &&
           (st.st_mode & 0777) == 0400;
}

static void test_create(void)
{
    char err[200] = "";
    uint64_t pages = 0;

    mem_init_fds(&vm);
    vm.plan.mem = 8 << 20;
    vm.plan.smp = 1;
    ok(mem_create(&vm, err, sizeof(err)) == 0, "8 MiB");
    ok(sealed(vm.ram_fd) && sealed(vm.page_fd) && sealed(vm.codepage_fd), "sealed, mode 0400");
    ok(vm.page->magic == ABI_MACHINE_MAGIC && vm.page->size == sizeof(*vm.page), "machine page");
    ok(pread(vm.codepage_fd, &pages, 8, offsetof(struct abi_codepage, pages)) == 8 &&
           pages == 2048 + MEM_BOARD_SIZE / 4096,
       "code-page map knows its size");
    ok(vm_alloc_kicks(&vm, 2) == 0 && vm_alloc_kicks(&vm, 3) == 2 && vm.n_kick == 5, "kick slots");
    ok(vm_alloc_kicks(&vm, ABI_KICK_MAX) == -1 && vm.n_kick == 5, "too many: none at all");
    ok(vm_alloc_calls(&vm, ABI_CALL_MAX) == 0 && vm_alloc_calls(&vm, 1) == -1, "call slots");
}

static void test_too_big(void)
{
    static struct vm big;
    char err[200] = "";

    mem_init_fds(&big);
    big.plan.mem = 1ull << 62;
    ok(mem_create(&big, err, sizeof(err)) < 0 && strstr(err, "-m: cannot set up") == err &&
           !strchr(err, '\n'),
       "too much memory: one line");
    ok(big.ram_fd == -1 && big.page_fd == -1, "and nothing left open");
}

static void test_serial_out(void)
{
    struct abi_char_ring *tx = &vm.page->serial[0].tx;
    uint8_t buf[64];
    uint64_t n;

    memcpy(tx->data, "hello", 5);
    tx->head = 5;
    ok(vm_serial_read(&vm, 0, buf, 3) == 3 && vm_serial_read(&vm, 0, buf + 3, 60) == 2 &&
           !memcmp(buf, "hello", 5),
       "guest output");
    ok(read(vm.doorbell_worker, &n, 8) < 0, "no doorbell for a ring that was not full");
    tx->head = 5 + ABI_CHAR_RING;
    ok(vm_serial_read(&vm, 0, buf, 64) == 64 && read(vm.doorbell_worker, &n, 8) == 8,
       "doorbell after taking from a full ring");
    tx->head = 0x80000000u;
    ok(vm_serial_read(&vm, 0, buf, 64) == 0, "an impossible index gives nothing");
    tx->head += 4;
    ok(vm_serial_read(&vm, 0, buf, 64) == 4, "and the ring goes on from there");
    tx->tail = 0x1234;
    tx->head += 2;
    ok(vm_serial_read(&vm, 0, buf, 64) == 2, "our own index is not read back");
    ok(vm_serial_read(&vm, ABI_SERIAL_MAX, buf, 64) == 0, "no such port");
}

static void test_serial_in(void)
{
    struct abi_char_ring *rx = &vm.page->serial[1].rx;
    static uint8_t big[ABI_CHAR_RING + 100];

    ok(vm_serial_write(&vm, 1, big, sizeof(big)) == ABI_CHAR_RING, "as much as there is room for");
    ok(vm_serial_write(&vm, 1, big, 1) == 0, "full");
    rx->tail = 10;
    ok(vm_serial_write(&vm, 1, big, 100) == 10, "room again");
    rx->tail = rx->head + 50;
    ok(vm_serial_write(&vm, 1, big, 100) == 0, "a consumer ahead of us gets nothing");
}

int main(void)
{
    test_create();
    test_too_big();
    serial_rings_init(&vm);
    test_serial_out();
    test_serial_in();
    mem_destroy(&vm);
    ok(vm.ram == NULL && vm.n_kick == 0, "all released");
    return tap_end();
}
