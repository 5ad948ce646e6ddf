/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which format a header is. Owns the list of magic numbers, of formats that are not built as well, so
 * that such an image is refused by name and never taken for a raw disk.
 */
#ifndef BULKHEAD_BLOCK_PROC_IMAGE_PROBE_H
#define BULKHEAD_BLOCK_PROC_IMAGE_PROBE_H

#include <stddef.h>
#include <stdint.h>

/* The name of the format this header is, NULL = none known. */
const char *img_probe_header(const uint8_t *head, size_t n);

#endif
