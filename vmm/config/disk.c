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
    enum drive_if iface;
    bool cd;
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

static const char *const if_names[] = {"none", "virtio", "ide", "pflash"};

static int key_if(struct parse *c, void *obj, const char *key, const char *val)
{
    struct drive *dr = obj;

    (void)key;
    for (unsigned i = 0; i < sizeof(if_names) / sizeof(if_names[0]); i++)
        if (!strcmp(val, if_names[i])) {
            dr->iface = (enum drive_if)i;
            return 0;
        }
    return parse_fail(c, "if=%s is not built (available: ide, virtio, pflash, none)", val);
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

static int key_media(struct parse *c, void *obj, const char *key, const char *val)
{
    struct drive *dr = obj;

    dr->cd = !strcmp(val, "cdrom");
    if (!dr->cd && strcmp(val, "disk"))
        return parse_fail(c, "Parameter '%s' expects disk or cdrom, not '%s'", key, val);
    return 0;
}

static int key_errors(struct parse *c, void *obj, const char *key, const char *val)
{
    static const char *const policies[] = {"report", "ignore", "stop", "enospc"};
    struct drive *dr = obj;
    bool write = key[0] == 'w';

    for (unsigned i = 0; i < (write ? 4u : 3u); i++)
        if (!strcmp(val, policies[i]))
            return opt_copy(c, key, val, write ? dr->d.werror : dr->d.rerror, sizeof(dr->d.werror));
    return parse_fail(c, "'%s' invalid %s error action (report, ignore, stop%s)", val, write ? "write" : "read",
                      write ? ", enospc" : "");
}

int disk_zeroes(struct parse *c, const char *key, const char *val, char out[8])
{
    if (strcmp(val, "off") && strcmp(val, "on") && strcmp(val, "unmap"))
        return parse_fail(c, "Parameter '%s' does not accept value '%s' (off, on, unmap)", key, val);
    return opt_copy(c, key, val, out, 8);
}

static int key_zeroes(struct parse *c, void *obj, const char *key, const char *val)
{
    struct drive *dr = obj;

    return disk_zeroes(c, key, val, dr->d.detect_zeroes);
}

/* Where a rate lies in the plan: the row of the table says it by its name. */
static const char *const rates[PLAN_THROTTLE][2] = {
    {"bps", "bps-total"}, {"bps_rd", "bps-read"}, {"bps_wr", "bps-write"}, {"bps_max", "bps-total-max"},
    {"bps_rd_max", "bps-read-max"}, {"bps_wr_max", "bps-write-max"}, {"iops", "iops-total"}, {"iops_rd", "iops-read"},
    {"iops_wr", "iops-write"}, {"iops_max", "iops-total-max"}, {"iops_rd_max", "iops-read-max"},
    {"iops_wr_max", "iops-write-max"}, {"iops_size", "iops-size"}};

static int key_rate(struct parse *c, void *obj, const char *key, const char *val)
{
    struct drive *dr = obj;
    const char *name = strncmp(key, "throttling.", 11) ? key : key + 11;
    uint64_t v;

    if (opt_number(c, key, val, 0, 1000000000000000ull, &v))
        return -1;
    for (unsigned i = 0; i < PLAN_THROTTLE; i++)
        if (!strcmp(name, rates[i][0]) || !strcmp(name, rates[i][1]))
            dr->d.throttle[i] = v;
    return 0;
}

/* QEMU's two names of each. */
#define RATE(old, dotted) {old, KEY_FN, .fn = key_rate}, {"throttling." dotted, KEY_FN, .fn = key_rate}

int disk_throttle_check(const uint64_t v[PLAN_THROTTLE], const char **why)
{
    *why = NULL;
    for (unsigned kind = 0; kind < 12; kind += 6) {
        if ((v[kind] && (v[kind + 1] || v[kind + 2])) || (v[kind + 3] && (v[kind + 4] || v[kind + 5])))
            *why = "bps/iops/max total values and read/write values cannot be used at the same time";
        for (unsigned i = 0; i < 3; i++) {
            if (v[kind + 3 + i] && !v[kind + i])
                *why = "bps_max/iops_max require corresponding bps/iops values";
            else if (v[kind + 3 + i] && v[kind + 3 + i] < v[kind + i])
                *why = "bps_max/iops_max cannot be lower than bps/iops";
        }
    }
    if (v[12] && !v[6] && !v[7] && !v[8])
        *why = "iops size requires an iops value to be set";
    return *why ? -1 : 0;
}

/* What no single key can see. */
static int check_drive(struct parse *c, const struct drive *dr)
{
    const struct plan_disk *d = &dr->d;
    const char *why;

    if (disk_throttle_check(d->throttle, &why))
        return parse_fail(c, "%s", why);
    if (d->copy_on_read && d->readonly)
        return parse_fail(c, "copy-on-read needs an image that can be written");
    if (!strcmp(d->detect_zeroes, "unmap") && !d->discard)
        return parse_fail(c, "setting detect-zeroes to unmap is not allowed without setting discard operation to unmap");
    return 0;
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
    {"media", KEY_FN, .fn = key_media},
    {"snapshot", .kind = KEY_BOOL, .off = offsetof(struct drive, d.snapshot)},
    {"aio", KEY_ONLY, .form = "threads"},
    {"werror", KEY_FN, .fn = key_errors},
    {"rerror", KEY_FN, .fn = key_errors},
    {"copy-on-read", .kind = KEY_BOOL, .off = offsetof(struct drive, d.copy_on_read)},
    {"detect-zeroes", KEY_FN, .fn = key_zeroes},
    RATE("bps", "bps-total"), RATE("bps_rd", "bps-read"), RATE("bps_wr", "bps-write"),
    RATE("bps_max", "bps-total-max"), RATE("bps_rd_max", "bps-read-max"), RATE("bps_wr_max", "bps-write-max"),
    RATE("iops", "iops-total"), RATE("iops_rd", "iops-read"), RATE("iops_wr", "iops-write"),
    RATE("iops_max", "iops-total-max"), RATE("iops_rd_max", "iops-read-max"), RATE("iops_wr_max", "iops-write-max"),
    RATE("iops_size", "iops-size"),
    {"group", KEY_REFUSE, .text = "limits shared by several drives are not built"},
    {"addr", KEY_REFUSE, .text = "use -device virtio-blk-pci,addr="},
    KEY_END,
};

int disk_find(const struct parse *c, const char *id)
{
    for (unsigned i = 0; i < c->p->n_disk; i++)
        if (!strcmp(c->p->disk[i].id, id))
            return (int)i;
    return -1;
}

static int next_index(const struct parse *c, enum drive_if iface)
{
    int index = 0;

    for (unsigned i = 0; i < c->p->n_disk; i++)
        if (c->drive[i].iface == iface && c->drive[i].index >= index)
            index = c->drive[i].index + 1;
    for (unsigned i = 0; i < c->n_empty; i++)
        if (c->empty[i].iface == iface && c->empty[i].index >= index)
            index = c->empty[i].index + 1;
    return index;
}

static bool index_taken(const struct parse *c, const struct drive *dr)
{
    for (unsigned i = 0; i < c->p->n_disk; i++)
        if (c->drive[i].iface == dr->iface && c->drive[i].index == dr->index)
            return true;
    for (unsigned i = 0; i < c->n_empty; i++)
        if (c->empty[i].iface == dr->iface && c->empty[i].index == dr->index)
            return true;
    return false;
}

/* A CD-ROM drive without a disc needs no disk, only its place. */
static int add_empty(struct parse *c, const struct drive *dr)
{
    if (!dr->cd || dr->iface == IF_VIRTIO || dr->iface == IF_NONE)
        return parse_fail(c, "Parameter 'file' is missing");
    if (c->n_empty == PLAN_UNITS_MAX)
        return parse_fail(c, "too many drives (limit %d)", PLAN_UNITS_MAX);
    c->empty[c->n_empty++] = (struct pend_drive){dr->iface, true, "", dr->index, c->arg};
    return 0;
}

/* "virtio0", "none0"; IDE drives are named after their place, as everywhere. */
static void drive_name(struct drive *dr)
{
    if (dr->iface == IF_IDE)
        snprintf(dr->d.id, sizeof(dr->d.id), "ide%d-%s%d", dr->index / 2, dr->cd ? "cd" : "hd",
                 dr->index % 2);
    else
        snprintf(dr->d.id, sizeof(dr->d.id), "%s%d", if_names[dr->iface], dr->index);
}

static int add_drive(struct parse *c, struct drive *dr)
{
    struct plan *p = c->p;

    if (p->n_disk == PLAN_DISKS_MAX)
        return parse_fail(c, "too many drives (limit %d)", PLAN_DISKS_MAX);
    if (dr->iface != IF_NONE && dr->index >= 0 && index_taken(c, dr))
        return parse_fail(c, "drive with index=%d exists", dr->index);
    if (dr->index < 0)
        dr->index = next_index(c, dr->iface);
    if (!dr->d.file[0])
        return add_empty(c, dr);
    if (!dr->d.id[0])
        drive_name(dr);
    if (disk_find(c, dr->d.id) >= 0)
        return parse_fail(c, "Duplicate ID '%s' for drive", dr->d.id);
    c->drive[p->n_disk] = (struct pend_drive){dr->iface, dr->cd, "", dr->index, c->arg};
    memcpy(c->drive[p->n_disk].id, dr->d.id, sizeof(dr->d.id));
    p->disk[p->n_disk++] = dr->d;
    return 0;
}

/* -hda file, -cdrom file, ...: a -drive in short. */
static int short_drive(struct parse *c, const char *file, int index, bool cd)
{
    struct drive dr = {.index = index, .iface = IF_IDE, .cd = cd,
                       .d = {.fd = -1, .pci_slot = -1, .bootindex = -1, .rom = -1}};

    strcpy(dr.d.cache, "writeback");
    dr.d.readonly = cd;
    dr.d.used = dr.d.behind_ctl = true;
    if (disk_path(c, "file", file, dr.d.file, sizeof(dr.d.file)))
        return -1;
    return add_drive(c, &dr);
}

int set_hda(struct parse *c, const char *arg)
{
    return short_drive(c, arg, 0, false);
}

int set_hdb(struct parse *c, const char *arg)
{
    return short_drive(c, arg, 1, false);
}

int set_hdc(struct parse *c, const char *arg)
{
    return short_drive(c, arg, 2, false);
}

int set_hdd(struct parse *c, const char *arg)
{
    return short_drive(c, arg, 3, false);
}

int set_cdrom(struct parse *c, const char *arg)
{
    return short_drive(c, arg, 2, true);
}

int set_drive(struct parse *c, const char *arg)
{
    struct drive dr = {.index = -1, .iface = IF_IDE,
                       .d = {.fd = -1, .pci_slot = -1, .bootindex = -1, .rom = -1}};
    struct optlist l;

    strcpy(dr.d.cache, "writeback");
    if (optlist_split(c, &l, arg, NULL) || optkeys_apply(c, drive_keys, &l, &dr, NULL))
        return -1;
    if (optlist_get(&l, "index") && optlist_get(&l, "unit"))
        return parse_fail(c, "index= and unit= cannot be used together");
    if (dr.iface == IF_PFLASH)
        return flash_add(c, dr.index, &dr.d);
    dr.d.used = dr.iface != IF_NONE;
    dr.d.behind_ctl = dr.iface == IF_IDE;
    dr.d.readonly |= dr.cd;
    if (check_drive(c, &dr))
        return -1;
    return add_drive(c, &dr);
}

/* ---- devices
 * ------------------------------------------------------------------------------------- */
/* The disk a -device names: a drive, or a block node, which becomes a disk now. */
int disk_take(struct parse *c, const struct pend_device *dev)
{
    int i;

    c->opt = dev->opt;
    c->arg = dev->arg;
    i = disk_find(c, dev->backend);

    if (i < 0)
        i = blockdev_take(c, dev->backend);
    if (i == -2)
        return parse_fail(c, "Property '%s.drive' can't find value '%s'", dev->model, dev->backend);
    if (i >= 0 && c->p->disk[i].used)
        return parse_fail(c, "drive '%s' is already in use by another device", dev->backend);
    if (i >= 0)
        c->p->disk[i].used = true;
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
    i = disk_take(c, dev);
    if (i < 0)
        return -1;
    d = &c->p->disk[i];
    d->pci_slot = dev->slot;
    d->bootindex = dev->bootindex;
    if (device_rom(c, dev, &d->rom))
        return -1;
    d->pci_fn = dev->fn;
    d->disable_legacy = dev->disable_legacy;
    d->disable_modern = dev->disable_modern;
    d->share_rw = dev->share_rw;
    memcpy(d->qdev_id, dev->id, sizeof(d->qdev_id));
    d->logical_block = dev->logical_block;
    d->physical_block = dev->physical_block;
    if (d->physical_block && d->physical_block < (d->logical_block ? d->logical_block : 512))
        return parse_fail(c, "logical_block_size > physical_block_size not supported");
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

/* -snapshot: every drive, but for read-only ones, which nobody writes. */
static void snapshot_all(struct parse *c)
{
    for (unsigned i = 0; c->snapshot && i < c->p->n_disk; i++)
        c->p->disk[i].snapshot = !c->p->disk[i].readonly;
}

int disk_resolve(struct parse *c)
{
    snapshot_all(c);
    for (unsigned i = 0; i < c->n_dev; i++)
        if (c->dev[i].kind == DEV_BLK && attach_blk(c, &c->dev[i]))
            return -1;
    for (unsigned i = 0; i < c->n_dev; i++)
        if ((c->dev[i].kind == DEV_UNIT || c->dev[i].kind == DEV_CTL) && controller_unit_take(c, &c->dev[i]))
            return -1;
    drop_unused(c);
    return check_shared(c);
}
