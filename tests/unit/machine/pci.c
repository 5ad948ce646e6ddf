/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration space, BAR sizing and decoding, the published address map, MSI-X table and PBA. */
#include "tests/unit/machine/fixture.h"
#include "tests/unit/machine/tap.h"

#include <linux/pci_regs.h>
#include <string.h>

#define BAR(i) (PCI_BASE_ADDRESS_0 + 4 * (i))

static void disk_plan(struct plan *p, unsigned n)
{
    p->n_disk = n;
    for (unsigned i = 0; i < n; i++) {
        snprintf(p->disk[i].id, sizeof(p->disk[i].id), "virtio%u", i);
        p->disk[i].used = true;
        p->disk[i].pci_slot = p->disk[i].rom = p->disk[i].bootindex = -1;
    }
}

static struct vm *machine(void)
{
    struct vm *vm = fix_vm(64 << 20);
    char err[256] = "";

    disk_plan(&vm->plan, 1);
    vm->plan.n_net = 1;
    strcpy(vm->plan.net[0].id, "net0");
    vm->plan.net[0].has_card = true;
    vm->plan.net[0].pci_slot = vm->plan.net[0].rom = vm->plan.net[0].bootindex = -1;
    ok(!machine_build(vm, err, sizeof(err)), "machine built");
    ok(!machine_reset(vm), "machine reset");
    return vm;
}

static void test_identity(struct vm *vm)
{
    ok(fix_pci_read(vm, 0, 0, 0, 4) == 0x12378086, "host bridge");
    ok(fix_pci_read(vm, 1, 0, 0, 4) == 0x70008086, "ISA bridge");
    ok(fix_pci_read(vm, 1, 0, PCI_HEADER_TYPE, 1) == 0x80, "ISA bridge is multifunction");
    ok(fix_pci_read(vm, 1, 3, 0, 4) == 0x71138086, "PM function");
    ok(fix_pci_read(vm, 3, 0, 0, 4) == 0x10001af4, "card in slot 3, transitional");
    ok(fix_pci_read(vm, 4, 0, 0, 4) == 0x10011af4, "disk in slot 4, transitional");
    ok(fix_pci_read(vm, 4, 0, PCI_SUBSYSTEM_ID, 2) == 2, "subsystem ID = virtio device ID");
    ok(fix_pci_read(vm, 5, 0, 0, 4) == 0xffffffff, "absent function: all-ones");
    ok(fix_pci_read(vm, 5, 0, 0, 2) == 0xffff, "absent function: all-ones, 16 bits");
    ok(fix_mbox(vm, ABI_MBOX_PCI_READ, 1 << 16, 4, 0) == 0xffffffff, "bus 1: all-ones");
    ok(fix_pci_read(vm, 3, 0, PCI_INTERRUPT_LINE, 2) == 0x010b, "slot 3: IRQ 11, INTA#");
    ok(fix_pci_read(vm, 4, 0, PCI_INTERRUPT_LINE, 1) == 11 && vm->page->isr[0].gsi == 11,
       "isr[].gsi agrees with the interrupt line");
    fix_pci_write(vm, 0, 0, 0, 4, 0);
    ok(fix_pci_read(vm, 0, 0, 0, 4) == 0x12378086, "IDs are read-only");
    ok(fix_mbox(vm, ABI_MBOX_PCI_READ, 0, 3, 0) == ~0ull, "odd size answered with all-ones");
    ok(fix_mbox(vm, 99, 0, 4, 0) == 0xffffffff, "unknown operation answered with all-ones");
}

static void test_bars(struct vm *vm)
{
    uint32_t io = fix_pci_read(vm, 4, 0, BAR(0), 4), mem = fix_pci_read(vm, 4, 0, BAR(1), 4);

    ok((io & 3) == 1 && (io & ~3u) >= 0xc000, "I/O BAR assigned from 0xC000");
    fix_pci_write(vm, 4, 0, PCI_COMMAND, 2, 0);
    ok(!fix_map_find(vm, true, io & ~3u), "decoding off: ports unmapped");
    fix_pci_write(vm, 4, 0, BAR(0), 4, 0xffffffff);
    ok(fix_pci_read(vm, 4, 0, BAR(0), 4) == 0xffffff81, "I/O BAR size 128");
    fix_pci_write(vm, 4, 0, BAR(1), 4, 0xffffffff);
    ok(fix_pci_read(vm, 4, 0, BAR(1), 4) == 0xfffff000, "MSI-X BAR size 4096");
    fix_pci_write(vm, 4, 0, BAR(4), 4, 0xffffffff);
    fix_pci_write(vm, 4, 0, BAR(5), 4, 0xffffffff);
    ok(fix_pci_read(vm, 4, 0, BAR(4), 4) == 0xffffc00c, "64-bit prefetchable BAR, size 16 KiB");
    ok(fix_pci_read(vm, 4, 0, BAR(5), 4) == 0xffffffff, "its upper half");
    fix_pci_write(vm, 4, 0, BAR(5), 4, 0);
    fix_pci_write(vm, 4, 0, BAR(2), 4, 0xffffffff);
    ok(fix_pci_read(vm, 4, 0, BAR(2), 4) == 0, "BAR that is not there");
    fix_pci_write(vm, 4, 0, BAR(4), 4, 0xf0000000);
    fix_pci_write(vm, 4, 0, BAR(0), 4, 0xe000);
    fix_pci_write(vm, 4, 0, BAR(1), 4, 0x1000); /* on top of RAM */
    fix_pci_write(vm, 4, 0, PCI_COMMAND, 2, 7);
    ok(fix_map_find(vm, false, 0x1000)->kind == ABI_MAP_RAM, "a BAR cannot hide RAM");
    ok(fix_map_find(vm, false, 0xf0000000)->kind == ABI_MAP_MAILBOX, "moved BAR is mapped");
    ok(fix_map_find(vm, false, 0xf0003000)->kind == ABI_MAP_KICK, "notify region");
    ok(fix_map_find(vm, false, 0xf0001000)->kind == ABI_MAP_ISR, "ISR byte");
    ok(fix_map_find(vm, true, 0xe010)->kind == ABI_MAP_KICK, "legacy notify port");
    ok(fix_map_find(vm, true, 0xe012)->kind == ABI_MAP_MAILBOX, "legacy status port");
    fix_pci_write(vm, 4, 0, BAR(1), 4, fix_pci_read(vm, 3, 0, BAR(1), 4));
    ok(!(vm->page->map.seq & 1) && fix_map_find(vm, false, fix_pci_read(vm, 3, 0, BAR(1), 4)),
       "two BARs at one place: the first function keeps it");
    ok(mem != fix_pci_read(vm, 3, 0, BAR(1), 4), "BARs were assigned apart");
}

static void test_reset(struct vm *vm)
{
    ok(!machine_reset(vm), "reset");
    ok(fix_pci_read(vm, 4, 0, BAR(4), 4) >> 28 == 0xe, "BARs back to firmware's assignment");
    ok((fix_pci_read(vm, 4, 0, PCI_COMMAND, 2) & 7) == 3, "decoding on, bus mastering off");
    for (unsigned i = 1; i < vm->page->map.count; i++)
        ok(vm->page->map.mem[i - 1].gpa + vm->page->map.mem[i - 1].size <= vm->page->map.mem[i].gpa,
           "map sorted, no overlap");
}

static unsigned cap_find(struct vm *vm, unsigned id)
{
    unsigned at = fix_pci_read(vm, 4, 0, PCI_CAPABILITY_LIST, 1);

    for (unsigned i = 0; at && i < 48; i++, at = fix_pci_read(vm, 4, 0, at + 1, 1))
        if (fix_pci_read(vm, 4, 0, at, 1) == id)
            return at;
    return 0;
}

static void test_msix(struct vm *vm)
{
    struct virtio_dev *d = machine_virtio_find(machine_get(), "virtio0");
    struct abi_irq_route *r = &vm->page->route[d->call0];
    unsigned cap = cap_find(vm, PCI_CAP_ID_MSIX);
    uint64_t bar = fix_pci_read(vm, 4, 0, BAR(1), 4);
    uint64_t common = fix_pci_read(vm, 4, 0, BAR(4), 4) & ~0xfull;

    ok(cap && (fix_pci_read(vm, 4, 0, cap + 2, 2) & 0x7ff) == 1, "MSI-X capability, 2 vectors");
    ok(fix_mbox(vm, ABI_MBOX_MEM_READ, bar + 12, 4, 0) == 1, "vectors start masked");
    fix_pci_write(vm, 4, 0, PCI_COMMAND, 2, 7);
    fix_pci_write(vm, 4, 0, cap + 2, 2, 0x8000);
    fix_mbox(vm, ABI_MBOX_MEM_WRITE, common + 26, 2, 1); /* queue 0 -> vector 1 */
    ok(fix_mbox(vm, ABI_MBOX_MEM_READ, common + 26, 2, 0) == 1, "vector accepted");
    fix_mbox(vm, ABI_MBOX_MEM_WRITE, bar + 16, 8, 0xfee01000);
    fix_mbox(vm, ABI_MBOX_MEM_WRITE, bar + 24, 4, 0x41);
    ok(r->flags == (ABI_ROUTE_VALID | ABI_ROUTE_MSI | ABI_ROUTE_MASKED), "masked route");
    ok(r->msi_addr == 0xfee01000 && r->msi_data == 0x41, "message");
    __atomic_store_n(&r->pending, 1, __ATOMIC_SEQ_CST);
    ok(fix_mbox(vm, ABI_MBOX_MEM_READ, bar + 2048, 8, 0) == 2, "PBA shows vector 1");
    fix_eventfd_take(vm->call_fd[d->call0]);
    fix_mbox(vm, ABI_MBOX_MEM_WRITE, bar + 28, 4, 0);
    ok(r->flags == (ABI_ROUTE_VALID | ABI_ROUTE_MSI), "unmasked route");
    ok(fix_eventfd_take(vm->call_fd[d->call0]) == 1 && !r->pending, "pending one injected again");
    fix_pci_write(vm, 4, 0, cap + 2, 2, 0xc000);
    ok(r->flags & ABI_ROUTE_MASKED, "function mask");
    fix_pci_write(vm, 4, 0, cap + 2, 2, 0x8000);
    fix_pci_write(vm, 4, 0, PCI_COMMAND, 2, 3);
    ok(r->flags & ABI_ROUTE_MASKED, "no bus mastering: held back");
    fix_pci_write(vm, 4, 0, PCI_COMMAND, 2, 7);
    fix_mbox(vm, ABI_MBOX_MEM_WRITE, bar + 13, 1, 1);
    ok(!(r->flags & ABI_ROUTE_MASKED), "byte access to the table has no effect");
    fix_mbox(vm, ABI_MBOX_MEM_WRITE, common + 26, 2, 2);
    ok(fix_mbox(vm, ABI_MBOX_MEM_READ, common + 26, 2, 0) == 0xffff && !r->flags,
       "vector that does not exist: NO_VECTOR, no route");
    fix_pci_write(vm, 4, 0, cap + 2, 2, 0);
    ok(!r->flags, "INTx before DRIVER_OK: no route");
    fix_pci_write(vm, 4, 0, PCI_COMMAND, 2, 0x407);
    ok(vm->page->isr[d->isr_slot].disabled == 1, "INTx disable");
}

/* Section 4.1.4.9: the same registers through configuration space. */
static void test_cfg_window(struct vm *vm)
{
    unsigned cap = cap_find(vm, PCI_CAP_ID_VNDR);

    while (cap && fix_pci_read(vm, 4, 0, cap + 3, 1) != 5)
        cap = fix_pci_read(vm, 4, 0, cap + 1, 1);
    ok(cap != 0, "PCI_CFG capability");
    fix_pci_write(vm, 4, 0, cap + 4, 1, 4);
    fix_pci_write(vm, 4, 0, cap + 8, 4, 18);
    fix_pci_write(vm, 4, 0, cap + 12, 4, 2);
    ok((fix_pci_read(vm, 4, 0, cap + 16, 4) & 0xffff) == 1, "num_queues read through the window");
    fix_pci_write(vm, 4, 0, cap + 8, 4, 0xfffffffe);
    fix_pci_write(vm, 4, 0, cap + 16, 4, 0xffffffff);
    ok(fix_pci_read(vm, 4, 0, cap + 16, 4) == 0xffffffff, "offset outside of the BAR: nothing");
}

static void test_info(struct vm *vm)
{
    char text[4096];

    machine_info_pci(vm, text, sizeof(text));
    ok(strstr(text,
              "  Bus  0, device   3, function 0:\n    Ethernet controller: PCI device 1af4:1000"),
       "info pci: card");
    ok(strstr(text, "      BAR0: I/O at 0xc0"), "info pci: BAR");
    ok(machine_info_pci(vm, text, 20) < 20, "info pci: short buffer");
}

static void test_places(void)
{
    struct vm *vm = fix_vm(64 << 20);
    char err[256] = "";

    disk_plan(&vm->plan, 2);
    vm->plan.disk[1].pci_slot = 3;
    vm->plan.disk[1].disable_legacy = true;
    ok(!machine_build(vm, err, sizeof(err)) && !machine_reset(vm), "user's address first");
    ok(fix_pci_read(vm, 3, 0, 0, 4) == 0x10421af4, "modern-only disk where the user put it");
    ok(fix_pci_read(vm, 3, 0, PCI_REVISION_ID, 1) == 1, "revision 1");
    ok(!(fix_pci_read(vm, 3, 0, BAR(0), 4)), "no legacy BAR");
    ok(fix_pci_read(vm, 4, 0, 0, 4) == 0x10011af4, "the other one beside it");
    vm->plan.disk[0].pci_slot = 3;
    ok(machine_build(vm, err, sizeof(err)) < 0 && strstr(err, "slot 3"), "same address twice");
    disk_plan(&vm->plan, PLAN_DISKS_MAX);
    vm->n_kick = vm->n_call = 0;
    ok(!machine_build(vm, err, sizeof(err)) && !machine_reset(vm), "as many disks as a plan can have");
    ok(vm->page->map.count <= ABI_MAP_MAX && vm->page->map.io_count <= ABI_IO_MAX, "all in the map");
}

static bool map_sound(const struct abi_addr_map *m)
{
    for (unsigned i = 0; i < m->count; i++) {
        const struct abi_map_entry *e = &m->mem[i];

        if (i && m->mem[i - 1].gpa + m->mem[i - 1].size > e->gpa)
            return false;
        if (e->kind != ABI_MAP_RAM && (e->gpa < 0x80000000u || e->gpa + e->size > PCI_MMIO_END) &&
            (e->gpa < 1ull << 32 || e->gpa + e->size > 1ull << 40))
            return false;
    }
    for (unsigned i = 1; i < m->io_count; i++)
        if (m->io[i - 1].gpa + m->io[i - 1].size > m->io[i].gpa)
            return false;
    return !(m->seq & 1);
}

/* A guest that writes anything anywhere: the map stays sound, every request is answered. */
static void test_random(void)
{
    struct vm *vm = machine();
    uint64_t x = 0x9e3779b97f4a7c15ull;
    bool sound = true;

    for (unsigned i = 0; i < 200000 && sound; i++) {
        uint64_t addr, r[3];

        for (unsigned k = 0; k < 3; k++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            r[k] = x;
        }
        if (r[0] % 3 == 0)
            addr = PCI_MMIO_ASSIGN + r[1] % 0x12000;
        else if (r[0] % 3 == 1)
            addr = 0xc000 + r[1] % 0x120;
        else
            addr = (3 + r[1] % 2) << 11 | (r[1] >> 8) % 256;
        fix_mbox(vm, (enum abi_mbox_op)(1 + r[0] / 3 % 6), addr, 1u << (r[0] >> 40) % 4,
                 r[2] >> (r[0] >> 50) % 64);
        sound = map_sound(&vm->page->map);
    }
    ok(sound, "random accesses: address map always sound");
    ok(!machine_reset(vm) && fix_pci_read(vm, 4, 0, 0, 4) == 0x10011af4, "and a reset heals it");
}

int main(void)
{
    struct vm *vm = machine();

    test_identity(vm);
    test_bars(vm);
    test_reset(vm);
    test_msix(vm);
    test_cfg_window(vm);
    test_info(vm);
    test_places();
    test_random();
    return tap_end();
}
