/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens the host files a plan names, while the vmm still is the user who started it (decision
 * 0001). Must never interpret a disk beyond recognising that it is not raw, nor a kernel beyond
 * recognising a Multiboot header, which makes -initrd a list.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fs.h>
#include "vmm/config/multiboot-find.h"
#include "vmm/config/plan.h"

static int fail(const char *opt, const char *path, const char *what, int err)
{
    fprintf(stderr, "bulkhead: %s%s: %s%s%s\n", opt, path, what, err ? ": " : "",
            err ? strerror(err) : "");
    return -1;
}

/* O_NONBLOCK so that a FIFO or a tape named by mistake cannot stop the start. */
static int open_checked(const char *opt, const char *path, int flags, struct stat *st)
{
    int fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        return fail(opt, path, "cannot open", errno);
    if (fstat(fd, st)) {
        fail(opt, path, "cannot stat", errno);
        close(fd);
        return -1;
    }
    if (S_ISDIR(st->st_mode)) {
        close(fd);
        return fail(opt, path, "cannot open", EISDIR);
    }
    return fd;
}

static int open_boot_file(const char *opt, const char *path, int *out)
{
    struct stat st;
    int fd;

    if (!path[0])
        return 0;
    fd = open_checked(opt, path, O_RDONLY, &st);
    if (fd < 0)
        return -1;
    if (!S_ISREG(st.st_mode) || !st.st_size) {
        close(fd);
        return fail(opt, path,
                    st.st_size || !S_ISREG(st.st_mode) ? "not a regular file" : "file is empty", 0);
    }
    *out = fd;
    return 0;
}

/* ---- Multiboot modules
 * ----------------------------------------------------------------------- */
/* The next "file arguments" of a list, where ",," stands for a comma. Returns what follows it. */
static const char *module_next(const char *list, char *out, size_t room)
{
    size_t n = 0;

    for (; *list; list++) {
        if (*list == ',' && *++list != ',')
            break;
        if (n + 1 < room)
            out[n++] = *list;
    }
    out[n] = 0;
    return list;
}

static int open_module(struct plan *p, const char *text)
{
    struct plan_module *m = &p->module[p->n_module];
    char path[sizeof(m->text)];

    if (p->n_module == PLAN_MODULES_MAX)
        return fail("-initrd ", p->initrd, "too many modules (limit 16)", 0);
    snprintf(path, sizeof(path), "%.*s", (int)strcspn(text, " "), text);
    if (!path[0])
        return fail("-initrd ", p->initrd, "a module's file name is empty", 0);
    if (open_boot_file("-initrd ", path, &m->fd))
        return -1;
    snprintf(m->text, sizeof(m->text), "%s", text);
    p->n_module++;
    return 0;
}

static int open_modules(struct plan *p)
{
    char text[sizeof(p->module[0].text)];
    const char *list = p->initrd;

    while (*list) {
        list = module_next(list, text, sizeof(text));
        if (strlen(text) == sizeof(text) - 1)
            return fail("-initrd ", p->initrd, "a module's string is longer than 510 bytes", 0);
        if (open_module(p, text + strspn(text, " ")))
            return -1;
    }
    return 0;
}

static int open_initrd(struct plan *p)
{
    uint8_t head[MULTIBOOT_SEARCH];
    ssize_t n;

    if (!p->initrd[0])
        return 0;
    n = pread(p->kernel_fd, head, sizeof(head), 0);
    if (n < 0)
        return fail("-kernel ", p->kernel, "cannot read", errno);
    return multiboot_find(head, (size_t)n) >= 0
               ? open_modules(p)
               : open_boot_file("-initrd ", p->initrd, &p->initrd_fd);
}

/* ---- disks
 * --------------------------------------------------------------------------------------- */
/* Headers of the formats that are not built. A guest that writes such a header into its raw disk
 * gains nothing: the image is then refused, never read as that format. */
static const char *image_format(const unsigned char *h, ssize_t n)
{
    static const struct {
        const char *magic, *name;
        unsigned len;
    } known[] = {
        {"QFI\xfb", "qcow2", 4},     {"QED", "qed", 4},       {"KDMV", "vmdk", 4},
        {"COWD", "vmdk", 4},         {"vhdxfile", "vhdx", 8}, {"conectix", "vpc", 8},
        {"LUKS\xba\xbe", "luks", 6}, {"<<< ", "vdi", 4},
    };

    for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (n >= (ssize_t)known[i].len && !memcmp(h, known[i].magic, known[i].len))
            return known[i].name;
    return NULL;
}

static const char *disk_opt(const struct plan_disk *d)
{
    return d->blockdev ? "-blockdev filename=" : "-drive file=";
}

static int check_format(const struct plan_disk *d, int fd)
{
    unsigned char head[4096] __attribute__((aligned(4096))); /* O_DIRECT */
    const char *format;
    char what[96];
    ssize_t n;

    if (d->format_given)
        return 0;
    n = pread(fd, head, sizeof(head), 0);
    if (n < 0)
        return fail(disk_opt(d), d->file, "cannot read", errno);
    format = image_format(head, n);
    if (!format)
        return 0;
    snprintf(what, sizeof(what), "image format '%s' is not built (format=raw uses it as it is)",
             format);
    return fail(disk_opt(d), d->file, what, 0);
}

static int disk_size(const struct plan_disk *d, int fd, const struct stat *st, uint64_t *size)
{
    if (S_ISREG(st->st_mode)) {
        *size = (uint64_t)st->st_size;
    } else if (!S_ISBLK(st->st_mode)) {
        return fail(disk_opt(d), d->file, "not a regular file or block device", 0);
    } else if (ioctl(fd, BLKGETSIZE64, size)) {
        return fail(disk_opt(d), d->file, "cannot read its size", errno);
    }
    return 0;
}

static int open_disk(struct plan_disk *d)
{
    bool direct = !strcmp(d->cache, "none") || !strcmp(d->cache, "directsync");
    int flags = (d->readonly ? O_RDONLY : O_RDWR) | (direct ? O_DIRECT : 0);
    struct stat st;
    int fd = open_checked(disk_opt(d), d->file, flags, &st);

    if (fd < 0)
        return -1;
    /* files and block devices do not know O_NONBLOCK; whoever inherits it should not see it either
     */
    if (disk_size(d, fd, &st, &d->size) || check_format(d, fd) ||
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK)) {
        close(fd);
        return -1;
    }
    d->fd = fd;
    return 0;
}

/* ---- pid file
 * ------------------------------------------------------------------------------------ */
static int open_pidfile(struct plan *p)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char text[24];
    int fd, len;

    if (!p->pidfile[0])
        return 0;
    fd = open(p->pidfile, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
    if (fd < 0)
        return fail("-pidfile ", p->pidfile, "cannot create PID file", errno);
    len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (fcntl(fd, F_SETLK, &lock) || ftruncate(fd, 0) || write(fd, text, (size_t)len) != len) {
        fail("-pidfile ", p->pidfile, "cannot create PID file", errno);
        close(fd);
        return -1;
    }
    p->pidfile_fd = fd;
    return 0;
}

int plan_open_files(struct plan *p)
{
    if (open_boot_file("-kernel ", p->kernel, &p->kernel_fd) || open_initrd(p))
        return -1;
    for (unsigned i = 0; i < p->n_disk; i++)
        if (open_disk(&p->disk[i]))
            return -1;
    return open_pidfile(p);
}
