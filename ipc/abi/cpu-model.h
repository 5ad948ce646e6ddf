/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processor a virtual machine has: who it says it is, what it has, how its cores are laid out. Part of
 * the machine page; the vmm writes it before the worker starts, the worker copies it once and checks it.
 * Owns the layout only.
 */
#ifndef BULKHEAD_IPC_ABI_CPU_MODEL_H
#define BULKHEAD_IPC_ABI_CPU_MODEL_H

#include "ipc/abi/cpu-features.h"

/* Whose documented behaviour the processor follows. AMD also stands for Hygon. */
enum abi_cpu_vendor { ABI_CPU_INTEL, ABI_CPU_AMD };

#define ABI_CPU_CACHES 4 /* L1d, L1i, L2, L3; a cache that is absent has size 0 */
struct abi_cpu_cache {
    uint32_t size; /* bytes */
    uint16_t ways, line;
};
struct abi_cpu_model {
    uint32_t vendor; /* enum abi_cpu_vendor */
    uint32_t family, model, stepping; /* displayed values: extended fields already added */
    uint32_t level, xlevel; /* highest basic and extended leaf; xlevel 0 = no extended leaves */
    uint32_t phys_bits, linear_bits;
    uint32_t sockets, dies, cores, threads; /* dies per socket, cores per die, threads per core */
    uint32_t tsc_khz; /* rate of the guest's TSC; 0 = the host's */
    uint32_t hv_leaves; /* 1: leaf 40000000H names us when the hypervisor bit is set */
    uint64_t ucode_rev; /* as IA32_BIOS_SIGN_ID / PATCH_LEVEL reads */
    char vendor_id[12];
    char brand[48]; /* NUL padded */
    uint32_t pad;
    struct abi_cpu_cache cache[ABI_CPU_CACHES];
    uint32_t feat[ABI_CPU_WORDS];
};
_Static_assert(sizeof(struct abi_cpu_cache) == 8, "ABI");
_Static_assert(sizeof(struct abi_cpu_model) == 64 + 64 + 32 + 64, "ABI");

#endif
