/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where memory is: RAM below and above 4 GiB, shadow RAM under the PAM registers, SMRAM, the firmware's
 * ROM. Owns the memory part of pci.fixed, which it makes anew from the host bridge's registers; must
 * never map anything inside the PCI windows but ROM that ends at 4 GiB.
 */
#include "vmm/machine/machine.h"

#include <errno.h>
#include <stdio.h>

#define FOUR_GIB     0x100000000ull
#define ISA_BIOS_MAX 0x20000u /* the ISA bridge passes E0000-FFFFF on to the ROM */
#define PAM_END      0x100000u

int machine_memory_build(struct machine *m, char *err, size_t errlen)
{
    struct vm *vm = m->vm;

    if (vm->ram_size < PC_RAM_MIN || vm->ram_size > PC_RAM_MAX || vm->ram_size & 0xfff) {
        snprintf(err, errlen, "-m: %llu MiB; the machine takes %llu to %llu MiB",
                 (unsigned long long)(vm->ram_size >> 20), (unsigned long long)(PC_RAM_MIN >> 20),
                 (unsigned long long)(PC_RAM_MAX >> 20));
        return -EINVAL;
    }
    uint64_t low_max = m->q35 ? Q35_LOW_MAX : PC_LOW_MAX;

    m->low = vm->ram_size < low_max ? vm->ram_size : low_max;
    m->high = vm->ram_size - m->low;
    vm->page->ram_below_4g = m->low;
    vm->page->ram_above_4g = m->high;
    vm->page->acpi_sci_gsi = PC_SCI;
    /* Firmware puts BARs anywhere above RAM, some from 2 GiB on (EDK II), some from the top down. */
    m->pci.mem_base = m->low > PC_PCI_MIN ? m->low : PC_PCI_MIN;
    m->pci.high_base = PC_HIGH_BASE + m->high;
    m->pci.high_end = 1ull << PC_PHYS_BITS;
    return 0;
}

/* As one entry with what lies before it, where the two are one. */
static void mem_add(struct addr_map *map, uint64_t gpa, uint64_t size, enum abi_map_kind kind,
                    uint32_t slot, uint64_t offset)
{
    struct abi_map_entry *last = map->count ? &map->mem[map->count - 1] : NULL;

    if (last && last->kind == kind && last->slot == slot && last->gpa + last->size == gpa &&
        last->offset + last->size == offset)
        last->size += size;
    else
        addr_map_mem_add(map, gpa, size, kind, slot, offset);
}

/* What the bus shows where DRAM does not answer: the end of the BIOS, or nothing. */
static void bus_add(struct machine *m, struct addr_map *map, uint64_t gpa, uint64_t size)
{
    uint32_t isa = m->bios.size < ISA_BIOS_MAX ? m->bios.size : ISA_BIOS_MAX;

    if (gpa >= PAM_END - isa)
        mem_add(map, gpa, size, ABI_MAP_ROM, ABI_SLOT_BOARD,
                (uint64_t)m->bios.off + m->bios.size - (PAM_END - gpa));
}

/* 82441FX 3.2.13. Stores that go to DRAM under loads that do not are dropped, as QEMU does it. */
static void pam_add(struct machine *m, struct addr_map *map, uint64_t gpa, uint64_t size, unsigned attr)
{
    if (!(attr & PAM_READ))
        bus_add(m, map, gpa, size);
    else
        mem_add(map, gpa, size, attr & PAM_WRITE ? ABI_MAP_RAM : ABI_MAP_ROM, ABI_SLOT_RAM, gpa);
}

static void shadow_add(struct machine *m, struct addr_map *map)
{
    const uint8_t *pam = &m->host_bridge.cfg[m->pam0];

    for (unsigned i = 0; i < 12; i++)
        pam_add(m, map, PC_VGA_HOLE_END + i * 0x4000ull, 0x4000, pam[1 + i / 2] >> (i & 1 ? 4 : 0));
    pam_add(m, map, PC_BIOS_AREA, PAM_END - PC_BIOS_AREA, pam[0] >> 4);
}

static void smram_add(struct machine *m, struct addr_map *map)
{
    uint8_t smram = m->host_bridge.cfg[m->smram];
    uint64_t size = PC_VGA_HOLE_END - PC_VGA_HOLE;

    if (m->vm->plan.vga.present && !((smram & SMRAM_ENABLE) && (smram & SMRAM_OPEN)))
        mem_add(map, PC_VGA_HOLE, size, ABI_MAP_VGA, 0, 0);
    if (!(smram & SMRAM_ENABLE))
        return;
    addr_map_smram_add(map, PC_VGA_HOLE, size, PC_VGA_HOLE);
    if (smram & SMRAM_OPEN)
        mem_add(map, PC_VGA_HOLE, size, ABI_MAP_RAM, ABI_SLOT_RAM, PC_VGA_HOLE);
}

static void flash_add(struct machine *m, struct addr_map *map)
{
    uint64_t end = FOUR_GIB;

    for (unsigned i = 0; i < ABI_FLASH_MAX; i++)
        end -= m->flash[i].size;
    for (unsigned i = ABI_FLASH_MAX; i-- > 0; end += m->flash[i].size)
        if (m->flash[i].size)
            addr_map_mem_add(map, end, m->flash[i].size,
                             m->vm->page->flash[i].size ? ABI_MAP_FLASH : ABI_MAP_ROM, ABI_SLOT_BOARD,
                             (uint64_t)m->flash[i].off);
}

/* Up to TSEG, which only SMM sees; and configuration space in memory. */
static void low_ram_add(struct machine *m, struct addr_map *map)
{
    uint64_t tseg = machine_tseg(m), base, size;

    tseg = tseg < m->low - PAM_END ? tseg : 0;
    mem_add(map, PAM_END, m->low - PAM_END - tseg, ABI_MAP_RAM, ABI_SLOT_RAM, PAM_END);
    if (tseg)
        addr_map_smram_add(map, m->low - tseg, tseg, m->low - tseg);
    if (machine_ecam(m, &base, &size))
        addr_map_mem_add(map, base, size, ABI_MAP_MAILBOX, 0, 0);
}

void machine_map_update(struct machine *m)
{
    struct addr_map *map = &m->pci.fixed;

    map->count = map->smram_count = 0; /* ports are not this file's */
    mem_add(map, 0, PC_VGA_HOLE, ABI_MAP_RAM, ABI_SLOT_RAM, 0);
    smram_add(m, map);
    shadow_add(m, map);
    low_ram_add(m, map);
    if (m->flash[0].size)
        flash_add(m, map);
    else if (m->bios.size)
        mem_add(map, FOUR_GIB - m->bios.size, m->bios.size, ABI_MAP_ROM, ABI_SLOT_BOARD,
                (uint64_t)m->bios.off);
    if (m->high)
        mem_add(map, PC_HIGH_BASE, m->high, ABI_MAP_RAM, ABI_SLOT_RAM, m->low);
    pci_bus_remap(&m->pci);
}
