/* SPDX-License-Identifier: Apache-2.0 */
/* Checksum completion against a byte-wise reference, and its bounds. */
#include "net-proc/net-csum.h"

#include <stdlib.h>
#include <string.h>
#include "tests/unit/net-proc/tap.h"

/* RFC 1071 as written: big-endian 16-bit words, end-around carry. */
static uint16_t reference(const uint8_t *p, size_t len)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        sum += (uint32_t)p[i] << (i % 2 ? 0 : 8);
        if (sum > 0xffff)
            sum = (sum & 0xffff) + 1;
    }
    return (uint16_t)sum;
}

static bool sums_agree(void)
{
    uint8_t b[3000];
    srand(1);
    for (unsigned round = 0; round < 500; round++) {
        size_t len = (size_t)(rand() % 2900), at = (size_t)(rand() % 16);
        for (size_t i = 0; i < sizeof b; i++)
            b[i] = round % 5 ? (uint8_t)rand() : 0xff;
        uint16_t got = net_csum_sum(b + at, len), want = reference(b + at, len);
        if ((uint16_t)(got << 8 | got >> 8) != want)
            return false;
    }
    return true;
}

static bool completes(void)
{
    uint8_t f[64], before[64];
    for (unsigned i = 0; i < sizeof f; i++)
        before[i] = f[i] = (uint8_t)(i * 7);
    if (net_csum_complete(f, sizeof f, 20, 16))
        return false;
    uint16_t field = (uint16_t)(f[36] << 8 | f[37]);
    f[36] = before[36];
    f[37] = before[37];
    uint16_t want = (uint16_t)~reference(before + 20, 44);
    return field == want && !memcmp(f, before, sizeof f);
}

static bool zero_becomes_ones(void)
{
    uint8_t f[8] = {0xff, 0xff, 0, 0, 0, 0, 0, 0};
    return net_csum_complete(f, 8, 0, 4) == 0 && f[4] == 0xff && f[5] == 0xff;
}

int main(void)
{
    uint8_t f[40] = {0};
    ok(sums_agree(), "sum equals the byte-wise reference, odd lengths and alignments included");
    ok(completes(), "the field gets the complement of the sum");
    ok(zero_becomes_ones(), "a sum of zero is sent as all ones");
    ok(net_csum_complete(f, 40, 30, 8) == 0, "a field at the very end is allowed");
    ok(net_csum_complete(f, 40, 30, 9) < 0, "a field that ends one byte behind is refused");
    ok(net_csum_complete(f, 40, 65535, 65535) < 0, "offsets that would overflow are refused");
    ok(net_csum_complete(f, 0, 0, 0) < 0, "an empty frame is refused");
    return tap_done();
}
