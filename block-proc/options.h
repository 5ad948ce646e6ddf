/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What BOOT and later messages say about the drive. Owns no state.
 */
#ifndef BULKHEAD_BLOCK_PROC_OPTIONS_H
#define BULKHEAD_BLOCK_PROC_OPTIONS_H

#include "block-proc/virtio-blk.h"

/* 0, or -EINVAL after one line. */
int blk_options_read(const Ctl__BlockConfig *c, struct blk_options *o);

#endif
