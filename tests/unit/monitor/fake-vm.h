/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual machine that only remembers what it was asked, for the tests of vmm/monitor.
 */
#ifndef BULKHEAD_TESTS_FAKE_VM_H
#define BULKHEAD_TESTS_FAKE_VM_H

#include <stdio.h>
#include <stdlib.h>
#include "vmm/vm.h"

struct fake {
    char calls[512];     /* names of the operations called, "stop cont ..." */
    uint8_t tx[1000000]; /* guest output of serial port 0 not yet read */
    size_t tx_len;
    uint8_t rx[65536]; /* input the guest got */
    size_t rx_len, rx_room;
    unsigned breaks;
    int fail; /* what vm_cont returns */
};
extern struct fake fake;
extern struct vm fake_vm;

/* A plan with these words after "bulkhead", monitors opened. Exits on failure. */
void fake_start(const char *const *argv);
void fake_end(void);
/* Runs the loop until cond() or two seconds. */
#define RUN_UNTIL(cond)                                                                            \
    do {                                                                                           \
        uint64_t end_ = ipc_now_ns() + 2000000000ull;                                              \
        while (!(cond) && ipc_now_ns() < end_)                                                     \
            ipc_loop_run_once(&fake_vm.loop, 20);                                                  \
    } while (0)
#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                             \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#endif
