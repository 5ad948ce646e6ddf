/* SPDX-License-Identifier: Apache-2.0 */
/* The receive backlog against a model: order, content, capacity, wrap. */
#include "net-proc/rx-backlog.h"

#include <stdlib.h>
#include <string.h>
#include "tests/unit/net-proc/tap.h"

static struct rx_backlog b;
static uint8_t frame[RX_BACKLOG_BYTES];

static void fill(uint32_t serial, size_t len)
{
    memset(frame, (int)(serial & 0xff), len);
    memcpy(frame, &serial, 4);
}

static bool is(uint32_t serial, size_t want)
{
    size_t len;
    const uint8_t *p = rx_backlog_peek(&b, &len);
    if (!p || len != want || memcmp(p, &serial, 4))
        return false;
    for (size_t i = 4; i < len; i++)
        if (p[i] != (serial & 0xff))
            return false;
    return true;
}

static bool random_traffic(void)
{
    static size_t length[100000];
    uint32_t in = 0, out = 0;
    unsigned refused = 0;

    srand(2);
    for (unsigned step = 0; step < 90000; step++) {
        /* Phases that fill and phases that drain. */
        if (rand() % 100 < (step / 3000 % 2 ? 30 : 70)) {
            size_t len = rand() % 10 ? 60 + (size_t)(rand() % 1500) : 60000;
            fill(in, len);
            if (rx_backlog_put(&b, NULL, 0, frame, len))
                length[in++] = len;
            else
                refused++;
        } else if (in != out) {
            if (!is(out, length[out]))
                return false;
            rx_backlog_drop(&b);
            out++;
        }
        if (rx_backlog_empty(&b) != (in == out))
            return false;
    }
    return refused > 0 && out > 10000;
}

static unsigned capacity(size_t len)
{
    unsigned n = 0;
    rx_backlog_clear(&b);
    while (rx_backlog_put(&b, NULL, 0, frame, len))
        n++;
    return n;
}

int main(void)
{
    size_t len;
    ok(rx_backlog_peek(&b, &len) == NULL, "a new backlog is empty");
    rx_backlog_drop(&b);
    ok(rx_backlog_empty(&b), "dropping from an empty one does nothing");
    ok(random_traffic(), "100000 frames in and out keep order, length and content");
    ok(capacity(1514) > 330, "half a megabyte holds more than 330 full frames");
    ok(capacity(4) == (RX_BACKLOG_BYTES - 8) / 8, "the smallest records fill it but for one");
    ok(!rx_backlog_put(&b, NULL, 0, frame, sizeof frame), "a frame of its own size is refused");
    rx_backlog_clear(&b);
    ok(rx_backlog_empty(&b) && rx_backlog_put(&b, NULL, 0, frame, 65550), "cleared, it takes frames again");
    return tap_done();
}
