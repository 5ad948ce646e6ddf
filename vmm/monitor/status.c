/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words both monitors use for the state of the VM. Must never print.
 */
#include "ipc/abi/spawn.h"
#include "vmm/monitor/monitor.h"

const char *status_name(const struct vm *vm)
{
    return vm_run_state_name(vm->state);
}

const char *layer_name(unsigned bit)
{
    static const char *const names[] = {"uid",    "mount",  "pid",    "ipc", "uts",    "net",
                                        "cgroup", "rlimit", "nocaps", "nnp", "seccomp"};

    _Static_assert(SPAWN_LAYER_SECCOMP == 1u << 10, "the names are in the order of the bits");
    return bit < sizeof(names) / sizeof(names[0]) ? names[bit] : NULL;
}
