/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens a drive's images one below the other. Which file is below which was decided by the vmm; a header
 * that wants another chain than it was given is refused.
 */
#include "block-proc/chain.h"

#include <errno.h>
#include <string.h>
#include "block-proc/image/probe.h"
#include "block-proc/image/qcow2-tool.h"
#include "ipc/log.h"

static struct img nodes[IMG_CHAIN_MAX];
static struct img_file files[IMG_CHAIN_MAX];

static const struct img_driver *driver_of(const struct chain_link *l, struct img_file *f,
                                          struct img_io *io)
{
    if (!l->format)
        return img_probe(f, l->name, io);
    const struct img_driver *drv = img_driver_find(l->format);
    if (!drv)
        log_error("%s: image format '%s' is not built (built: %s)", l->name, l->format,
                  img_driver_names());
    return drv;
}

static int link_open(unsigned i, const struct chain_link *l, const struct img_options *opt, bool last,
                     struct img_io *io)
{
    int r = img_file_open(&files[i], l->fd, opt->readonly);
    if (r < 0)
        return r;
    const struct img_driver *drv = driver_of(l, &files[i], io);
    if (!drv)
        return -EINVAL;
    r = img_open(&nodes[i], drv, &files[i], l->name, opt, io);
    if (r < 0)
        return r;
    if (nodes[i].n_parts) {
        log_error("%s: disks of several files are not built for machines (bulkhead-img convert makes one file of it)", l->name);
        return -ENOTSUP;
    }
    if (!nodes[i].backing_name[0] == !last) {
        log_error("%s: %s", l->name, last ? "its backing file was not handed over"
                                          : "has no backing file, but one was handed over");
        return -EINVAL;
    }
    return 0;
}

/* snapshot=on: an empty file becomes an image over the drive's own; a successor finds it made. */
static int overlay_make(int fd, uint64_t size, struct img_io *io)
{
    struct qcow2_create c = {.size = size, .cluster = 65536, .refcount_bits = 16, .backing = "the drive's image"};
    struct img_file f;
    uint8_t head[IMG_SECTOR] __attribute__((aligned(IMG_SECTOR))) = {0};
    int r = img_file_open(&f, fd, false);
    if (r == 0)
        r = img_file_read(&f, head, sizeof(head), 0, io);
    if (r == 0 && !img_probe_header(head, sizeof(head))) { /* the header is written last: one half made is made again */
        r = img_file_resize(&f, 0, io);
        if (r == 0)
            r = qcow2_create(&f, &c, io);
    }
    if (r < 0)
        log_error("the temporary image of snapshot=on cannot be made: %s", strerror(-r));
    return r;
}

struct img *blk_chain_open(const struct chain_link *links, unsigned n, const struct img_options *top,
                           bool snapshot, struct img_io *io)
{
    struct img_options below = {.readonly = true};
    if (n == 0 || n > IMG_CHAIN_MAX || (snapshot && n < 2))
        return NULL;
    for (unsigned i = n; i-- > 0;) { /* the base first: the top may be repaired while it is opened */
        struct img_options opt = i ? below : *top;
        opt.probed = !links[i].format;
        if (i == 0 && snapshot && overlay_make(links[0].fd, nodes[1].size, io) < 0)
            return NULL;
        if (link_open(i, &links[i], &opt, i + 1 == n, io) < 0)
            return NULL;
        if (i + 1 < n && img_backing_set(&nodes[i], &nodes[i + 1]) < 0)
            return NULL;
    }
    return &nodes[0];
}
