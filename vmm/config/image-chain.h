/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies below a disk's image. Internal to vmm/config.
 */
#ifndef BULKHEAD_VMM_CONFIG_IMAGE_CHAIN_H
#define BULKHEAD_VMM_CONFIG_IMAGE_CHAIN_H

#include <stddef.h>
#include "vmm/config/plan.h"

/* d->fd is open: finds size and backing files and opens those read-only. 0, or -1 with the reason in
 * err (one line, without the image's name in front). */
int image_chain_open(struct plan_disk *d, char *err, size_t errlen);

#endif
