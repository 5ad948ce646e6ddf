/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of formats and the guess which one a file is. Must never guess a format from a file's name.
 */
#include "block-proc/image/probe.h"

#include <stdio.h>
#include <string.h>
#include "block-proc/image/image.h"
#include "ipc/log.h"

static const struct img_driver *const drivers[] = {&img_raw, &img_qcow2, &img_vdi, &img_vpc, &img_parallels, &img_qed, &img_qcow1, &img_vmdk,
                                             &img_vhdx, &img_bochs, &img_cloop, &img_dmg};

static const struct {
    const char *name, *magic;
    uint16_t at, len;
} magics[] = {
    {"qcow2", "QFI\xfb\0\0\0\2", 0, 8}, {"qcow2", "QFI\xfb\0\0\0\3", 0, 8},
    {"qcow", "QFI\xfb", 0, 4},         {"qed", "QED", 0, 4},
    {"vmdk", "KDMV", 0, 4},            {"vmdk", "COWD", 0, 4},
    {"vmdk", "# Disk DescriptorFile", 0, 21},
    {"vhdx", "vhdxfile", 0, 8},        {"vpc", "conectix", 0, 8},
    {"vdi", "\x7f\x10\xda\xbe", 64, 4}, {"luks", "LUKS\xba\xbe", 0, 6},
    {"parallels", "WithoutFreeSpace", 0, 16}, {"parallels", "WithouFreSpacExt", 0, 16},
    {"bochs", "Bochs Virtual HD Image", 0, 22},
    {"cloop", "#!/bin/sh\n#V2.0 Format\nmodprobe cloop", 0, 36},
};

const char *img_probe_header(const uint8_t *head, size_t n)
{
    for (unsigned i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
        if (n >= (size_t)magics[i].at + magics[i].len &&
            !memcmp(head + magics[i].at, magics[i].magic, magics[i].len))
            return magics[i].name;
    return NULL;
}

const struct img_driver *img_driver_find(const char *name)
{
    for (unsigned i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
        if (!strcmp(drivers[i]->name, name))
            return drivers[i];
    return NULL;
}

unsigned img_driver_count(void)
{
    return sizeof(drivers) / sizeof(drivers[0]);
}

const struct img_driver *img_driver_at(unsigned i)
{
    return drivers[i];
}

const char *img_driver_names(void)
{
    static char names[200];
    if (names[0])
        return names;
    for (unsigned i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", i ? ", " : "", drivers[i]->name);
    return names;
}

const struct img_driver *img_probe(struct img_file *f, const char *name, struct img_io *io)
{
    uint8_t head[IMG_SECTOR] __attribute__((aligned(IMG_SECTOR)));
    if (img_file_read(f, head, sizeof(head), 0, io) < 0) {
        log_error("%s: cannot read the header", name);
        return NULL;
    }
    const char *format = img_probe_header(head, sizeof(head));
    if (!format)
        return &img_raw;
    const struct img_driver *drv = img_driver_find(format);
    if (!drv)
        log_error("%s: image format '%s' is not built (built: %s; format=raw uses it as it is)", name,
                  format, img_driver_names());
    return drv;
}
