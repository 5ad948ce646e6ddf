/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of bulkhead-nbd share: the export, and the wire format of the NBD protocol (doc/proto.md of the NBD
 * project). Everything a client sends is hostile: every length is checked before it is used.
 */
#ifndef BULKHEAD_BLOCK_PROC_NBD_NBD_H
#define BULKHEAD_BLOCK_PROC_NBD_NBD_H

#include <stdbool.h>
#include "block-proc/image/image.h"

#define NBD_REQUEST_MAX (32u << 20) /* bytes of one request */
#define NBD_NAME_MAX    4096u

struct nbd_export {
    struct img *img;
    const char *name, *description;
    uint64_t offset, size; /* of the part that is exported */
    bool readonly, discard, many; /* many: more than one client at a time */
};

struct nbd_client {
    const struct nbd_export *e;
    int fd;
    bool structured, allocation, no_zeroes; /* negotiated */
    struct img_io io;
    uint8_t *buf; /* NBD_REQUEST_MAX bytes */
};

/* All of it, or -errno; -ECONNRESET at the end of the stream. */
int nbd_recv(int fd, void *p, size_t n);
int nbd_send(int fd, const void *head, size_t n_head, const void *body, size_t n_body);
uint16_t nbd_flags(const struct nbd_export *e);
/* negotiate.c: 0: transmission begins; -errno: the client is dropped. */
int nbd_negotiate(struct nbd_client *c);
/* transmit.c: until the client leaves or breaks a rule. */
void nbd_transmit(struct nbd_client *c);

#endif
