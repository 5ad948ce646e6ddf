/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens a drive's images one below the other. Which file is below which was decided by the vmm; a header
 * that wants another chain than it was given is refused.
 */
#include "block-proc/chain.h"

#include <errno.h>
#include <string.h>
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

struct img *blk_chain_open(const struct chain_link *links, unsigned n, const struct img_options *top,
                           struct img_io *io)
{
    struct img_options below = {.readonly = true};
    if (n == 0 || n > IMG_CHAIN_MAX)
        return NULL;
    for (unsigned i = n; i-- > 0;) { /* the base first: the top may be repaired while it is opened */
        struct img_options opt = i ? below : *top;
        opt.probed = !links[i].format;
        if (link_open(i, &links[i], &opt, i + 1 == n, io) < 0)
            return NULL;
        if (i + 1 < n && img_backing_set(&nodes[i], &nodes[i + 1]) < 0)
            return NULL;
    }
    return &nodes[0];
}
