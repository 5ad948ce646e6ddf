/* SPDX-License-Identifier: Apache-2.0 */
/* The address map, kicks, ISR bytes, PCI ports and the mailbox, with a thread in the vmm's place.
 * The address map, kicks, ISR bytes, PCI ports and the mailbox, with a thread in the vmm's
 * place. */
#include "fixture.h"
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "cpu-worker/mmio/mmio.h"
#include "cpu-worker/run/run.h"
#include "ipc/fds.h"

#define RAM_SIZE (1u << 20)

static struct fixture f;
static struct mmu_host mem;
static struct cpu *cpu;
static uint8_t *ram;
static struct abi_mailbox last; /* what the "vmm" saw */
static bool change_map;

static void map_begin(void)
{
    f.page->map.seq++;
}
static void map_end(void)
{
    f.page->map.seq++;
}
static void map_fill(void)
{
    static const struct abi_map_entry m[] = {
        {0x0, 0xa0000, ABI_MAP_RAM, 0, 0},
        {0xc0000, 0x10000, ABI_MAP_ROM, 0, 0xc0000},
        {0xd0000, 0x200000, ABI_MAP_RAM, 0, 0},          /* larger than the memfd */
        {0x100000000, 0x1000, ABI_MAP_RAM, 0, 0xff000},
        {0x90000, 0x1000, ABI_MAP_RAM, 0, 0},            /* overlaps: not sorted */
        {0x200000000, 0x1000, ABI_MAP_KICK, 4, 0},
        {0x200001000, 4, ABI_MAP_ISR, 2, 0},
        {0x200002000, 0x1000, ABI_MAP_MAILBOX, 0, 0},
        {0x200003000, 0x1000, ABI_MAP_ISR, 99, 0},       /* no such slot */
        {UINT64_MAX - 0xfff, 0x1000, ABI_MAP_RAM, 0, 0}, /* would wrap */
    };
    static const struct abi_map_entry io[] = {
        {0xc010, 2, ABI_MAP_KICK, 8, 0},
        {0xc013, 1, ABI_MAP_ISR, 2, 0},
        {0xc014, 0x20, ABI_MAP_MAILBOX, 0, 0},
    };
    map_begin();
    memcpy(f.page->map.mem, m, sizeof(m));
    memcpy(f.page->map.io, io, sizeof(io));
    f.page->map.count = sizeof(m) / sizeof(m[0]);
    f.page->map.io_count = sizeof(io) / sizeof(io[0]);
    map_end();
}

static void test_memory(void)
{
    bool w;
    uint64_t off = 0;
    CHECK(!mem_host(&mem, 0x1000, &w, &off)); /* nothing published yet */
    map_fill();
    CHECK(mmio_map_changed(&mem));
    CHECK(mem_host(&mem, 0x1234, &w, &off) == ram + 0x1234);
    CHECK(w && off == 0x1234);
    CHECK(!mmio_map_changed(&mem));
    CHECK(mem_host(&mem, 0xc0010, &w, &off) == ram + 0xc0010);
    CHECK(!w);
    CHECK(!mem_host(&mem, 0xa0000, &w, NULL));
    CHECK(!mem_host(&mem, 0xd0000, &w, NULL)); /* invalid entries are as if absent */
    CHECK(!mem_host(&mem, UINT64_MAX, &w, NULL));
    CHECK(mem_host(&mem, 0x100000fff, &w, &off) == ram + 0xfffff);
    CHECK_EQ(off, 0xfffff);
    CHECK_EQ(mmio_read(cpu, 0xa0000, 4), 0xffffffff); /* unmapped */
    mmio_write(cpu, 0x1000, 8, 0x1122334455667788);
    CHECK_EQ(mmio_read(cpu, 0x1004, 2), 0x3344);
    ram[0xc0000] = 0x55;
    mmio_write(cpu, 0xc0000, 1, 0xaa);
    CHECK_EQ(mmio_read(cpu, 0xc0000, 1), 0x55);
    mmio_a20_set(&mem, false);
    mmio_write(cpu, 0x5000, 1, 0x42);
    CHECK_EQ(mmio_read(cpu, 0x105000, 1), 0x42); /* wraps at 1 MiB */
    mmio_a20_set(&mem, true);
    CHECK_EQ(mmio_read(cpu, 0x105000, 1), 0xff);
    map_begin(); /* a writer in the middle: the old copy serves */
    CHECK(mem_host(&mem, 0x1234, &w, &off) == ram + 0x1234);
    map_end();
}

static void test_kick_and_isr(void)
{
    mem.kick[4] = ipc_eventfd_create();
    mem.kick[6] = ipc_eventfd_create();
    mem.kick[9] = ipc_eventfd_create();
    mmio_write(cpu, 0x200000000, 2, 0);
    CHECK_EQ(ipc_eventfd_drain(mem.kick[4]), 1);
    mmio_write(cpu, 0x200000008, 4, 2);
    CHECK_EQ(ipc_eventfd_drain(mem.kick[6]), 1);
    mmio_write(cpu, 0x200000ffc, 4, 0); /* queue 1023 of nobody */
    CHECK_EQ(mmio_read(cpu, 0x200000000, 4), 0);
    pio_write(cpu, 0xc010, 2, 1);
    CHECK_EQ(ipc_eventfd_drain(mem.kick[9]), 1);
    pio_write(cpu, 0xc010, 2, 0xffff);
    CHECK_EQ(ipc_eventfd_drain(mem.kick[9]), 0);
    lapic_on(&f);
    redir(&f, 10, 0x5a | 1 << 15);
    f.page->isr[2].gsi = 10;
    f.page->isr[2].bits = 3;
    chipset_isr_update(f.cs, 2);
    CHECK_EQ(ack(&f), 0x5a);
    CHECK_EQ(mmio_read(cpu, 0x200001000, 1), 3); /* reading lets go of the line */
    lapic_wr(&f, 0xb0, 0);
    CHECK_EQ(ack(&f), -2);
    CHECK_EQ(pio_read(cpu, 0xc013, 1), 0);
    CHECK_EQ(pio_read(cpu, 0x1234, 2), 0xffff);
}

static void *vmm(void *arg)
{
    struct abi_mailbox *b = &f.page->mbox[0];
    struct pollfd p = {.fd = mem.doorbell_vmm, .events = POLLIN};
    (void)arg;
    while (poll(&p, 1, 10000) == 1) {
        ipc_eventfd_drain(p.fd);
        uint32_t req = __atomic_load_n(&b->req, __ATOMIC_ACQUIRE);
        if (req == b->done)
            continue;
        last = *b;
        if (b->addr == 0x200002ff0)
            return NULL;
        if (change_map) {
            map_begin();
            f.page->map.mem[0].size = 0x80000;
            map_end();
        }
        b->value = 0xabcdef0123456789;
        __atomic_store_n(&b->done, req, __ATOMIC_RELEASE);
        syscall(SYS_futex, &b->done, FUTEX_WAKE, 1, NULL, NULL, 0);
    }
    return NULL;
}

static void test_mailbox(void)
{
    pthread_t t;
    mem.doorbell_vmm = ipc_eventfd_create();
    CHECK_EQ(pthread_create(&t, NULL, vmm, NULL), 0);
    CHECK_EQ(mmio_read(cpu, 0x200002004, 4), 0x23456789);
    CHECK(last.op == ABI_MBOX_MEM_READ && last.addr == 0x200002004 && last.size == 4);
    CHECK_EQ(mmio_read(cpu, 0x200002008, 8), 0xabcdef0123456789);
    mmio_write(cpu, 0x200002010, 2, 0x12345678);
    CHECK(last.op == ABI_MBOX_MEM_WRITE && last.value == 0x5678);
    CHECK_EQ(pio_read(cpu, 0xc014, 1), 0x89);
    CHECK(last.op == ABI_MBOX_IO_READ && last.addr == 0xc014);
    /* PCI: the address is latched here, data goes to the vmm with the byte register. */
    CHECK_EQ(pio_read(cpu, 0xcfc, 4), 0xffffffff); /* enable bit clear */
    pio_write(cpu, 0xcf8, 4, 0x80001a34);
    CHECK_EQ(pio_read(cpu, 0xcf8, 4), 0x80001a34);
    CHECK_EQ(pio_read(cpu, 0xcfe, 2), 0x6789);
    CHECK(last.op == ABI_MBOX_PCI_READ && last.addr == 0x1a36 && last.size == 2);
    cpu->flush_req = 0;
    change_map = true;
    pio_write(cpu, 0xcfc, 4, 0xfe000000);
    CHECK(last.op == ABI_MBOX_PCI_WRITE && last.addr == 0x1a34 && last.value == 0xfe000000);
    bool w;
    CHECK(cpu->flush_req && !mem_host(&mem, 0x80000, &w, NULL)); /* the new map is in force */
    pio_write(cpu, 0xcf9, 1, 0x06); /* not the PCI latch */
    CHECK_EQ(f.event, CHIPSET_EV_RESET);
    CHECK_EQ(pio_read(cpu, 0xcf8, 4), 0x80001a34);
    cpu->pause_req = 1; /* the vmm went silent and wants a pause: the access is given up */
    CHECK_EQ(mmio_read(cpu, 0x200002ff0, 4), 0xffffffff);
    pthread_join(t, NULL);
    cpu->pause_req = 0;
    mmio_stop(&mem);
    CHECK_EQ(mmio_read(cpu, 0x200002000, 1), 0xff);
}

int main(void)
{
    fixture_init(&f, 0);
    ram = aligned_alloc(4096, RAM_SIZE);
    memset(ram, 0, RAM_SIZE);
    cpu = aligned_alloc(64, (cpu_size() + 63) & ~(size_t)63);
    memset(cpu, 0, cpu_size());
    mmio_host_init(&mem, f.page, ram, RAM_SIZE);
    cpu->mem = &mem;
    cpu->page = f.page;
    cpu->chipset = f.cs;
    cpu->s = &f.page->vcpu[0];
    test_memory();
    test_kick_and_isr();
    test_mailbox();
    free(cpu);
    free(ram);
    fixture_fini(&f);
    return 0;
}
