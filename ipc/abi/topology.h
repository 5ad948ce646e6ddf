/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How vCPU numbers become APIC IDs: threads lowest, then cores, dies and sockets, each field as wide as
 * its count needs (SDM volume 3, 9.9). Owns the layout and the arithmetic; the vmm writes it once,
 * before the worker starts. A count of 0 means 1.
 */
#ifndef BULKHEAD_IPC_ABI_TOPOLOGY_H
#define BULKHEAD_IPC_ABI_TOPOLOGY_H

#include <stdint.h>

struct abi_topology {
    uint32_t sockets, dies, cores, threads; /* dies of a socket, cores of a die, threads of a core */
};

static inline uint32_t topo_some(uint32_t n)
{
    return n ? n : 1;
}
/* Bits that number 0 to n - 1. */
static inline uint32_t topo_width(uint32_t n)
{
    return n <= 1 ? 0 : 32 - (uint32_t)__builtin_clz(n - 1);
}
/* APIC ID bits below the core number, and below the socket number. */
static inline uint32_t topo_thread_shift(const struct abi_topology *t)
{
    return topo_width(t->threads);
}
static inline uint32_t topo_core_shift(const struct abi_topology *t)
{
    return topo_width(t->threads) + topo_width(t->cores) + topo_width(t->dies);
}
static inline uint32_t topo_apic_id(const struct abi_topology *t, uint32_t index)
{
    uint32_t thread = index % topo_some(t->threads), rest = index / topo_some(t->threads);
    uint32_t core = rest % topo_some(t->cores), die = rest / topo_some(t->cores) % topo_some(t->dies);
    uint32_t socket = rest / topo_some(t->cores) / topo_some(t->dies);
    uint32_t at = topo_width(t->threads);
    return socket << topo_core_shift(t) | die << (at + topo_width(t->cores)) | core << at | thread;
}

#endif
