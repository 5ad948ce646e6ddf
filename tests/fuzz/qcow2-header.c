/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: the qcow2 header parser. Owns nothing; must reach no file. The seeded short run over whole
 * damaged images is tests/unit/block-proc/image-rules.c.
 */
#include "block-proc/image/qcow2-header.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qcow2_header h;
    char err[160];

    if (qcow2_header_parse(&h, data, size, err, sizeof(err)) == 0) {
        if (h.cluster_bits < 9 || h.cluster_bits > 21 || h.l1_size > QCOW2_L1_MAX / 8 ||
            memchr(h.backing, 0, sizeof(h.backing)) == NULL)
            abort();
    } else if (memchr(err, 0, sizeof(err)) == NULL || !err[0]) {
        abort(); /* what is refused is said in one line */
    }
    return 0;
}
