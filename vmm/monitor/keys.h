/* SPDX-License-Identifier: Apache-2.0 */
/* Keys by QEMU's names and numbers. Every function returns 0 for a key there is not. */
#ifndef BULKHEAD_VMM_MONITOR_KEYS_H
#define BULKHEAD_VMM_MONITOR_KEYS_H

#include <stddef.h>

unsigned key_of_name(const char *name, size_t len);
unsigned key_of_number(unsigned long n);
unsigned key_number(unsigned key);

#endif
