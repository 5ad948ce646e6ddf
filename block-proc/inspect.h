/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `bulkhead-block --inspect FORMAT`: reads the header of the image that is descriptor 0 and writes a struct
 * abi_image_about to descriptor 1. Must never read a byte of the image before the filter is on.
 */
#ifndef BULKHEAD_BLOCK_PROC_INSPECT_H
#define BULKHEAD_BLOCK_PROC_INSPECT_H

/* format: a name, or "probe". The exit status: 0 when an answer was written. */
int blk_inspect(const char *format);

#endif
