/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed clusters: deflate (as qcow2 writes it, without header) and zstd. Owns the libraries' state
 * and two cluster buffers of one thread; must never allocate after it is made.
 */
#ifndef BULKHEAD_BLOCK_PROC_IMAGE_CODEC_H
#define BULKHEAD_BLOCK_PROC_IMAGE_CODEC_H

#include <stddef.h>
#include <stdint.h>

enum { IMG_CODEC_DEFLATE, IMG_CODEC_ZSTD, IMG_CODEC_ZLIB }; /* ZLIB: with header and checksum (vmdk, cloop, dmg) */

struct img_codec;
struct img_codec *img_codec_new(uint32_t cluster);
void img_codec_free(struct img_codec *c);
/* Room for compressed bytes, and the cluster last unpacked. */
uint8_t *img_codec_in(struct img_codec *c, size_t *size);
uint8_t *img_codec_out(struct img_codec *c);
/* `in` bytes of img_codec_in become exactly `out` bytes of img_codec_out. 0 or -EIO. */
int img_codec_unpack(struct img_codec *c, int kind, size_t in, size_t out);
/* Packs len bytes into img_codec_in. The size, 0 = does not get smaller (never with ZLIB: what is longer is kept), or
 * -EIO. */
long img_codec_pack(struct img_codec *c, int kind, const uint8_t *data, size_t len);

#endif
