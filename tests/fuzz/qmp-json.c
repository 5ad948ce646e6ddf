/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: bytes from a JSON monitor's client through framing, reader and writer. What was
 * read must survive being written and read again. Needs
 * clang -fsanitize=fuzzer and, besides this file, vmm/config/json.c, vmm/monitor/json-write.c and
 * vmm/monitor/qmp-frame.c.
 */
#include <stdlib.h>
#include <string.h>
#include "vmm/monitor/monitor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct qmp_frame frame;
static struct json_doc doc, again;
static char first[8 * JSON_INPUT], second[8 * JSON_INPUT];

static size_t print(const struct json_doc *d, char *buf, size_t cap)
{
    struct json_out o;

    jw_init(&o, buf, cap, false);
    jw_node(&o, NULL, d, json_root(d));
    return o.overflow ? 0 : o.len;
}

/* The writer escapes what is not ASCII, so the text can be longer than the reader takes. */
static void check_value(void)
{
    size_t n, m;

    if (json_parse(&doc, frame.buf, frame.len))
        return;
    n = print(&doc, first, sizeof(first));
    if (!n || n > JSON_INPUT)
        return;
    if (json_parse(&again, first, n))
        abort();
    m = print(&again, second, sizeof(second));
    if (m != n || memcmp(first, second, n))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    qmp_frame_reset(&frame);
    for (size_t i = 0; i < size; i++) {
        if (qmp_frame_byte(&frame, data[i]) == FRAME_VALUE) {
            check_value();
            qmp_frame_reset(&frame);
        }
    }
    return 0;
}
