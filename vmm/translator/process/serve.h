/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes asks from the rings and leaves translations in the cache. Knows no process and no descriptor; asks are
 * hostile input.
 */
#ifndef BULKHEAD_VMM_TRANSLATOR_PROCESS_SERVE_H
#define BULKHEAD_VMM_TRANSLATOR_PROCESS_SERVE_H

#include "vmm/translator/process/cache.h"

struct serve {
    struct cache cache;
    uint32_t next;           /* ring to look at first */
    const uint32_t *feat;    /* the model's features: what is absent is not translated */
    uint32_t vendor;
    struct xl_ask ask;       /* the copy that is worked on */
};
/* Serves at most `max` asks: how many. Fewer means: no more now. */
unsigned serve_some(struct serve *s, unsigned max);
/* Is an ask waiting that could be served? */
bool serve_waiting(const struct serve *s);

#endif
