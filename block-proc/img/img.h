/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commands of bulkhead-img share: opening a chain of images, sizes, option lists, progress. Owns
 * the way errors are said; must never follow a name of a header but by ipc/imagepath.h.
 */
#ifndef BULKHEAD_BLOCK_PROC_IMG_IMG_H
#define BULKHEAD_BLOCK_PROC_IMG_IMG_H

#include "block-proc/image/image.h"
#include "block-proc/image/qcow2-tool.h"

#define TOOL_CHAIN_MAX 17
#define TOOL_PATH_MAX  4096

struct tool_chain { /* an image and what is below it; [0] is the image */
    unsigned n;
    struct img img[TOOL_CHAIN_MAX];
    struct img_file file[TOOL_CHAIN_MAX];
    struct img_file *parts[TOOL_CHAIN_MAX]; /* of images of several files */
    char path[TOOL_CHAIN_MAX][TOOL_PATH_MAX]; /* what was opened */
    struct img_io io;
};

enum { TOOL_WRITE = 1, TOOL_CHECK = 2, TOOL_NO_BACKING = 4, TOOL_SHARE = 8, TOOL_DIRECT = 16, TOOL_WRITE_BELOW = 32 };
/* Before the first tool_open of a command: every name of the command line it will open, with TOOL_WRITE and
 * TOOL_WRITE_BELOW as needed. */
void tool_grant(const char *path, unsigned flags);
/* fmt NULL = guess. 0, or -1 after saying why. The first call locks the program down. */
int tool_open(struct tool_chain *c, const char *path, const char *fmt, unsigned flags);
void tool_close(struct tool_chain *c);
/* io is the calling thread's. Does this range read as zeros without looking at bytes? *len is cut to where the answer changes. depth
 * (may be NULL): which image of the chain answers; e: its extent. */
bool tool_zero(struct tool_chain *c, uint64_t off, uint64_t *len, unsigned *depth, struct img_extent *e,
               struct img_io *io);
bool tool_is_zero(const uint8_t *p, size_t n);

/* One line on stderr, "bulkhead-img: " in front. Returns 1, the usual exit status. */
int tool_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Text the image layer logged last, "" if none; forgets it. */
const char *tool_log(void);
void tool_init(void);
/* Bytes with k M G T P E; false: not a size. */
bool tool_size(const char *s, uint64_t *out);
/* "1.5 GiB", as QEMU rounds it. */
const char *tool_human(uint64_t bytes, char buf[32]);
void tool_progress(bool on, uint64_t done, uint64_t all);
void tool_json_string(const char *s);

struct tool_options { /* -o, and what other options say of a new image */
    uint64_t size;
    bool has_size;
    char backing[IMG_NAME_MAX], backing_fmt[16], preallocation[16], compat[8], compression[8];
    char subformat[24], adapter[16], hwversion[16], toolsversion[16];
    bool lazy, zstd, nocow, fixed, force_size, compat6, zeroed_grain, state_zero;
    uint32_t cluster, refcount_bits, table_size, backing_cid;
    uint64_t log_size, block_size, given; /* given: a bit for each entry of the table */
};
/* What "Formatting ..." says behind the format. */
void tool_options_show(const struct tool_options *o, const char *fmt);
/* -o help: prints the list. False: it was not asked for. */
bool tool_options_help(const char *fmt, const char *list);
/* Reads one "a=b,c=d" list; file: for messages. 0 or the exit status. */
int tool_options_parse(struct tool_options *o, const char *fmt, const char *file, const char *list);
/* The backing file of a new image: it is there, it gives its size. unsafe: not looked at when the size is known. 0 or
 * the exit status. */
int tool_backing_look(const char *file, struct tool_options *o, bool unsafe);
/* Before the lock: the image will be made. */
void tool_create_grant(const char *file);
/* Makes the image. 0 or the exit status. */
int tool_create(const char *file, const char *fmt, const struct tool_options *o, bool quiet);

/* Commands: argv[0] is the command's name. */
int cmd_create(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_commit(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_map(int argc, char **argv);
int cmd_resize(int argc, char **argv);
int cmd_snapshot(int argc, char **argv);
int cmd_measure(int argc, char **argv);
int cmd_rebase(int argc, char **argv);
int cmd_amend(int argc, char **argv);
int cmd_dd(int argc, char **argv);
int cmd_bench(int argc, char **argv);
/* A cache mode QEMU knows? */
bool tool_cache_known(const char *mode);
/* What `name` means to the image at `file`: beside it, if it is not absolute. path: TOOL_PATH_MAX bytes. */
void tool_beside(const char *file, const char *name, char *path);
/* The chain shows this internal snapshot from now on (-l); which NULL = nothing. 0 or the exit status. */
int tool_snapshot_load(struct tool_chain *c, const char *which);
/* The list as info and snapshot -l print it; nothing when there is none. */
void tool_snapshots_human(struct tool_chain *c, unsigned at);
void tool_snapshots_json(struct tool_chain *c, unsigned at, const char *in);

#endif
