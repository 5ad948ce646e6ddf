/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens the host files, sockets and interfaces a plan names, while the vmm still is the user who started it (decision
 * 0001). Must never interpret a disk image, nor a kernel beyond recognising a Multiboot header, which makes -initrd a list.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fs.h>
#include "vmm/config/image-chain.h"
#include "vmm/config/multiboot-find.h"
#include "vmm/config/net.h"
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

/* ---- firmware and ROMs
 * ----------------------------------------------------------------------- */
static const char *const rom_dirs[] = {"/usr/share/seabios", "/usr/share/qemu", "/usr/lib/ipxe/qemu",
                                       "/usr/share/OVMF", "/usr/local/share/qemu"};

/* As named, else in the directories of -L, else where the system's packages put such files. */
static void rom_find(const struct plan *p, const struct plan_rom *r, char *out, size_t room)
{
    snprintf(out, room, "%s", r->path);
    if (!access(out, R_OK))
        return;
    for (unsigned i = 0; i < p->n_dir; i++) {
        snprintf(out, room, "%s/%s", p->dir[i], r->path);
        if (!access(out, R_OK))
            return;
    }
    for (unsigned i = 0; i < sizeof(rom_dirs) / sizeof(rom_dirs[0]); i++) {
        snprintf(out, room, "%s/%s", rom_dirs[i], r->path);
        if (!access(out, R_OK))
            return;
    }
    snprintf(out, room, "%s", r->path);
}

static int open_rom(const struct plan *p, struct plan_rom *r)
{
    char path[800], opt[32];

    snprintf(opt, sizeof(opt), "%s ", r->opt);
    rom_find(p, r, path, sizeof(path));
    if (r->optional && access(path, F_OK))
        return 0;
    return open_boot_file(opt, path, &r->fd);
}

static int open_flash(struct plan_flash *f)
{
    struct stat st;

    f->fd = open_checked("-drive if=pflash,file=", f->file, f->readonly ? O_RDONLY : O_RDWR, &st);
    if (f->fd < 0)
        return -1;
    return S_ISREG(st.st_mode) ? 0 : fail("-drive if=pflash,file=", f->file, "not a regular file", 0);
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
static const char *disk_opt(const struct plan_disk *d)
{
    return d->blockdev ? "-blockdev filename=" : "-drive file=";
}

/* The disk's size and what is below it; a raw image with its format named needs no look inside. */
static int look_inside(struct plan_disk *d)
{
    char why[400];

    if (!strcmp(d->format, "raw"))
        return 0;
    return image_chain_open(d, why, sizeof(why)) ? fail(disk_opt(d), d->file, why, 0) : 0;
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

/* snapshot=on: a file without a name, in which the block process makes an image over the drive's own. */
static int temporary_open(void)
{
    const char *dir = getenv("TMPDIR");
    int fd = open(dir && *dir ? dir : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    return fd < 0 ? open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : fd;
}

static int snapshot_on(struct plan_disk *d)
{
    int fd = temporary_open();

    if (fd < 0)
        return fail("snapshot=on: ", d->file, "cannot make a temporary file in TMPDIR, /var/tmp or /tmp", errno);
    if (d->n_backing == PLAN_CHAIN_MAX) {
        close(fd);
        return fail("snapshot=on: ", d->file, "too many backing files below it", 0);
    }
    memmove(d->backing_fd + 1, d->backing_fd, d->n_backing * sizeof(d->backing_fd[0]));
    memmove(d->backing_format + 1, d->backing_format, d->n_backing * sizeof(d->backing_format[0]));
    d->backing_fd[0] = d->fd;
    memcpy(d->backing_format[0], d->format, sizeof(d->format));
    d->n_backing++;
    strcpy(d->format, "qcow2");
    strcpy(d->cache, "unsafe"); /* nothing of it is wanted after the machine's end */
    d->fd = fd;
    return 0;
}

static int open_disk(struct plan_disk *d)
{
    bool direct = !d->snapshot && (!strcmp(d->cache, "none") || !strcmp(d->cache, "directsync"));
    int flags = (d->readonly || d->snapshot ? O_RDONLY : O_RDWR) | (direct ? O_DIRECT : 0);
    struct stat st;
    int fd = open_checked(disk_opt(d), d->file, flags, &st);

    if (fd < 0)
        return -1;
    /* files and block devices do not know O_NONBLOCK; whoever inherits it should not see it either
     */
    d->fd = fd;
    if (disk_size(d, fd, &st, &d->size) || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) ||
        look_inside(d)) {
        close(fd);
        d->fd = -1;
        return -1;
    }
    return d->snapshot ? snapshot_on(d) : 0;
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
    for (unsigned i = 0; i < p->n_rom; i++)
        if (open_rom(p, &p->rom[i]))
            return -1;
    for (unsigned i = 0; i < 2; i++)
        if (p->flash[i].used && open_flash(&p->flash[i]))
            return -1;
    for (unsigned i = 0; i < p->n_fwcfg; i++)
        if (open_boot_file("-fw_cfg file=", p->fwcfg[i].file, &p->fwcfg[i].fd))
            return -1;
    if (open_boot_file("-boot splash=", p->boot.splash, &p->boot.splash_fd))
        return -1;
    for (unsigned i = 0; i < p->n_disk; i++)
        if (open_disk(&p->disk[i]))
            return -1;
    for (unsigned i = 0; i < p->n_net; i++)
        if (net_open(&p->net[i]))
            return -1;
    return open_pidfile(p);
}
