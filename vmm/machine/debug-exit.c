/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isa-debug-exit: ports through which a guest (a test, mostly) ends its emulator with a status of
 * its choice. Owns the port range; must never end anything itself.
 */
#include "vmm/machine/machine.h"

#include <errno.h>
#include <stdio.h>

/* What the chipset and the PCI host bridge answer themselves: first port, last port. */
static const uint16_t taken[][2] = {
    {0x20, 0x21},   {0x40, 0x43},   {0x60, 0x61},   {0x64, 0x64},   {0x70, 0x71},     {0x80, 0x80},
    {0x92, 0x92},   {0xa0, 0xa1},   {0xb2, 0xb3},   {0x2e8, 0x2ef}, {0x2f8, 0x2ff},   {0x3e8, 0x3ef},
    {0x3f8, 0x3ff}, {0x4d0, 0x4d1}, {0x600, 0x60b}, {0xcf8, 0xcff}, {0xafe0, 0xafe3}, {0xc000, 0xffff},
};

int debug_exit_build(struct machine *m, char *err, size_t errlen)
{
    uint16_t first = m->vm->plan.exit_port, n = m->vm->plan.exit_ports;

    if (!n)
        return 0;
    for (unsigned i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
        if (first <= taken[i][1] && first + n > taken[i][0]) {
            snprintf(err, errlen, "-device isa-debug-exit: ports 0x%x to 0x%x belong to the chipset",
                     taken[i][0], taken[i][1]);
            return -EBUSY;
        }
    return addr_map_io_add(&m->pci.fixed, first, n, ABI_MAP_MAILBOX, 0, 0);
}

bool debug_exit_claims(const struct machine *m, uint64_t port)
{
    return port - m->vm->plan.exit_port < m->vm->plan.exit_ports;
}
