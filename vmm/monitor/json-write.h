/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes one JSON value into a fixed buffer, in the spacing QEMU's monitor uses. Overflow is
 * remembered, never written. Must never know what is being said.
 */
#ifndef BULKHEAD_VMM_MONITOR_JSON_WRITE_H
#define BULKHEAD_VMM_MONITOR_JSON_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/config/json.h"

struct json_out {
    char *buf;
    size_t cap, len;
    bool overflow, pretty;
    unsigned depth;
    uint64_t filled; /* bit d: the container at depth d has a member already */
};

void jw_init(struct json_out *o, char *buf, size_t cap, bool pretty);
/* key: NULL in arrays and at the top. */
void jw_object(struct json_out *o, const char *key);
void jw_array(struct json_out *o, const char *key);
void jw_end_object(struct json_out *o);
void jw_end_array(struct json_out *o);
void jw_string(struct json_out *o, const char *key, const char *val);
void jw_int(struct json_out *o, const char *key, int64_t val);
void jw_bool(struct json_out *o, const char *key, bool val);
/* A value that was read, again. */
void jw_node(struct json_out *o, const char *key, const struct json_doc *d,
             const struct json_node *n);

#endif
