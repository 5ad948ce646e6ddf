/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile images: a guest that forges a header, names that lead elsewhere, headers of random damage, images
 * that are cut short. Nothing may crash, and what is refused must be refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "block-proc/image/image.h"
#include "block-proc/image/qcow2-header.h"
#include "block-proc/image/qcow2-tool.h"
#include "ipc/abi/image-about.h"
#include "ipc/imagepath.h"
#include "ipc/log.h"
#include "ipc/memfd.h"
#include "tests/lib/ctest.h"

static struct img_io io;

static void quiet(void *opaque, const char *text)
{
    (void)opaque;
    (void)text;
}

static int raw_write(bool probed, uint64_t off, const void *data, size_t len)
{
    struct img_options opt = {.probed = probed};
    struct img_file f;
    struct img img;
    uint8_t buf[1024] = {0};
    memcpy(buf, data, len);
    img_file_open(&f, ipc_memfd_create("raw", 65536, 0), false);
    int r = img_open(&img, &img_raw, &f, "raw", &opt, &io);
    if (r == 0)
        r = img_write(&img, buf, sizeof(buf), off, &io);
    close(f.fd);
    return r;
}

static void test_forged(void)
{
    static const char vdi[68] = {[64] = 0x7f, 0x10, (char)0xda, (char)0xbe};
    ok(raw_write(true, 0, "QFI\xfb\0\0\0\3", 8) == -EPERM, "a qcow2 header into a guessed raw image");
    ok(raw_write(true, 0, vdi, 68) == -EPERM, "a vdi header likewise");
    ok(raw_write(true, 0, "hello", 5) == 0, "other bytes are written");
    ok(raw_write(true, 512, "QFI\xfb\0\0\0\3", 8) == 0, "another sector is free");
    ok(raw_write(false, 0, "QFI\xfb\0\0\0\3", 8) == 0, "format=raw allows it");
}

static int below(const char *image, const char *name)
{
    char path[4096];
    int r = ipc_image_path(image, name, path, sizeof(path));
    if (r == 0)
        r = ipc_image_open_path(image, path, O_RDONLY);
    if (r >= 0)
        close(r);
    return r < 0 ? r : 0;
}

static void test_names(void)
{
    char dir[] = "/tmp/bulkhead-rules-XXXXXX", absolute[64], clean[64];
    if (!mkdtemp(dir) || chdir(dir) || mkdir("in", 0755) || mkdir("out", 0755) || mkdir("in/sub", 0755))
        exit(1);
    close(open("in/base", O_CREAT | O_WRONLY, 0600));
    close(open("in/sub/base", O_CREAT | O_WRONLY, 0600));
    close(open("out/base", O_CREAT | O_WRONLY, 0600));
    if (symlink("../out/base", "in/link") || symlink("base", "in/near"))
        exit(1);
    snprintf(absolute, sizeof(absolute), "%s/out/base", dir);
    ok(below("in/top", "base") == 0, "a name in the image's directory");
    ok(below("in/top", "file:sub/../sub/base") == 0, "or below it");
    ok(below("in/top", "near") == 0, "a link that stays there");
    ok(below("in/top", "../out/base") == -EPERM, "not beside it");
    ok(below("in/top", "link") == -EPERM, "not through a link");
    ok(below("in/top", absolute) == -EPERM, "not by an absolute name");
    ok(below("in/top", "/etc/passwd") == -EPERM, "not /etc/passwd");
    ok(below("in/top", "nbd:host:1") == -EPROTONOSUPPORT, "not over a network");
    setenv(IPC_IMAGE_DIRS_ENV, "/nowhere:.", 1);
    ok(below("in/top", absolute) == 0, "a listed directory is allowed");
    ok(below("in/top", "/etc/passwd") == -EPERM, "and only that");
    snprintf(clean, sizeof(clean), "rm -rf %s", dir);
    if (chdir("/") || system(clean))
        printf("# %s is left\n", dir);
}

/* A whole image, damaged in its first clusters or cut, then opened, read and checked. */
static void open_damaged(uint8_t *bytes, size_t size, struct img_options opt)
{
    static uint8_t buf[1 << 16];
    struct img_check c = {0};
    struct img_file f;
    struct img img;
    int fd = ipc_memfd_create("damaged", size, 0);
    if (pwrite(fd, bytes, size, 0) != (ssize_t)size || img_file_open(&f, fd, false) < 0)
        exit(1);
    if (img_open(&img, &img_qcow2, &f, "damaged", &opt, &io) == 0) {
        for (uint64_t at = 0; at + sizeof(buf) <= img.size && at < 1u << 20; at += sizeof(buf)) {
            (void)img_read(&img, buf, sizeof(buf), at, &io);
            (void)img_write(&img, buf, 512, at, &io);
        }
        (void)qcow2_check(&img, &c, true, true, &io);
        img_close(&img, &io);
    }
    close(fd);
}

static size_t whole_make(uint8_t *bytes, size_t max)
{
    static uint8_t data[4096];
    struct qcow2_create c = {.size = 1 << 20, .cluster = 4096, .refcount_bits = 16, .backing = "b"};
    struct img_options opt = {0};
    struct img_file f;
    struct img img;
    img_file_open(&f, ipc_memfd_create("whole", 0, 0), false);
    int r = qcow2_create(&f, &c, &io);
    if (r == 0)
        r = img_open(&img, &img_qcow2, &f, "whole", &opt, &io);
    for (unsigned i = 0; r == 0 && i < 64; i++)
        r = i % 2 ? img_write(&img, memset(data, (int)i, 4096), 4096, i * 8192ull, &io)
                  : qcow2_write_packed(&img, data, i * 8192ull, &io);
    if (r < 0)
        exit(1);
    img_close(&img, &io);
    ssize_t n = pread(f.fd, bytes, max, 0);
    close(f.fd);
    return (size_t)n;
}

static void test_damage(void)
{
    static uint8_t whole[1 << 20], bytes[1 << 20];
    size_t size = whole_make(whole, sizeof(whole));
    unsigned rounds = getenv("BULKHEAD_TEST_LONG") ? 20000 : 1000;
    srand(11);
    for (unsigned i = 0; i < rounds; i++) {
        size_t cut = i % 8 ? size : (size_t)rand() % size;
        memcpy(bytes, whole, size);
        for (unsigned k = 0; k < 1 + i % 6; k++) {
            size_t at = i % 3 ? (size_t)rand() % 112 : (size_t)rand() % size;
            bytes[at] = rand() % 2 ? (uint8_t)rand() : bytes[at] ^ (uint8_t)(1 << rand() % 8);
        }
        if (cut)
            open_damaged(bytes, cut, (struct img_options){.check = i % 2, .readonly = i % 5 == 0});
    }
    ok(true, "%u damaged images were opened, read, written and checked", rounds);
}

/* The vmm knows formats by name only: its list is the image layer's. */
static void test_formats(void)
{
    char list[200] = "";
    bool all = true;
    for (unsigned i = 0; i < img_driver_count(); i++) {
        snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "", img_driver_at(i)->name);
        all = all && abi_image_format_known(img_driver_at(i)->name);
    }
    ok(all && !strcmp(list, ABI_IMAGE_FORMATS), "the vmm's list of formats is \"%s\"", list);
    ok(!abi_image_format_known("qcow2,") && !abi_image_format_known("") && !abi_image_format_known("cow2"), "nothing else is known");
}

int main(void)
{
    struct img packed = {.packed = true, .cluster = 2u << 20};
    ipc_log_capture(quiet, NULL);
    if (img_io_init(&io, &packed) < 0)
        return 1;
    test_forged();
    test_names();
    test_damage();
    test_formats();
    return ctest_done();
}
