/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-img create and resize. Must never touch an existing file
 * before every option is checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "block-proc/image/vmdk.h"
#include "block-proc/img/img.h"
#include "block-proc/img/opener.h"

/* The disk below gives its size, and shows that it is there. */
int tool_backing_look(const char *file, struct tool_options *o, bool unsafe)
{
    static struct tool_chain c;
    char path[TOOL_PATH_MAX];
    if (!o->backing[0] || (unsafe && o->has_size))
        return 0;
    if (!o->backing_fmt[0])
        return tool_fail("%s: Backing file specified without backing format", file);
    tool_beside(file, o->backing, path);
    tool_grant(path, 0);
    tool_create_grant(file);
    if (tool_open(&c, path, o->backing_fmt, 0) < 0)
        return 1;
    if (c.img[0].drv == &img_vmdk)
        o->backing_cid = vmdk_cid(&c.img[0]);
    if (!o->has_size)
        o->size = c.img[0].size;
    o->has_size = true;
    tool_close(&c);
    return 0;
}

static void say_formatting(const char *file, const char *fmt, const struct tool_options *o)
{
    printf("Formatting '%s', fmt=%s", file, fmt);
    if (strcmp(fmt, "qcow2")) {
        tool_options_show(o, fmt);
        return;
    }
    printf(" cluster_size=%u extended_l2=off", o->cluster);
    if (o->preallocation[0])
        printf(" preallocation=%s", o->preallocation);
    printf(" compression_type=%s size=%llu", o->zstd ? "zstd" : "zlib", (unsigned long long)o->size);
    if (o->compat[0])
        printf(" compat=%s", o->compat);
    if (o->backing[0])
        printf(" backing_file=%s", o->backing);
    if (o->backing_fmt[0])
        printf(" backing_fmt=%s", o->backing_fmt);
    printf(" lazy_refcounts=%s refcount_bits=%u%s\n", o->lazy ? "on" : "off", o->refcount_bits,
           o->nocow ? " nocow=on" : "");
}

/* btrfs copies no more on write in such a file; elsewhere the flag is not known, which is no error. */
static void nocow_set(int fd)
{
    int flags = 0;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
        flags |= FS_NOCOW_FL;
        (void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
    }
}

static int raw_make(struct img_file *f, const struct tool_options *o, struct img_io *io)
{
    struct img_options opt = {0};
    struct img img;
    int r = img_file_resize(f, o->size, io);
    if (r == 0 && !strcmp(o->preallocation, "falloc") && o->size)
        r = -posix_fallocate(f->fd, 0, (off_t)o->size);
    if (r == 0 && !strcmp(o->preallocation, "full"))
        r = img_open(&img, &img_raw, f, "new image", &opt, io);
    if (r == 0 && !strcmp(o->preallocation, "full"))
        r = img_write_zeros(&img, 0, o->size, io);
    return r;
}

static int qcow2_make(struct img_file *f, const struct tool_options *o, struct img_io *io)
{
    struct qcow2_create c = {.size = o->size,
                             .cluster = o->cluster,
                             .refcount_bits = o->refcount_bits,
                             .v2 = !strcmp(o->compat, "0.10") || !strcmp(o->compat, "v2"),
                             .lazy = o->lazy,
                             .zstd = o->zstd,
                             .backing = o->backing[0] ? o->backing : NULL,
                             .backing_fmt = o->backing_fmt[0] ? o->backing_fmt : NULL,
                             .metadata = !strcmp(o->preallocation, "metadata"),
                             .falloc = !strcmp(o->preallocation, "falloc"),
                             .full = !strcmp(o->preallocation, "full")};
    return qcow2_create(f, &c, io);
}

/* Combinations no single option can see. */
static int options_check(const char *file, struct tool_options *o)
{
    bool v2 = !strcmp(o->compat, "0.10") || !strcmp(o->compat, "v2");
    if (v2 && (o->lazy || o->zstd || o->refcount_bits != 16))
        return tool_fail("%s: lazy_refcounts, compression_type=zstd and refcount_bits need compat=1.1", file);
    if (o->backing[0] && o->preallocation[0] && strcmp(o->preallocation, "off"))
        return tool_fail("%s: preallocation with a backing file is not built", file);
    if (112 + 16 + 400 + strlen(o->backing) > o->cluster && o->backing[0] && o->cluster >= 4096)
        return tool_fail("%s: the backing file's name does not fit into a cluster", file);
    if (o->cluster < 4096 && 136 + strlen(o->backing) > o->cluster)
        return tool_fail("%s: the backing file's name does not fit into a cluster", file);
    return 0;
}

void tool_create_grant(const char *file)
{
    opener_grant(file, OPENER_WRITE | OPENER_CREATE | OPENER_PARTS);
}

/* Formats with a driver of the simple kind. */
static int driver_make(const struct img_driver *drv, struct img_file *f, const char *file, const struct tool_options *o,
                       struct img_io *io)
{
    struct img_create c = {.size = o->size,
                           .log_size = o->log_size,
                           .cluster = o->block_size ? (uint32_t)o->block_size : o->cluster,
                           .table_size = o->table_size,
                           .backing = o->backing[0] ? o->backing : NULL,
                           .backing_fmt = o->backing_fmt[0] ? o->backing_fmt : NULL,
                           .subformat = o->subformat[0] ? o->subformat : NULL,
                           .fixed = o->fixed,
                           .force_size = o->force_size,
                           .compat6 = o->compat6,
                           .zeroed_grain = o->zeroed_grain,
                           .state_zero_off = !o->state_zero,
                           .backing_cid = o->backing_cid,
                           .adapter = o->adapter[0] ? o->adapter : NULL,
                           .hwversion = o->hwversion[0] ? o->hwversion : NULL,
                           .toolsversion = o->toolsversion[0] ? o->toolsversion : NULL,
                           .file_name = file,
                           .part = opener_part};
    return drv->create(f, &c, io);
}

static int image_make(const struct img_driver *drv, const char *file, const struct tool_options *o)
{
    struct img_io io = {0};
    struct img_file f;
    int fd = opener_open(file, OPENER_WRITE | OPENER_CREATE);
    int r = fd < 0 ? fd : img_file_open(&f, fd, false);
    f.unsafe = true; /* a new image that is lost with the host is made again */
    if (r == 0 && o->nocow)
        nocow_set(fd);
    if (r == 0)
        r = img_io_init(&io, NULL);
    if (r == 0)
        r = drv == &img_qcow2 ? qcow2_make(&f, o, &io)
            : drv == &img_raw ? raw_make(&f, o, &io) : driver_make(drv, &f, file, o, &io);
    img_io_fini(&io);
    if (fd >= 0)
        close(fd);
    return r;
}

int tool_create(const char *file, const char *fmt, const struct tool_options *given, bool quiet)
{
    struct tool_options o = *given;
    const struct img_driver *drv = img_driver_find(fmt);
    if (!drv)
        return tool_fail("%s: Unknown file format '%s' (built: %s)", file, fmt, img_driver_names());
    if (drv != &img_qcow2 && drv != &img_raw && !drv->create)
        return tool_fail("%s: Format driver '%s' does not support image creation", file, fmt);
    if (drv == &img_qcow2 && !o.cluster)
        o.cluster = 65536;
    if (!o.refcount_bits)
        o.refcount_bits = 16;
    o.size = (o.size + IMG_SECTOR - 1) & ~(uint64_t)(IMG_SECTOR - 1);
    if (drv == &img_qcow2 && options_check(file, &o))
        return 1;
    if (!quiet)
        say_formatting(file, fmt, &o);
    fflush(stdout);
    opener_lock();
    int r = image_make(drv, file, &o);
    return r < 0 ? tool_fail("%s: Could not create image: %s", file, strerror(-r)) : 0;
}

int cmd_create(int argc, char **argv)
{
    struct tool_options o = {.state_zero = true};
    const char *fmt = "raw", *list = NULL;
    bool quiet = false, unsafe = false;
    for (int c; (c = getopt(argc, argv, "f:o:b:F:qu")) != -1;) {
        switch (c) {
        case 'f': fmt = optarg; break;
        case 'o': list = optarg; break;
        case 'b': snprintf(o.backing, sizeof(o.backing), "%s", optarg); break;
        case 'F': snprintf(o.backing_fmt, sizeof(o.backing_fmt), "%s", optarg); break;
        case 'q': quiet = true; break;
        case 'u': unsafe = true; break;
        default: return 1;
        }
    }
    if (tool_options_help(fmt, list))
        return 0;
    if (optind >= argc || argc - optind > 2)
        return tool_fail("Expecting image file name and, perhaps, a size");
    const char *file = argv[optind];
    if (o.backing[0] && strcmp(fmt, "qcow2") && strcmp(fmt, "qed") && strcmp(fmt, "qcow") && strcmp(fmt, "vmdk"))
        return tool_fail("%s: Backing file not supported for file format '%s'", file, fmt);
    if (list && tool_options_parse(&o, fmt, file, list))
        return 1;
    if (optind + 1 < argc && !(o.has_size = tool_size(argv[optind + 1], &o.size))) {
        tool_fail("Invalid image size specified. You may use k, M, G, T, P or E suffixes for");
        return tool_fail("kilobytes, megabytes, gigabytes, terabytes, petabytes and exabytes.");
    }
    if (tool_backing_look(file, &o, unsafe))
        return 1;
    if (!o.has_size)
        return tool_fail("%s: Image creation needs a size parameter", file);
    tool_create_grant(file);
    return tool_create(file, fmt, &o, quiet);
}

int cmd_resize(int argc, char **argv)
{
    static struct tool_chain c;
    static const struct option longs[] = {{"shrink", no_argument, NULL, 'S'}, {0}};
    const char *fmt = NULL, *size = argc > 1 ? argv[argc - 1] : "";
    bool shrink = false, quiet = false;
    uint64_t v;
    if (argc > 2 && (size[0] == '-' || size[0] == '+')) /* not an option */
        argc--;
    else if (argc > 2)
        argc--;
    for (int o; (o = getopt_long(argc, argv, "f:q", longs, NULL)) != -1;) {
        switch (o) {
        case 'f': fmt = optarg; break;
        case 'q': quiet = true; break;
        case 'S': shrink = true; break;
        default: return 1;
        }
    }
    if (optind != argc - 1)
        return tool_fail("Expecting image file name and size");
    if (!tool_size(size + (size[0] == '-' || size[0] == '+'), &v))
        return tool_fail("Invalid image size '%s'", size);
    tool_grant(argv[optind], TOOL_WRITE);
    if (tool_open(&c, argv[optind], fmt, TOOL_WRITE) < 0)
        return 1;
    uint64_t old = c.img[0].size;
    if (size[0] == '-' && v > old)
        return tool_close(&c), tool_fail("New image size must be positive");
    v = size[0] == '+' ? old + v : size[0] == '-' ? old - v : v;
    v = (v + IMG_SECTOR - 1) & ~(uint64_t)(IMG_SECTOR - 1);
    if (v < old && !shrink) {
        tool_close(&c);
        return tool_fail("Use the --shrink option to perform a shrink operation.");
    }
    int r = v == old ? 0 : img_resize(&c.img[0], v, &c.io);
    tool_close(&c);
    if (r < 0) {
        const char *why = tool_log();
        return tool_fail("%s", why[0] ? why : strerror(-r));
    }
    if (!quiet)
        printf("Image resized.\n");
    return 0;
}
