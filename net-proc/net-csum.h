/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checksum completion for frames the guest sent with VIRTIO_NET_HDR_F_NEEDS_CSUM. Owns the
 * arithmetic; must never read beyond the frame it was given.
 */
#ifndef BULKHEAD_NET_PROC_NET_CSUM_H
#define BULKHEAD_NET_PROC_NET_CSUM_H

#include <stddef.h>
#include <stdint.h>

/* One's complement sum (RFC 1071) of len bytes, folded to 16 bits, in the bytes' own order. */
uint16_t net_csum_sum(const uint8_t *p, size_t len);

/* virtio 1.2, 5.1.6.2: sums frame[start..len), whose checksum field at start + offset already holds
 * the pseudo-header's sum, and stores the complement there. 0, or -EINVAL if the field lies outside
 * the frame (guest's fault; the frame is untouched). */
int net_csum_complete(uint8_t *frame, size_t len, unsigned start, unsigned offset);

#endif
