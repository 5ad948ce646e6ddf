/* SPDX-License-Identifier: Apache-2.0 */
/* A machine with firmware: ROM at 4 GiB and below 1 MiB, shadow RAM, SMRAM and its lock, expansion ROMs, the
 * processor at the reset vector. */
#include "tests/unit/machine/fixture.h"
#include "tests/unit/machine/tap.h"

#include <linux/pci_regs.h>
#include <string.h>
#include "vmm/machine/machine.h"

#define BIOS (256u << 10)

static struct vm *machine(void)
{
    static uint8_t bios[BIOS];
    struct vm *vm = fix_vm(64 << 20);
    char err[256] = "";

    for (unsigned i = 0; i < BIOS; i++)
        bios[i] = (uint8_t)(i >> 10);
    vm->plan.kernel[0] = 0;
    vm->plan.n_rom = 1;
    vm->plan.bios_rom = 0;
    vm->plan.rom[0] = (struct plan_rom){.opt = "-bios", .path = "bios.bin", .fd = fix_memfd(bios, BIOS)};
    ok(!machine_build(vm, err, sizeof(err)) && !machine_reset(vm), "built without a kernel");
    return vm;
}

static bool is_ram(struct vm *vm, uint64_t gpa, enum abi_map_kind kind)
{
    const struct abi_map_entry *e = fix_map_find(vm, false, gpa);

    return e && e->kind == kind && e->slot == ABI_SLOT_RAM && e->offset + (gpa - e->gpa) == gpa;
}

static bool is_bios(struct vm *vm, uint64_t gpa, uint8_t first)
{
    const struct abi_map_entry *e = fix_map_find(vm, false, gpa);

    return e && e->kind == ABI_MAP_ROM && e->slot == ABI_SLOT_BOARD &&
           vm->board[e->offset + (gpa - e->gpa)] == first;
}

static void test_power_on(struct vm *vm)
{
    const struct abi_vcpu_state *v = &vm->page->vcpu[0];

    ok(is_bios(vm, 0xfffc0000u, 0) && is_bios(vm, 0xffffffffu, 255), "the BIOS ends at 4 GiB");
    ok(is_bios(vm, 0xe0000, 128) && is_bios(vm, 0xfffff, 255), "its last 128 KiB end at 1 MiB");
    ok(!fix_map_find(vm, false, 0xc0000) && !fix_map_find(vm, false, 0xdffff), "nothing at C0000-DFFFF");
    ok(is_ram(vm, 0x9ffff, ABI_MAP_RAM) && is_ram(vm, 0x100000, ABI_MAP_RAM), "RAM around");
    ok(v->rip == 0xfff0 && v->seg[ABI_CS].base == 0xffff0000u && !(v->cr0 & 1), "reset vector");
    ok(vm->page->map.smram_count == 0, "no SMRAM");
}

static void test_shadow(struct vm *vm)
{
    fix_pci_write(vm, 0, 0, 0x59, 1, 0x30);
    ok(is_ram(vm, 0xf0000, ABI_MAP_RAM) && is_bios(vm, 0xeffff, 191), "F segment is RAM, the rest is not");
    fix_pci_write(vm, 0, 0, 0x59, 1, 0x10);
    ok(is_ram(vm, 0xf0000, ABI_MAP_ROM), "write-protected");
    fix_pci_write(vm, 0, 0, 0x5a, 1, 0x31);
    ok(is_ram(vm, 0xc0000, ABI_MAP_ROM) && is_ram(vm, 0xc4000, ABI_MAP_RAM), "C0000 and C4000 apart");
    ok(fix_pci_read(vm, 0, 0, 0x5a, 1) == 0x31, "register reads back");
    fix_pci_write(vm, 0, 0, 0x5c, 4, 0xffffffff);
    ok(is_ram(vm, 0xd0000, ABI_MAP_RAM) && is_ram(vm, 0xec000, ABI_MAP_RAM) &&
           fix_pci_read(vm, 0, 0, 0x5c, 4) == 0x33333333,
       "four registers at once; reserved bits stay 0");
    fix_pci_write(vm, 0, 0, 0x5f, 1, 0x02);
    ok(is_bios(vm, 0xe8000, 160), "write-only: the bus answers loads");
    machine_reset(vm);
    ok(is_bios(vm, 0xf0000, 192) && !fix_map_find(vm, false, 0xd0000), "reset: ROM again");
}

static void test_smram(struct vm *vm)
{
    struct abi_addr_map *map = &vm->page->map;

    fix_pci_write(vm, 0, 0, 0x72, 1, 0x4a);
    ok(is_ram(vm, 0xa0000, ABI_MAP_RAM) && map->smram_count == 1 && map->smram[0].gpa == 0xa0000 &&
           map->smram[0].size == 0x20000,
       "open: everybody sees it");
    fix_pci_write(vm, 0, 0, 0x72, 1, 0x0a);
    ok(!fix_map_find(vm, false, 0xa0000) && map->smram_count == 1, "closed: only SMM does");
    fix_pci_write(vm, 0, 0, 0x72, 1, 0x5a);
    ok(fix_pci_read(vm, 0, 0, 0x72, 1) == 0x1a && !fix_map_find(vm, false, 0xa0000), "locking closes");
    fix_pci_write(vm, 0, 0, 0x72, 1, 0x42);
    ok(fix_pci_read(vm, 0, 0, 0x72, 1) == 0x1a && map->smram_count == 1, "locked");
    machine_reset(vm);
    ok(fix_pci_read(vm, 0, 0, 0x72, 1) == 0x02 && !map->smram_count, "until a reset");
    fix_pci_write(vm, 0, 0, 0x72, 1, 0x4a);
    ok(is_ram(vm, 0xa0000, ABI_MAP_RAM), "unlocked after it");
    machine_reset(vm);
}

static void test_rom_bar(struct vm *vm)
{
    static struct pci_dev d;
    struct machine *m = machine_get();
    char err[128] = "";
    const struct abi_map_entry *e;

    pci_dev_init(&d, NULL, NULL, "Test", 0x1234, 0x5678, 0xff0000, 0);
    ok(!machine_rom_bar(m, &d, 0, err, sizeof(err)) && !pci_bus_add(&m->pci, &d, 9 << 3), "a card with a ROM");
    fix_pci_write(vm, 9, 0, PCI_ROM_ADDRESS, 4, 0xfffff800);
    ok(fix_pci_read(vm, 9, 0, PCI_ROM_ADDRESS, 4) == 0xfffc0000, "sizing: 256 KiB");
    fix_pci_write(vm, 9, 0, PCI_ROM_ADDRESS, 4, 0xfeb80001);
    ok(!fix_map_find(vm, false, 0xfeb80000), "memory decoding is off");
    fix_pci_write(vm, 9, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    e = fix_map_find(vm, false, 0xfeb80400);
    ok(e && e->kind == ABI_MAP_ROM && vm->board[e->offset + 0x400] == 1, "decoded");
    fix_pci_write(vm, 9, 0, PCI_ROM_ADDRESS, 4, 0xfffc0001);
    ok(is_bios(vm, 0xfffc0000u, 0), "it cannot hide the BIOS");
    fix_pci_write(vm, 9, 0, PCI_ROM_ADDRESS, 4, 0x80000001);
    ok(fix_map_find(vm, false, 0x80000000u), "the window begins at 2 GiB");
}

static void test_refused(void)
{
    struct vm *vm = fix_vm(64 << 20);
    static uint8_t odd[1000];
    char err[256] = "";

    vm->plan.kernel[0] = 0;
    ok(machine_build(vm, err, sizeof(err)) < 0 && strstr(err, "firmware"), "neither firmware nor kernel");
    vm->plan.n_rom = 1;
    vm->plan.bios_rom = 0;
    vm->plan.rom[0] = (struct plan_rom){.opt = "-bios", .path = "odd", .fd = fix_memfd(odd, sizeof(odd))};
    ok(machine_build(vm, err, sizeof(err)) < 0 && strstr(err, "-bios odd"), "a size no BIOS has");
}

int main(void)
{
    struct vm *vm = machine();

    test_power_on(vm);
    test_shadow(vm);
    test_smram(vm);
    test_rom_bar(vm);
    test_refused();
    return tap_end();
}
