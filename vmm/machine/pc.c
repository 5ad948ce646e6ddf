/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine `pc`: memory layout, construction from the plan, reset. Brings its parts together and
 * does what firmware would do before it hands over to a kernel. Must never look into a device.
 */
#include "vmm/machine/machine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "ipc/log.h"
#include "vmm/machine/acpi/acpi.h"
#include "vmm/machine/smbios.h"

#define MP_TABLES_AT   PC_BIOS_AREA
#define ACPI_TABLES_AT (PC_BIOS_AREA + 0x1800u)
#define SMBIOS_AT      (PC_BIOS_AREA + 0xb000u)

static struct machine the_machine;

struct machine *machine_get(void)
{
    return &the_machine;
}

void *machine_ram(struct machine *m, uint64_t gpa, uint64_t len)
{
    uint64_t end = gpa + len;

    if (end < gpa)
        return NULL;
    if (end <= PC_VGA_HOLE || (gpa >= PC_VGA_HOLE_END && end <= m->low))
        return m->vm->ram + gpa;
    if (gpa >= PC_HIGH_BASE && end <= PC_HIGH_BASE + m->high)
        return m->vm->ram + m->low + (gpa - PC_HIGH_BASE);
    return NULL;
}

static void *loader_ram(void *opaque, uint64_t gpa, uint64_t len)
{
    return machine_ram(opaque, gpa, len);
}

static struct linux_memory loader_memory(struct machine *m)
{
    return (struct linux_memory){m->low, m->high, m, loader_ram};
}

static int modules_build(struct machine *m, const struct linux_memory *mem, char *err,
                         size_t errlen)
{
    const struct plan *p = &m->vm->plan;

    for (unsigned i = 0; i < p->n_module; i++) {
        const struct plan_module *k = &p->module[i];
        struct stat st;
        int r = fstat(k->fd, &st) ? -errno : 0;

        if (r)
            snprintf(err, errlen, "-initrd %s: %s", k->text, strerror(-r));
        else
            r = multiboot_module_add(&m->image, k->fd, k->text, (uint64_t)st.st_size, mem, err,
                                     errlen);
        if (r)
            return r;
    }
    return 0;
}

static int image_build(struct machine *m, char *err, size_t errlen)
{
    const struct plan *p = &m->vm->plan;
    struct linux_memory mem = loader_memory(m);

    int r = linux_image_open(&m->image, p->kernel_fd, p->kernel, p->initrd_fd, p->initrd, p->append,
                             &mem, err, errlen);

    m->image.vga = p->vga.present;
    if (r == 0 && m->image.entry64 && !abi_cpu_has(p->cpu_model.feat, FEAT_LM)) {
        snprintf(err, errlen, "%s: starts in 64-bit mode, which -cpu %s has not", p->kernel, p->cpu);
        return -EINVAL;
    }
    return r ? r : modules_build(m, &mem, err, errlen);
}

int machine_build(struct vm *vm, char *err, size_t errlen)
{
    struct machine *m = &the_machine;
    int r;

    memset(m, 0, sizeof(*m));
    m->vm = vm;
    if (vm->plan.smp > ABI_VCPU_MAX) {
        snprintf(err, errlen, "-smp: %u processors; this machine has at most %u", vm->plan.smp,
                 ABI_VCPU_MAX);
        return -EINVAL;
    }
    pci_bus_init(&m->pci, &vm->page->map);
    m->q35 = !strcmp(vm->plan.machine, "q35");
    m->pci.assign = machine_direct(m);
    r = machine_memory_build(m, err, errlen);
    if (r)
        return r;
    if (m->q35)
        q35_init(m);
    else
        piix_init(m);
    if (!machine_direct(m))
        r = firmware_build(m, err, errlen);
    if (!r)
        r = debug_exit_build(m, err, errlen);
    if (!r)
        r = machine_devices_build(m, err, errlen);
    if (!r && machine_direct(m))
        r = image_build(m, err, errlen);
    machine_map_update(m);
    if (!r && !machine_direct(m))
        r = firmware_config_build(m, err, errlen);
    return r;
}

/* What a BIOS leaves in its data area, as far as kernels look: EBDA segment, base memory, COM
 * ports. */
static void bios_data_write(struct machine *m)
{
    static const uint16_t com[4] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
    uint8_t *bda = machine_ram(m, 0x400, 0x100), *ebda = machine_ram(m, PC_EBDA, 0x400);

    memset(bda, 0, 0x100);
    for (unsigned i = 0; i < 4; i++)
        if (m->vm->plan.serial[i] >= 0)
            pci_put16(bda + (size_t)2 * i, com[i]);
    pci_put16(bda + 0x0e, PC_EBDA >> 4);
    pci_put16(bda + 0x13, PC_EBDA >> 10);
    memset(ebda, 0, 0x400);
    ebda[0] = 1; /* its size in KiB */
}

void machine_acpi_config(struct machine *m, struct acpi_config *cfg)
{
    const struct plan *p = &m->vm->plan;

    *cfg = (struct acpi_config){
        .cpus = p->smp ? p->smp : 1, .topology = p->topology, .pm_base = machine_pm_base(m),
        .vga = p->vga.present, .gpe_base = PC_GPE0_BASE, .gpe_len = 4, .q35 = m->q35, .s3 = !machine_direct(m) && !p->no_s3,
        .pci_base = (uint32_t)m->pci.mem_base, .pci64_base = m->pci.high_base, .pci64_end = m->pci.high_end,
        .user = m->acpi.user, .n_user = m->acpi.n_user};
    if (m->q35) {
        uint64_t base, size;

        cfg->gpe_base = (uint16_t)(cfg->pm_base + 0x20);
        cfg->gpe_len = 16;
        cfg->ecam_base = machine_ecam(m, &base, &size) ? base : PC_ECAM_BASE;
        cfg->ecam_buses = 256;
    }
    for (unsigned i = 0; i < 4; i++)
        cfg->serial[i] = p->serial[i] >= 0;
}

static int tables_write(struct machine *m)
{
    static struct smbios_tables smbios;
    struct acpi_config acpi;
    uint8_t *area = machine_ram(m, PC_BIOS_AREA, PC_BIOS_END - PC_BIOS_AREA);

    machine_acpi_config(m, &acpi);
    memset(area, 0, PC_BIOS_END - PC_BIOS_AREA);
    if (!smp_tables_build(area, MP_TABLES_AT, ACPI_TABLES_AT - MP_TABLES_AT, &acpi) ||
        !acpi_build(area + (ACPI_TABLES_AT - PC_BIOS_AREA), ACPI_TABLES_AT,
                    SMBIOS_AT - ACPI_TABLES_AT, &acpi))
        return -ENOSPC;
    smbios_build(&smbios, &m->vm->plan, m->low, m->high);
    memcpy(area + (SMBIOS_AT - PC_BIOS_AREA) + 32, smbios.buf, smbios.len);
    smbios_anchor(&smbios, SMBIOS_AT + 32, area + (SMBIOS_AT - PC_BIOS_AREA));
    return 0;
}

/* Without firmware: what it would leave in memory, and the kernel. */
static int direct_reset(struct machine *m)
{
    struct vm *vm = m->vm;
    struct linux_memory mem = loader_memory(m);
    int r;

    vga_firmware_state(m);
    bios_data_write(m);
    r = tables_write(m);
    if (!r)
        r = linux_image_load(&m->image, &mem, ACPI_TABLES_AT);
    if (r) {
        log_error("reset: %s cannot be loaded again: %s", m->image.kernel, strerror(-r));
        return r;
    }
    linux_vcpu_state(&m->image, &vm->page->vcpu[0]);
    return 0;
}

/* As after a real reset: memory keeps what it holds, except for what firmware and loader write. */
int machine_reset(struct vm *vm)
{
    struct machine *m = &the_machine;

    pci_bus_reset(&m->pci);
    vga_power_on(m);
    machine_map_update(m);
    if (machine_direct(m))
        return direct_reset(m);
    firmware_cmos_set(m);
    firmware_vcpu_reset(vm, &vm->page->vcpu[0]);
    return 0;
}

/* Shadow RAM stays: firmware looks in its variables there for whether it has run. */
int machine_wake(struct vm *vm)
{
    struct machine *m = &the_machine;
    uint8_t pam[7];

    memcpy(pam, m->host_bridge.cfg + m->pam0, sizeof(pam));
    pci_bus_reset(&m->pci);
    memcpy(m->host_bridge.cfg + m->pam0, pam, sizeof(pam));
    machine_map_update(m);
    vga_power_on(m);
    firmware_cmos_set(m);
    firmware_vcpu_reset(vm, &vm->page->vcpu[0]);
    return 0;
}

unsigned machine_info_pci(struct vm *vm, char *out, unsigned len)
{
    (void)vm;
    return pci_bus_info(&the_machine.pci, out, len);
}
