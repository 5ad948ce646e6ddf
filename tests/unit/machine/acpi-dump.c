/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the ACPI tables as acpi-<n>-<signature>.dat files for iasl; used by acpi-iasl.py. */
#include "vmm/machine/acpi/acpi.h"

#include <stdio.h>
#include <string.h>

#define GPA 0xf1000u

static int dump(const char *dir, const uint8_t *p, unsigned n)
{
    char name[512];
    uint32_t len;
    FILE *f;
    int ok;

    memcpy(&len, p + 4, 4);
    snprintf(name, sizeof(name), "%s/acpi-%u-%.4s.dat", dir, n, (const char *)p);
    f = fopen(name, "wb");
    if (!f)
        return -1;
    ok = fwrite(p, 1, len, f) == len;
    return fclose(f) || !ok ? -1 : 0;
}

int main(int argc, char **argv)
{
    static uint8_t buf[61440];
    struct acpi_config cfg = {.cpus = 1, .serial = {true, true, false, false}, .pci_base = 0xE0000000u,
                              .pm_base = 0x600, .gpe_base = 0xafe0, .gpe_len = 4, .s3 = true};
    uint32_t rsdt, len, fadt = GPA, p;

    if (argc != 2 || !acpi_build(buf, GPA, sizeof(buf), &cfg))
        return 1;
    memcpy(&rsdt, buf + 16, 4);
    memcpy(&len, buf + (rsdt - GPA) + 4, 4);
    for (unsigned i = 0; i < (len - 36) / 4; i++) {
        memcpy(&p, buf + (rsdt - GPA) + 36 + 4 * i, 4);
        if (dump(argv[1], buf + (p - GPA), i))
            return 1;
        if (!i)
            fadt = p;
    }
    for (unsigned i = 0; i < 2; i++) { /* FACS and DSDT hang off the FADT */
        memcpy(&p, buf + (fadt - GPA) + 36 + 4 * i, 4);
        if (dump(argv[1], buf + (p - GPA), 10 + i))
            return 1;
    }
    return 0;
}
