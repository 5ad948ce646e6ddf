/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -drive, and joining disks with their -device. Must never open an image.
 */
#include "vmm/config/disk.h"

#include <string.h>
#include "ipc/abi/image-about.h"
#include "vmm/config/options.h"
#include "vmm/config/optlist.h"

struct drive {
    struct plan_disk d;
    bool if_virtio;
    int index;
};

static int key_file(struct parse *c, void *obj, const char *key, const char *val)
{
    struct drive *dr = obj;

    return disk_path(c, key, val, dr->d.file, sizeof(dr->d.file));
}

int disk_path(struct parse *c, const char *key, const char *val, char *dst, size_t size)
{
    size_t n = strcspn(val, ":/");

    if (!strncmp(val, "file:", 5))
        val += 5;
    else if (n && val[n] == ':')
        return parse_fail(c, "protocol '%.*s' is not built, only files and block devices", (int)n,
                          val);
    if (!*val)
        return parse_fail(c, "the file name is empty");
    return opt_copy(c, key, val, dst, size);
}

static int key_if(struct parse *c, void *obj, const char *key, const char *val)
{
    struct drive *dr = obj;

    (void)key;
    dr->if_virtio = !strcmp(val, "virtio");
    if (!dr->if_virtio && strcmp(val, "none"))
        return parse_fail(c, "if=%s is not built (available: virtio, none)", val);
    return 0;
}

static int key_index(struct parse *c, void *obj, const char *key, const char *val)
{
    struct drive *dr = obj;
    uint64_t v;

    if (opt_number(c, key, val, 0, PLAN_DISKS_MAX - 1, &v))
        return -1;
    dr->index = (int)v;
    return 0;
}

int disk_format(struct parse *c, const char *val, char format[16])
{
    if (!abi_image_format_known(val))
        return parse_fail(c, "image format '%s' is not built (available: " ABI_IMAGE_FORMATS ")", val);
    snprintf(format, 16, "%s", val);
    return 0;
}

static int key_format(struct parse *c, void *obj, const char *key, const char *val)
{
    struct drive *dr = obj;

    (void)key;
    return disk_format(c, val, dr->d.format);
}

static int key_cache(struct parse *c, void *obj, const char *key, const char *val)
{
    static const char *const modes[] = {"writeback", "writethrough", "none", "directsync",
                                        "unsafe"};
    struct drive *dr = obj;

    for (unsigned i = 0; i < 5; i++)
        if (!strcmp(modes[i], val))
            return opt_copy(c, key, val, dr->d.cache, sizeof(dr->d.cache));
    return parse_fail(
        c, "invalid cache option '%s' (writeback, writethrough, none, directsync, unsafe)", val);
}

int disk_discard(struct parse *c, const char *val, bool *out)
{
    *out = !strcmp(val, "unmap") || !strcmp(val, "on");
    if (!*out && strcmp(val, "ignore") && strcmp(val, "off"))
        return parse_fail(c, "invalid discard option '%s' (ignore, unmap)", val);
    return 0;
}

static int key_discard(struct parse *c, void *obj, const char *key, const char *val)
{
    struct drive *dr = obj;

    (void)key;
    return disk_discard(c, val, &dr->d.discard);
}

static int key_drive_id(struct parse *c, void *obj, const char *key, const char *val)
{
    struct drive *dr = obj;

    return opt_id(c, key, val, dr->d.id, sizeof(dr->d.id));
}

static int key_serial(struct parse *c, void *obj, const char *key, const char *val)
{
    struct drive *dr = obj;

    return disk_serial(c, key, val, dr->d.serial);
}

int disk_serial(struct parse *c, const char *key, const char *val, char serial[24])
{
    /* virtio 1.2 section 5.2.6: VIRTIO_BLK_T_GET_ID returns 20 bytes */
    if (strlen(val) > 20)
        return parse_fail(c, "Parameter '%s' is too long (limit 20 characters)", key);
    return opt_copy(c, key, val, serial, 24);
}

static const struct opt_key drive_keys[] = {
    {"file", KEY_FN, .fn = key_file},
    {"if", KEY_FN, .fn = key_if},
    {"index", KEY_FN, .fn = key_index},
    {"unit", KEY_FN, .fn = key_index},
    {"bus", KEY_ONLY, .form = "0"},
    {"format", KEY_FN, .fn = key_format},
    {"id", KEY_FN, .fn = key_drive_id},
    {"readonly", .kind = KEY_BOOL, .off = offsetof(struct drive, d.readonly)},
    {"read-only", .kind = KEY_BOOL, .off = offsetof(struct drive, d.readonly)},
    {"cache", KEY_FN, .fn = key_cache},
    {"discard", KEY_FN, .fn = key_discard},
    {"serial", KEY_FN, .fn = key_serial},
    {"media", KEY_ONLY, .form = "disk"},
    {"snapshot", KEY_ONLY, .form = "off"},
    {"aio", KEY_ONLY, .form = "threads"},
    {"werror", KEY_ONLY, .form = "report"},
    {"rerror", KEY_ONLY, .form = "report"},
    {"copy-on-read", KEY_ONLY, .form = "off"},
    {"detect-zeroes", KEY_ONLY, .form = "off"},
    {"addr", KEY_REFUSE, .text = "use -device virtio-blk-pci,addr="},
    KEY_END,
};

static int find_disk(const struct parse *c, const char *id)
{
    for (unsigned i = 0; i < c->p->n_disk; i++)
        if (!strcmp(c->p->disk[i].id, id))
            return (int)i;
    return -1;
}

static int next_index(const struct parse *c, bool virtio)
{
    int index = 0;

    for (unsigned i = 0; i < c->p->n_disk; i++)
        if (c->drive[i].virtio == virtio && c->drive[i].index >= index)
            index = c->drive[i].index + 1;
    return index;
}

static int add_drive(struct parse *c, struct drive *dr)
{
    struct plan *p = c->p;

    if (p->n_disk == PLAN_DISKS_MAX)
        return parse_fail(c, "too many drives (limit %d)", PLAN_DISKS_MAX);
    for (unsigned i = 0; dr->if_virtio && dr->index >= 0 && i < p->n_disk; i++)
        if (c->drive[i].virtio && c->drive[i].index == dr->index)
            return parse_fail(c, "drive with index=%d exists", dr->index);
    if (dr->index < 0)
        dr->index = next_index(c, dr->if_virtio);
    if (!dr->d.id[0])
        snprintf(dr->d.id, sizeof(dr->d.id), "%s%d", dr->if_virtio ? "virtio" : "none", dr->index);
    if (find_disk(c, dr->d.id) >= 0)
        return parse_fail(c, "Duplicate ID '%s' for drive", dr->d.id);
    c->drive[p->n_disk] = (struct pend_drive){dr->if_virtio, dr->index, c->arg};
    p->disk[p->n_disk++] = dr->d;
    return 0;
}

int set_drive(struct parse *c, const char *arg)
{
    struct drive dr = {.index = -1, .d = {.fd = -1, .pci_slot = -1, .bootindex = -1, .rom = -1}};
    struct optlist l;

    strcpy(dr.d.cache, "writeback");
    if (optlist_split(c, &l, arg, NULL) || optkeys_apply(c, drive_keys, &l, &dr, NULL))
        return -1;
    if (!optlist_get(&l, "if"))
        return parse_fail(c, "without if= this is an IDE disk, which is not built; use if=virtio");
    if (!dr.d.file[0])
        return parse_fail(c, "Parameter 'file' is missing");
    if (optlist_get(&l, "index") && optlist_get(&l, "unit"))
        return parse_fail(c, "index= and unit= cannot be used together");
    dr.d.used = dr.if_virtio;
    return add_drive(c, &dr);
}

/* ---- devices
 * ------------------------------------------------------------------------------------- */
/* The disk a -device names: a drive, or a block node, which becomes a disk now. */
static int device_disk(struct parse *c, const struct pend_device *dev)
{
    int i = find_disk(c, dev->backend);

    if (i < 0)
        i = blockdev_take(c, dev->backend);
    if (i == -2)
        return parse_fail(c, "Property '%s.drive' can't find value '%s'", dev->model, dev->backend);
    if (i >= 0 && c->p->disk[i].used)
        return parse_fail(c, "drive '%s' is already in use by another device", dev->backend);
    return i;
}

int device_rom(struct parse *c, const struct pend_device *dev, int *rom)
{
    if (!dev->romfile[0])
        return 0;
    *rom = plan_rom_want(c->p, "romfile", dev->romfile);
    return *rom < 0 ? parse_fail(c, "too many ROM files (limit %d)", PLAN_ROMS_MAX) : 0;
}

static int attach_blk(struct parse *c, const struct pend_device *dev)
{
    struct plan_disk *d;
    int i;

    c->opt = dev->opt;
    c->arg = dev->arg;
    if (!dev->backend[0])
        return parse_fail(c, "drive property not set");
    i = device_disk(c, dev);
    if (i < 0)
        return -1;
    d = &c->p->disk[i];
    d->used = true;
    d->pci_slot = dev->slot;
    d->bootindex = dev->bootindex;
    if (device_rom(c, dev, &d->rom))
        return -1;
    d->pci_fn = dev->fn;
    d->disable_legacy = dev->disable_legacy;
    d->disable_modern = dev->disable_modern;
    d->share_rw = dev->share_rw;
    memcpy(d->qdev_id, dev->id, sizeof(d->qdev_id));
    if (dev->serial[0])
        memcpy(d->serial, dev->serial, sizeof(d->serial));
    return 0;
}

/* A disk without a device has no process: it is dropped, and said so. */
static void drop_unused(struct parse *c)
{
    struct plan *p = c->p;
    unsigned n = 0;

    for (unsigned i = 0; i < p->n_disk; i++) {
        if (p->disk[i].used)
            p->disk[n++] = p->disk[i];
        else
            parse_warn(c, "drive '%s' has no -device, it is not used", p->disk[i].id);
    }
    p->n_disk = n;
}

/* One image, two writers in one guest, is lost data: QEMU's image locks refuse it too. */
static int check_shared(struct parse *c)
{
    const struct plan *p = c->p;

    for (unsigned i = 0; i < p->n_disk; i++)
        for (unsigned j = 0; j < i; j++)
            if (!strcmp(p->disk[i].file, p->disk[j].file) &&
                !((p->disk[i].readonly || p->disk[i].share_rw) &&
                  (p->disk[j].readonly || p->disk[j].share_rw)))
                return parse_fail_at(c, NULL, NULL, "'%s' is used by two disks, '%s' and '%s'",
                                     p->disk[i].file, p->disk[j].id, p->disk[i].id);
    return 0;
}

int disk_resolve(struct parse *c)
{
    for (unsigned i = 0; i < c->n_dev; i++)
        if (c->dev[i].kind == DEV_BLK && attach_blk(c, &c->dev[i]))
            return -1;
    drop_unused(c);
    return check_shared(c);
}
