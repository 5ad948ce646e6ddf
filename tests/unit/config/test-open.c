/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_open_files: descriptors and their modes, and the one line that each wrong file gets.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ipc/abi/image-about.h"
#include "vmm/config/plan.h"

static struct plan plan;
static const char *initrd; /* for the next try() */
static char dir[] = "/tmp/bulkhead-open-XXXXXX";
static int failed, stderr_copy;

static void check(int ok, const char *what)
{
    printf("%sok - %s\n", ok ? "" : "not ", what);
    failed |= !ok;
}

static void make(const char *name, const char *data, size_t len)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    if (fd < 0 || write(fd, data, len) != (ssize_t)len || ftruncate(fd, 8192))
        exit(1);
    close(fd);
}

/* Opens what the options say; err gets the line that went to stderr. */
static int try(const char *drive, const char *kernel, const char *pidfile, char *err, size_t len)
{
    char *argv[16] = {(char *)"bulkhead", (char *)"-nodefaults", (char *)"-kernel", (char *)kernel};
    int argc = 4, fd, rc;
    ssize_t n;

    if (drive) {
        argv[argc++] = (char *)"-drive";
        argv[argc++] = (char *)drive;
    }
    if (initrd) {
        argv[argc++] = (char *)"-initrd";
        argv[argc++] = (char *)initrd;
    }
    if (pidfile) {
        argv[argc++] = (char *)"-pidfile";
        argv[argc++] = (char *)pidfile;
    }
    fd = open("stderr", O_RDWR | O_CREAT | O_TRUNC, 0644);
    fflush(stderr);
    dup2(fd, 2);
    rc = plan_parse(&plan, argc, argv) ? 99 : plan_open_files(&plan);
    fflush(stderr);
    dup2(stderr_copy, 2);
    n = pread(fd, err, len - 1, 0);
    err[n > 0 ? n : 0] = 0;
    close(fd);
    return rc;
}

static void refused(const char *drive, const char *kernel, const char *line)
{
    char err[512], want[512];
    int rc = try(drive, kernel, NULL, err, sizeof(err));

    snprintf(want, sizeof(want), "bulkhead: %s\n", line);
    if (rc != -1 || strcmp(err, want))
        printf("# rc %d, %s", rc, err);
    check(rc == -1 && !strcmp(err, want), line);
}

static int flags_of(int fd)
{
    return fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK);
}

static void test_good(void)
{
    char err[512], pid[32] = "";
    int fd;

    check(!try("file=raw,if=virtio", "k", "pid", err, sizeof(err)) && !*err, "opens");
    check(plan.disk[0].size == 8192 && flags_of(plan.disk[0].fd) == O_RDWR,
          "a disk is read and written");
    check(fcntl(plan.disk[0].fd, F_GETFD) & FD_CLOEXEC, "and not inherited");
    check(plan.kernel_fd >= 0 && plan.initrd_fd == -1, "kernel");
    fd = open("pid", O_RDONLY);
    check(read(fd, pid, sizeof(pid) - 1) > 0 && atol(pid) == getpid(), "pid file");
    check(!try("file=raw,if=virtio,readonly=on", "k", NULL, err, sizeof(err)) &&
              flags_of(plan.disk[0].fd) == O_RDONLY,
          "a read-only disk is only read");
    check(!try("file=qcow2,if=virtio,format=raw", "k", NULL, err, sizeof(err)),
          "format=raw is believed");
}

static void test_bad(void)
{
    refused("file=nope,if=virtio,format=raw", "k",
            "-drive file=nope: cannot open: No such file or directory");
    refused("file=d,if=virtio", "k", "-drive file=d: cannot open: Is a directory");
    refused("file=d,if=virtio,readonly=on", "k", "-drive file=d: cannot open: Is a directory");
    refused("file=qcow2,if=virtio", "k", "-drive file=qcow2: cluster size 2^0 is out of range");
    refused("file=vdi,if=virtio", "k",
            "-drive file=vdi: vdi: only version 1.1 is built");
    refused("file=luks,if=virtio", "k",
            "-drive file=luks: image format 'luks' is not built (built: " ABI_IMAGE_FORMATS "; format=raw uses it as it is)");
    refused("file=raw,if=virtio,format=qcow2", "k", "-drive file=raw: not a qcow2 image");
    refused("file=/dev/null,if=virtio", "k",
            "-drive file=/dev/null: not a regular file or block device");
    refused("file=fifo,if=virtio,readonly=on", "k",
            "-drive file=fifo: not a regular file or block device");
    refused(NULL, "nope", "-kernel nope: cannot open: No such file or directory");
    refused(NULL, "d", "-kernel d: cannot open: Is a directory");
    refused(NULL, "empty", "-kernel empty: file is empty");
    if (getuid()) /* root may read everything */
        refused("file=secret,if=virtio", "k", "-drive file=secret: cannot open: Permission denied");
}

/* -initrd is one file for Linux, a list for a kernel with a Multiboot header. */
static void test_modules(void)
{
    char err[512];

    initrd = "raw x,,y,a,,b";
    check(!try(NULL, "mb", NULL, err, sizeof(err)) && plan.n_module == 2 && plan.initrd_fd < 0 &&
              !strcmp(plan.module[0].text, "raw x,y") && !strcmp(plan.module[1].text, "a,b"),
          "modules with arguments and commas");
    initrd = "raw,nope";
    refused(NULL, "mb", "-initrd nope: cannot open: No such file or directory");
    initrd = "raw, ";
    refused(NULL, "mb", "-initrd raw, : a module's file name is empty");
    initrd = "raw,raw,raw,raw,raw,raw,raw,raw,raw,raw,raw,raw,raw,raw,raw,raw,raw";
    refused(NULL, "mb",
            "-initrd raw,raw,raw,raw,raw,raw,raw,raw,raw,raw,raw,raw,raw,raw,raw,raw,raw: too many "
            "modules (limit 16)");
    initrd = "a,b";
    check(!try(NULL, "k", NULL, err, sizeof(err)) && plan.initrd_fd >= 0 && !plan.n_module,
          "a comma is part of the name for any other kernel");
    initrd = NULL;
}

int main(void)
{
    static const uint32_t multiboot[3] = {0x1badb002, 0, 0u - 0x1badb002u};
    static const char vdi[68] = {[64] = 0x7f, 0x10, (char)0xda, (char)0xbe};
    char command[64];

    stderr_copy = dup(2);
    if (!mkdtemp(dir) || chdir(dir))
        return 1;
    make("k", "kernel", 6);
    make("raw", "raw", 3);
    make("mb", (const char *)multiboot, sizeof(multiboot));
    make("a,b", "x", 1);
    make("qcow2", "QFI\xfb\0\0\0\3", 8);
    make("vdi", vdi, sizeof(vdi));
    make("luks", "LUKS\xba\xbe\0\1", 8);
    make("secret", "x", 1);
    chmod("secret", 0);
    close(open("empty", O_WRONLY | O_CREAT, 0644));
    mkdir("d", 0755);
    mkfifo("fifo", 0644);
    test_good();
    test_bad();
    test_modules();
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command) || failed;
}
