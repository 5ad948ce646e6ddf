/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of one image for the vmm, which must not parse it. A log line of the image layer becomes
 * the answer's text.
 */
#include "block-proc/inspect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "block-proc/image/image.h"
#include "ipc/abi/image-about.h"
#include "ipc/log.h"
#include "seccomp/sandbox.h"

static void keep_text(void *opaque, const char *text)
{
    struct abi_image_about *a = opaque;
    snprintf(a->text, sizeof(a->text), "%s", text);
}

static int look(const char *format, struct abi_image_about *a)
{
    struct img_options opt = {.readonly = true, .inspect = true};
    struct img_io io = {0};
    struct img_file file;
    struct img img;
    int r = img_io_init(&io, NULL);
    if (r == 0)
        r = img_file_open(&file, 0, true);
    if (r < 0)
        return r;
    const struct img_driver *drv =
        strcmp(format, "probe") ? img_driver_find(format) : img_probe(&file, "image", &io);
    if (!drv)
        return -ENOTSUP;
    r = img_open(&img, drv, &file, "image", &opt, &io);
    if (r < 0)
        return r;
    if (img.n_parts) {
        log_error("image: disks of several files are not built for machines (bulkhead-img convert makes one file of it)");
        return -ENOTSUP;
    }
    a->size = img.size;
    snprintf(a->format, sizeof(a->format), "%s", drv->name);
    snprintf(a->backing, sizeof(a->backing), "%s", img.backing_name);
    snprintf(a->backing_format, sizeof(a->backing_format), "%s", img.backing_fmt);
    return 0;
}

int blk_inspect(const char *format)
{
    static struct abi_image_about a = {.magic = ABI_IMAGE_MAGIC};
    const char *step = "";
    sbx_stage4_setup();
    int r = sbx_stage5_lock(SBX_BLOCK, SBX_REQUIRE, &step);
    if (r < 0) {
        fprintf(stderr, "bulkhead-block: sandbox stage 5, %s: %s\n", step, strerror(-r));
        return 1;
    }
    ipc_log_capture(keep_text, &a);
    a.error = -look(format, &a);
    if (a.error && !a.text[0])
        snprintf(a.text, sizeof(a.text), "image format '%s' is not built (built: %s)", format,
                 img_driver_names());
    return write(1, &a, sizeof(a)) == sizeof(a) ? 0 : 1;
}
