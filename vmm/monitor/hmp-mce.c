/* SPDX-License-Identifier: Apache-2.0 */
/* mce [-b] cpu bank status mcgstatus addr misc: a machine-check error for the guest to handle. Owns the words. */
#include <stdlib.h>
#include <string.h>
#include "vmm/monitor/monitor.h"
#include "vmm/vm.h"

#define UNCORRECTED (1ull << 61)
/* What the other processors are told with -b: an uncorrected error in bank 1 that they may go on from. */
#define ELSEWHERE_STATUS (1ull << 63 | UNCORRECTED)
#define ELSEWHERE_MCG    5u

static bool numbers(const char *s, uint64_t *v, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char *end;
        v[i] = strtoull(s, &end, 0);
        if (end == s || (*end && *end != ' ') || *s == '-')
            return false;
        s = end + strspn(end, " ");
    }
    return !*s;
}
void hmp_mce(struct vm *vm, const char *arg, struct hmp_out *out)
{
    bool broadcast = !strncmp(arg, "-b ", 3);
    uint64_t v[6];
    unsigned n = vm->plan.smp;

    if (!numbers(arg + (broadcast ? 3 : 0), v, 6)) {
        hmp_print(out, "mce: six numbers are expected: cpu bank status mcgstatus addr misc\n");
        return;
    }
    if (v[0] >= n || v[1] >= ABI_MCE_BANKS) {
        hmp_print(out, "mce: cpu is 0 to %u, bank 0 to %u\n", n - 1, ABI_MCE_BANKS - 1);
        return;
    }
    struct abi_mce e = {.bank = (uint32_t)v[1], .status = v[2], .mcg_status = v[3], .addr = v[4], .misc = v[5]};
    struct abi_mce other = {.bank = 1, .status = ELSEWHERE_STATUS, .mcg_status = ELSEWHERE_MCG};
    for (unsigned i = 0; i < n; i++)
        if (i == v[0] || (broadcast && (e.status & UNCORRECTED)))
            vm_mce(vm, i, i == v[0] ? &e : &other);
}
