/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code generator: guest bytes of one block in, position-independent host code out (ipc/abi/xl.h has the
 * contract). Deterministic, allocates nothing, keeps nothing between calls. Bytes, sizes and mode are hostile
 * input: it reads only the bytes and writes only the buffers it is given.
 */
#ifndef BULKHEAD_VMM_TRANSLATOR_XL_H
#define BULKHEAD_VMM_TRANSLATOR_XL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ipc/abi/xl.h"

/* False: nothing here can be translated; out->code_len is 0 then. */
bool xl_translate(const struct abi_xl_in *in, const uint8_t *bytes, uint8_t *code, size_t room,
                  struct abi_xl_out *out);
/* The same with what is rarely executed somewhere else: cold lies behind code in the same mapping, by less than
 * 1 GiB, and keeps its distance wherever the two are mapped. Offsets in *out count from code in both. */
bool xl_translate_split(const struct abi_xl_in *in, const uint8_t *bytes, uint8_t *code, size_t room, uint8_t *cold,
                        size_t cold_room, struct abi_xl_out *out);
/* The host has what generated code needs (BMI2 that is not microcoded). */
bool xl_host_can(void);

#endif
