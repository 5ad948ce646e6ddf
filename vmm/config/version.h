/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The version as users and management programs see it. QEMU_* is the version of QEMU's command line
 * and monitor protocol that this program follows; clients test it for features.
 */
#ifndef BULKHEAD_VMM_CONFIG_VERSION_H
#define BULKHEAD_VMM_CONFIG_VERSION_H

#include "vmm/config/version-number.h" /* generated: BULKHEAD_VERSION */

#define QEMU_MAJOR       7
#define QEMU_MINOR       2
#define QEMU_MICRO       0
#define BULKHEAD_PACKAGE "bulkhead-" BULKHEAD_VERSION
#define BULKHEAD_VERSION_LINE                                                                      \
    "Bulkhead " BULKHEAD_VERSION ", compatible with QEMU emulator version 7.2.0"

#endif
