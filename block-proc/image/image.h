/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk image as request handling and tools see it: bytes at offsets, whatever the format. An image is
 * a driver over an open file, perhaps with a backing image below it. Nothing here opens a file: names
 * found in a header are reported, and whoever has the right to open them attaches the result.
 */
#ifndef BULKHEAD_BLOCK_PROC_IMAGE_IMAGE_H
#define BULKHEAD_BLOCK_PROC_IMAGE_IMAGE_H

#include <stddef.h>
#include "block-proc/image/file.h"

#define IMG_NAME_MAX  1024
#define IMG_CHAIN_MAX 64
#define IMG_RANGES    32 /* requests inside one image at a time */
#define IMG_SECTOR    512u

enum img_kind { IMG_HOLE, IMG_ZERO, IMG_DATA, IMG_PACKED };

/* What a driver's map says of the bytes from an offset on. */
struct img_extent {
    enum img_kind kind; /* HOLE: ask the backing image. PACKED: only the driver can read it */
    uint64_t len;
    uint64_t host;      /* DATA: where in `file`; ZERO with `allocated`: likewise */
    struct img_file *file;
    bool allocated;
};

struct img_range { /* a request at work; exclusive ones change where data lies */
    uint64_t start, end;
    bool used, exclusive;
};

struct img_check { /* what a check finds, and repairs */
    uint64_t corruptions, leaks, corruptions_fixed, leaks_fixed, errors;
    uint64_t total, allocated, fragmented, packed; /* clusters of the guest's disk */
    uint64_t end;                                  /* offset behind the last cluster in use */
    void (*say)(void *opaque, const char *line);   /* each finding; NULL = quiet */
    void *opaque;
};

struct img_create { /* of a new image; what a format has no use for is 0 */
    uint64_t size, log_size;
    uint32_t cluster, table_size;
    const char *backing, *backing_fmt, *subformat; /* NULL = none, the usual one */
    bool fixed, force_size, compat6, zeroed_grain, state_zero_off;
    uint32_t backing_cid;
    const char *adapter, *hwversion, *toolsversion, *file_name;
    /* vmdk of several files: makes one, gives its name (4096 bytes). The descriptor or -errno. */
    int (*part)(const char *file_name, char kind, unsigned number, char *name);
};

struct img;
struct bat_ops;
struct img_driver {
    const char *name;
    /* Is this header the format's? n bytes of the file's start. */
    bool (*probe)(const uint8_t *head, size_t n);
    /* Reads the header; logs one line for what is wrong. */
    int (*open)(struct img *img, struct img_io *io);
    void (*close)(struct img *img, struct img_io *io);
    /* What lies at off (at most len bytes). The image's lock is held. */
    int (*map)(struct img *img, uint64_t off, uint64_t len, struct img_extent *e, struct img_io *io);
    int (*read_packed)(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io);
    int (*write)(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io);
    int (*zero)(struct img *img, uint64_t off, uint64_t len, bool unmap, struct img_io *io);
    int (*discard)(struct img *img, uint64_t off, uint64_t len, struct img_io *io);
    int (*flush)(struct img *img, struct img_io *io);
    /* Clusters of the backing image become the image's own. */
    int (*copy_up)(struct img *img, uint64_t off, uint64_t len, struct img_io *io);
    int (*resize)(struct img *img, uint64_t size, struct img_io *io);
    /* For tools. Writes a new image into an empty file. */
    int (*create)(struct img_file *file, const struct img_create *c, struct img_io *io);
    /* The image is quiet. 0, or -errno when it could not be checked. */
    int (*check)(struct img *img, struct img_check *c, bool fix_leaks, bool fix_all, struct img_io *io);
    /* One whole cluster at off, compressed where that saves room. */
    int (*write_packed)(struct img *img, const uint8_t *data, uint64_t off, struct img_io *io);
    /* Is this the backing image it was made on? 0 or -errno after one line. NULL: the format cannot tell. */
    int (*backing_check)(const struct img *img, const struct img *below);
    /* All parts of the image (img->part) are open now. */
    int (*join)(struct img *img, struct img_io *io);
    /* Names another backing file, "" = none. */
    int (*backing_write)(struct img *img, const char *name, const char *fmt, struct img_io *io);
    bool no_info; /* qemu-img says no cluster size of it */
};

struct img_part { /* another file an image consists of; its name comes out of the image */
    char name[IMG_NAME_MAX];
    struct img_file *file; /* set by whoever opens it, before join */
};

struct img_options {
    bool readonly;
    bool probed;    /* the format was guessed: a raw image then keeps its first sector headerless */
    bool recovered; /* a predecessor in this machine opened and repaired it: no repair at open */
    bool check;     /* opened to be checked: nothing is repaired at open */
    bool inspect;   /* only the header is wanted */
    bool unmap;     /* storage given up in the image is given back to the file system */
    uint64_t raw_offset, raw_size; /* raw: a window; size 0 = to the end */
};

struct img {
    const struct img_driver *drv;
    struct img_file *file;
    struct img_file *data; /* where a format with a separate data file keeps its bytes, else == file */
    struct img *backing;
    struct img_options opt;
    uint64_t size;      /* of the disk, bytes */
    uint32_t cluster;   /* granularity of allocation */
    bool packed;        /* may hold compressed clusters */
    bool broken;        /* found corrupt: writes are refused */
    char name[IMG_NAME_MAX]; /* for messages */
    char backing_name[IMG_NAME_MAX], backing_fmt[16], data_name[IMG_NAME_MAX];
    pthread_mutex_t lock; /* metadata and range[] */
    pthread_cond_t cond;
    unsigned waiters; /* for a range */
    struct img_range range[IMG_RANGES];
    const struct bat_ops *bat; /* of formats that use it */
    struct img_part *part;     /* NULL: the image is one file */
    unsigned n_parts;
    void *priv;
};

/* NULL when the name is not one of a format that is built. */
const struct img_driver *img_driver_find(const char *name);
/* The table of formats, for tests. */
unsigned img_driver_count(void);
const struct img_driver *img_driver_at(unsigned i);
/* Names of all formats, for messages: "raw, qcow2". */
const char *img_driver_names(void);
/* Guesses: a driver, or NULL after logging that it is a format which is not built. */
const struct img_driver *img_probe(struct img_file *f, const char *name, struct img_io *io);
/* Opens file as this format. name: for messages. 0, or -errno after logging why. */
int img_open(struct img *img, const struct img_driver *drv, struct img_file *file, const char *name,
             const struct img_options *opt, struct img_io *io);
/* `below` shows through where this image has nothing. 0, or -errno after logging why it cannot be the right one. */
int img_backing_set(struct img *img, struct img *below);
/* Leaves the image clean. The file stays open, the backing image is not touched. */
void img_close(struct img *img, struct img_io *io);
/* Buffers of a thread for this image and what is below it. 0 or -ENOMEM. */
int img_io_init(struct img_io *io, const struct img *img);
void img_io_fini(struct img_io *io);

/* off and len are multiples of 512 but for the very end; io is private to the calling thread. All
 * return 0 or -errno. */
int img_readv(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io);
int img_writev(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io);
int img_read(struct img *img, void *buf, size_t len, uint64_t off, struct img_io *io);
int img_write(struct img *img, const void *buf, size_t len, uint64_t off, struct img_io *io);
int img_flush(struct img *img, struct img_io *io);
/* The content becomes undefined or zero. Formats and file systems that cannot do nothing. */
int img_discard(struct img *img, uint64_t off, uint64_t len, struct img_io *io);
/* The range reads as zeros afterwards. unmap: storage may be given back. */
int img_zero(struct img *img, uint64_t off, uint64_t len, bool unmap, struct img_io *io);
/* What [off, off+len) shows of a backing image is copied into this one; nothing where the format cannot. */
int img_copy_up(struct img *img, uint64_t off, uint64_t len, struct img_io *io);
/* As map of this image alone, without its backing image. */
int img_status(struct img *img, uint64_t off, uint64_t len, struct img_extent *e, struct img_io *io);
int img_resize(struct img *img, uint64_t size, struct img_io *io);

/* For drivers. Reads without taking a range: the caller holds one. */
int img_read_locked(struct img *img, const struct img_buf *b, uint64_t off, struct img_io *io);
/* Registers [off, off+len), rounded to clusters; waits while another request conflicts. */
struct img_range *img_range_take(struct img *img, uint64_t off, uint64_t len, bool exclusive);
void img_range_drop(struct img *img, struct img_range *r);
/* Writes zeros as data, through the driver's write. */
int img_write_zeros(struct img *img, uint64_t off, uint64_t len, struct img_io *io);

extern const struct img_driver img_raw, img_qcow2, img_vdi, img_vpc, img_parallels, img_qed, img_qcow1, img_vmdk, img_vhdx, img_bochs, img_cloop, img_dmg;

#endif
