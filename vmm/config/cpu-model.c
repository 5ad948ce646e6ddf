/* SPDX-License-Identifier: Apache-2.0 */
/* See cpu-model.h. */
#include "vmm/config/cpu-model.h"

#include <string.h>
#include "ipc/cpu-model.h"

/* max and qemu64: everything carried, under one name on every host. */
void plan_cpu_model(const struct plan *p, struct abi_cpu_model *m)
{
    const struct abi_topology *t = &p->topology;

    cpu_model_host(m);
    m->sockets = topo_some(t->sockets);
    m->dies = topo_some(t->dies);
    m->cores = topo_some(t->cores);
    m->threads = topo_some(t->threads);
    memcpy(m->vendor_id, "GenuineIntel", sizeof(m->vendor_id));
    m->vendor = cpu_vendor_of(m->vendor_id);
    m->family = 6;
    m->model = 0x6a;
    m->stepping = 6;
    m->level = 0xb;
    m->xlevel = 0x80000008;
    m->ucode_rev = 1ull << 32;
    m->feat[CPUW_X21_EAX] = 0;
    memset(m->brand, 0, sizeof(m->brand));
    strcpy(m->brand, "Bulkhead x86-64 processor");
}
