/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internet checksum over a private copy of a frame. Must never be given guest memory: the sum and
 * the bytes that are sent have to be of the same bytes.
 */
#include "net-proc/net-csum.h"

#include <errno.h>
#include <string.h>

uint16_t net_csum_sum(const uint8_t *p, size_t len)
{
    uint64_t sum = 0;

    /* 32-bit words into 64 bits cannot overflow below 2^32 words. */
    for (; len >= 4; p += 4, len -= 4) {
        uint32_t w;
        memcpy(&w, p, 4);
        sum += w;
    }
    if (len) {
        uint32_t w = 0;
        memcpy(&w, p, len);
        sum += w;
    }
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

int net_csum_complete(uint8_t *frame, size_t len, unsigned start, unsigned offset)
{
    if ((size_t)start + offset + 2 > len)
        return -EINVAL;
    uint16_t sum = (uint16_t)~net_csum_sum(frame + start, len - start);
    /* RFC 768: a UDP sum of zero is sent as all ones; for TCP the two are equal. */
    if (!sum)
        sum = 0xffff;
    memcpy(frame + start + offset, &sum, 2);
    return 0;
}
