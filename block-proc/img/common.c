/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening chains of images for the tool, and the small texts all commands print. Must never leave a
 * dirty image behind when a command ends in order.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "block-proc/img/img.h"
#include "block-proc/img/opener.h"
#include "ipc/imagelock.h"
#include "ipc/imagepath.h"
#include "ipc/log.h"

static char last_log[512];

static void log_keep(void *opaque, const char *text)
{
    (void)opaque;
    snprintf(last_log, sizeof(last_log), "%s", text);
}

void tool_init(void)
{
    ipc_log_capture(log_keep, NULL);
}

const char *tool_log(void)
{
    static char text[sizeof(last_log)];
    memcpy(text, last_log, sizeof(text));
    last_log[0] = '\0';
    return text;
}

int tool_fail(const char *fmt, ...)
{
    va_list ap;
    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return 1;
}

bool tool_size(const char *s, uint64_t *out)
{
    static const char units[] = "bkMGTPE";
    char *end;
    double v = strtod(s, &end);
    if (end == s || !(v >= 0) || *s == '-' || *s == '+')
        return false;
    const char *u = *end ? strchr(units, *end == 'K' ? 'k' : *end) : units;
    if (!u || (*end && end[1]))
        return false;
    unsigned shift = 10 * (unsigned)(u - units);
    if (!(ldexp(v, (int)shift) < 9.2e18))
        return false;
    *out = v == floor(v) ? (uint64_t)v << shift : (uint64_t)ldexp(v, (int)shift);
    return true;
}

const char *tool_human(uint64_t bytes, char buf[32])
{
    static const char *const units[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    int i;
    frexp((double)bytes / (1000.0 / 1024.0), &i); /* 1000 of a unit are already the next one */
    i = (i - 1) / 10;
    if (i < 0)
        i = 0;
    snprintf(buf, 32, "%0.3g %sB", ldexp((double)bytes, -10 * i), units[i]);
    return buf;
}

void tool_progress(bool on, uint64_t done, uint64_t all)
{
    if (!on)
        return;
    printf("    (%3.2f/100%%)\r", all ? (double)done * 100.0 / (double)all : 100.0);
    if (done == all)
        fputc('\n', stdout);
    fflush(stdout);
}

void tool_json_string(const char *s)
{
    putchar('"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            printf("\\%c", *s);
        else if ((unsigned char)*s < 0x20)
            printf("\\u%04x", (unsigned char)*s);
        else
            putchar(*s);
    }
    putchar('"');
}

bool tool_is_zero(const uint8_t *p, size_t n)
{
    return n == 0 || (p[0] == 0 && !memcmp(p, p + 1, n - 1));
}

static int open_fail(const char *path, int r)
{
    const char *text = tool_log();
    const char *name = "image: ";
    if (!strncmp(text, path, strlen(path)) && !strncmp(text + strlen(path), ": ", 2))
        text += strlen(path) + 2;
    else if (!strncmp(text, name, strlen(name)))
        text += strlen(name);
    tool_fail("Could not open '%s': %s", path, text[0] ? text : strerror(-r));
    return -1;
}

static int lock(int fd, const char *path, unsigned flags)
{
    int r = flags & TOOL_SHARE ? 0 : ipc_image_lock(fd, flags & TOOL_WRITE);
    if (r != -EAGAIN)
        return 0;
    tool_fail("Could not open '%s': Failed to get \"%s\" lock: the image is in use by another process", path,
              flags & TOOL_WRITE ? "write" : "shared \"write\"");
    return -1;
}

static int open_named(const struct tool_chain *c, const char *path, unsigned flags, char *real)
{
    unsigned how = (flags & TOOL_WRITE ? OPENER_WRITE : 0) | (flags & TOOL_DIRECT ? OPENER_DIRECT : 0);
    if (c->n)
        return opener_open_below(c->path[c->n - 1], path, how, real);
    snprintf(real, OPENER_PATH_MAX, "%s", !strncmp(path, "file:", 5) ? path + 5 : path);
    return opener_open(path, how);
}

/* The other files an image consists of. */
static int parts_open(struct tool_chain *c, struct img *img, unsigned flags)
{
    unsigned how = (flags & TOOL_WRITE ? OPENER_WRITE : 0) | (flags & TOOL_DIRECT ? OPENER_DIRECT : 0);
    struct img_file *files = calloc(img->n_parts, sizeof(*files));
    char real[OPENER_PATH_MAX];
    int r = files ? 0 : -ENOMEM;
    for (unsigned i = 0; r == 0 && i < img->n_parts; i++) {
        int fd = opener_open_member(c->path[c->n], img->part[i].name, how, real);
        if (fd < 0)
            return open_fail(img->part[i].name, fd);
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
        if (lock(fd, img->part[i].name, flags) < 0)
            return -1;
        r = img_file_open(&files[i], fd, !(flags & TOOL_WRITE));
        img->part[i].file = &files[i];
    }
    c->parts[c->n] = files;
    if (r == 0)
        r = img->drv->join(img, &c->io);
    return r < 0 ? open_fail(img->name, r) : 0;
}

/* The next image of the chain. */
static int open_one(struct tool_chain *c, const char *path, const char *fmt, unsigned flags)
{
    struct img *img = &c->img[c->n];
    struct img_file *f = &c->file[c->n];
    struct img_options opt = {.readonly = !(flags & TOOL_WRITE), .check = flags & TOOL_CHECK, .probed = !fmt};
    char real[OPENER_PATH_MAX];
    struct stat st;
    int fd = open_named(c, path, flags, real);
    if (fd == -EPERM && c->n) {
        tool_fail("Could not open backing file '%s' of '%s': it is not in that image's directory, and "
                  IPC_IMAGE_DIRS_ENV " does not list another one", path, c->path[c->n - 1]);
        return -1;
    }
    if (fd < 0)
        return open_fail(path, fd);
    if (fstat(fd, &st) || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)))
        return open_fail(path, -EINVAL);
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    if (lock(fd, path, flags) < 0)
        return -1;
    int r = img_file_open(f, fd, opt.readonly);
    if (r < 0)
        return open_fail(path, r);
    const struct img_driver *drv = fmt ? img_driver_find(fmt) : img_probe(f, path, &c->io);
    if (!drv && fmt) {
        tool_fail("Could not open '%s': Unknown driver '%s' (built: %s)", path, fmt, img_driver_names());
        return -1;
    }
    r = drv ? img_open(img, drv, f, path, &opt, &c->io) : -EINVAL;
    if (r < 0)
        return open_fail(path, r);
    snprintf(c->path[c->n], sizeof(c->path[0]), "%s", real);
    if (img->n_parts && parts_open(c, img, flags) < 0)
        return -1;
    if (c->n++)
        return img_backing_set(&c->img[c->n - 2], img) < 0 ? open_fail(c->img[c->n - 2].name, -EINVAL) : 0;
    return 0;
}

bool tool_cache_known(const char *mode)
{
    static const char *const modes[] = {"writeback", "none", "unsafe", "writethrough", "directsync"};
    for (unsigned i = 0; i < 5; i++)
        if (!strcmp(mode, modes[i]))
            return true;
    return false;
}

void tool_beside(const char *file, const char *name, char *path)
{
    const char *slash = strrchr(file, '/');
    snprintf(path, TOOL_PATH_MAX, "%.*s%s", name[0] != '/' && slash ? (int)(slash - file + 1) : 0, file, name);
}

/* "snapshot.id=1", "snapshot.name=x", or an id or name. */
int tool_snapshot_load(struct tool_chain *c, const char *which)
{
    if (!which)
        return 0;
    if (!strncmp(which, "snapshot.id=", 12))
        which += 12;
    else if (!strncmp(which, "snapshot.name=", 14))
        which += 14;
    if (c->img[0].drv != &img_qcow2)
        return tool_fail("Failed to load snapshot: images of the format '%s' have none", c->img[0].drv->name);
    int r = qcow2_snapshot_load(&c->img[0], which, &c->io);
    return r < 0 ? tool_fail("Failed to load snapshot: %s", r == -ENOENT ? "Can't find snapshot" : strerror(-r)) : 0;
}

void tool_grant(const char *path, unsigned flags)
{
    opener_grant(path, flags & TOOL_WRITE ? OPENER_WRITE : 0);
    if (flags & TOOL_WRITE_BELOW)
        opener_grant(NULL, OPENER_BELOW);
}

int tool_open(struct tool_chain *c, const char *path, const char *fmt, unsigned flags)
{
    opener_lock();
    memset(c, 0, sizeof(*c));
    if (img_io_init(&c->io, NULL) < 0)
        return open_fail(path, -ENOMEM);
    if (open_one(c, path, fmt, flags) < 0)
        return -1;
    while (!(flags & TOOL_NO_BACKING) && c->img[c->n - 1].backing_name[0]) {
        const struct img *top = &c->img[c->n - 1];
        if (c->n == TOOL_CHAIN_MAX) {
            tool_fail("Could not open '%s': more than %d backing files, or a loop", path, TOOL_CHAIN_MAX - 1);
            return -1;
        }
        unsigned below = flags & ~(unsigned)(TOOL_WRITE | TOOL_CHECK);
        if (flags & TOOL_WRITE_BELOW && c->n == 1)
            below |= TOOL_WRITE;
        if (open_one(c, top->backing_name, top->backing_fmt[0] ? top->backing_fmt : NULL, below) < 0)
            return -1;
    }
    img_io_fini(&c->io);
    return img_io_init(&c->io, c->img) < 0 ? open_fail(path, -ENOMEM) : 0;
}

void tool_close(struct tool_chain *c)
{
    for (unsigned i = 0; i < c->n; i++) {
        unsigned parts = c->img[i].n_parts;
        img_close(&c->img[i], &c->io);
        close(c->file[i].fd);
        for (unsigned k = 0; c->parts[i] && k < parts; k++)
            close(c->parts[i][k].fd);
        free(c->parts[i]);
        c->parts[i] = NULL;
    }
    img_io_fini(&c->io);
    c->n = 0;
}

/* Holes in the file under allocated clusters count where they are whole clusters. */
static bool data_hole(const struct img *img, uint64_t off, const struct img_extent *e, uint64_t *len)
{
    uint64_t cluster = img->cluster, end;
    if (img_file_hole(e->file, e->host, len)) {
        end = (off + *len) / cluster * cluster;
        if (end > off || *len == e->len) {
            *len = end > off ? end - off : *len;
            return true;
        }
    }
    end = (off + *len + cluster - 1) / cluster * cluster;
    *len = end - off < e->len ? end - off : e->len;
    return false;
}

bool tool_zero(struct tool_chain *c, uint64_t off, uint64_t *len, unsigned *depth, struct img_extent *e,
               struct img_io *io)
{
    for (unsigned i = 0; i < c->n; i++) {
        struct img *img = &c->img[i];
        if (depth)
            *depth = i;
        if (off >= img->size) { /* behind the end of a shorter image below */
            *e = (struct img_extent){.kind = IMG_HOLE, .len = *len};
            return true;
        }
        if (img_status(img, off, *len, e, io) < 0)
            return false;
        *len = e->len;
        if (e->kind == IMG_DATA)
            return data_hole(img, off, e, len);
        if (e->kind != IMG_HOLE)
            return e->kind == IMG_ZERO;
    }
    return true;
}
