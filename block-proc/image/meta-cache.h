/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cache of fixed size for tables inside an image file, in slices. Writes go through to the file at
 * once: what a request changed survives the death of the process. Callers hold the image's lock.
 */
#ifndef BULKHEAD_BLOCK_PROC_IMAGE_META_CACHE_H
#define BULKHEAD_BLOCK_PROC_IMAGE_META_CACHE_H

#include "block-proc/image/file.h"

struct meta_cache {
    struct img_file *file;
    uint32_t slice, slots;
    uint64_t *tag;  /* file offset of each slot's slice, or META_EMPTY */
    uint8_t *bytes;
};
#define META_EMPTY UINT64_MAX

/* slots becomes a power of two. 0 or -ENOMEM. */
int meta_init(struct meta_cache *c, struct img_file *file, uint32_t slice, uint64_t slots);
void meta_fini(struct meta_cache *c);
/* The slice that holds file offset `off`: *at points to the byte at off. Valid until the next call. */
int meta_get(struct meta_cache *c, uint64_t off, uint8_t **at, struct img_io *io);
/* Writes len changed bytes, at `at` (from meta_get of off, all in one slice), to the file. */
int meta_put(struct meta_cache *c, uint64_t off, const uint8_t *at, uint32_t len, struct img_io *io);
/* Forgets what is cached of [off, off+len). */
void meta_forget(struct meta_cache *c, uint64_t off, uint64_t len);

#endif
