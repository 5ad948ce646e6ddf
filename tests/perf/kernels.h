/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small loops that stand for kinds of programs. Each takes a count and returns a checksum; the same machine code is
 * run natively, interpreted and translated. Must never call into libc or the kernel.
 */
#ifndef BULKHEAD_TESTS_PERF_KERNELS_H
#define BULKHEAD_TESTS_PERF_KERNELS_H

#include <stdint.h>

typedef uint64_t (*kernel_fn)(uint64_t n);
enum kernel_class { KC_INTEGER, KC_FP, KC_STRING, KC_N };
struct kernel {
    const char *name;
    kernel_fn fn;
    enum kernel_class class;
    uint64_t n; /* about a millisecond */
};
extern const struct kernel kernels[];
extern const unsigned kernel_count;
void kernels_init(void);

#endif
