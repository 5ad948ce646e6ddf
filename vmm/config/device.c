/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -device: the models there are and their properties, kept until the back ends are known. Must
 * never attach anything itself: disk.c, net.c and chardev.c do.
 */
#include <stdlib.h>
#include <string.h>
#include "vmm/config/disk.h"
#include "vmm/config/net.h"
#include "vmm/config/options.h"
#include "vmm/config/vga.h"

static int key_id(struct parse *c, void *obj, const char *key, const char *val)
{
    struct pend_device *d = obj;

    return opt_id(c, key, val, d->id, sizeof(d->id));
}

/* "slot[.fn]", hexadecimal like QEMU's */
static int key_addr(struct parse *c, void *obj, const char *key, const char *val)
{
    struct pend_device *d = obj;
    unsigned long slot, fn = 0;
    char *end;

    slot = strtoul(val, &end, 16);
    if (end != val && *end == '.' && end[1])
        fn = strtoul(end + 1, &end, 16);
    if (end == val || *end || *val == '-' || slot > 31 || fn > 7)
        return parse_fail(c, "Parameter '%s' expects a PCI address (1f or 1f.0), not '%s'", key,
                          val);
    if (fn)
        return parse_fail(c, "%s=%s: devices with several functions are not built", key, val);
    d->slot = (int)slot;
    return 0;
}

static int key_tristate(struct parse *c, void *obj, const char *key, const char *val)
{
    struct pend_device *d = obj;
    bool *field = !strcmp(key, "disable-legacy") ? &d->disable_legacy : &d->disable_modern;

    if (strcmp(val, "auto"))
        return opt_bool(c, key, val, field);
    *field = false;
    return 0;
}

static int key_serial(struct parse *c, void *obj, const char *key, const char *val)
{
    struct pend_device *d = obj;

    return disk_serial(c, key, val, d->serial);
}

static int key_unit(struct parse *c, void *obj, const char *key, const char *val)
{
    struct pend_device *d = obj;
    uint64_t v;

    if (opt_number(c, key, val, 0, 255, &v))
        return -1;
    d->unit = (int)v;
    return 0;
}

static int key_nsid(struct parse *c, void *obj, const char *key, const char *val)
{
    struct pend_device *d = obj;
    uint64_t v;

    if (opt_number(c, key, val, 1, PLAN_UNITS_MAX, &v))
        return -1;
    d->unit = (int)v - 1;
    return 0;
}

static int key_bootindex(struct parse *c, void *obj, const char *key, const char *val)
{
    struct pend_device *d = obj;
    uint64_t v;

    if (opt_number(c, key, val, 0, 0x7fffffff, &v))
        return -1;
    for (unsigned i = 0; i < c->n_dev; i++)
        if (c->dev[i].bootindex == (int)v)
            return parse_fail(c, "The bootindex %d has already been used", (int)v);
    d->bootindex = (int)v;
    return 0;
}

static int key_block_size(struct parse *c, void *obj, const char *key, const char *val)
{
    struct pend_device *d = obj;
    uint64_t v;

    if (opt_number(c, key, val, 512, 32768, &v))
        return -1;
    if (v & (v - 1))
        return parse_fail(c, "Property '%s' must be a power of 2 between 512 and 32768", key);
    *(key[0] == 'l' ? &d->logical_block : &d->physical_block) = (uint32_t)v;
    return 0;
}

static int key_mac(struct parse *c, void *obj, const char *key, const char *val)
{
    struct pend_device *d = obj;

    d->has_mac = true;
    return net_mac(c, key, val, d->mac);
}

static int key_index(struct parse *c, void *obj, const char *key, const char *val)
{
    struct pend_device *d = obj;
    uint64_t v;

    if (opt_number(c, key, val, 0, PLAN_SERIAL_MAX - 1, &v))
        return -1;
    d->index = (int)v;
    return 0;
}

static int key_port(struct parse *c, void *obj, const char *key, const char *val)
{
    struct pend_device *d = obj;
    bool base = !strcmp(key, "iobase");
    char *end;
    unsigned long v = strtoul(val, &end, 0);

    if (end == val || *end || *val == '-' || v > (base ? 0xffffu : 4u) || (!base && !v))
        return parse_fail(c, "Parameter '%s' expects %s, not '%s'", key,
                          base ? "a port (0 to 0xffff)" : "1 to 4 ports", val);
    *(base ? &d->iobase : &d->iosize) = (uint16_t)v;
    return 0;
}

#define ID_KEY                                                                                     \
    {                                                                                              \
        "id", KEY_FN, .fn = key_id, .form = "name", .text = "name of the device"                   \
    }
#define PCI_KEYS                                                                                   \
    {"bus", KEY_ONLY, .form = "pci.0", .text = "the one PCI bus"},                                 \
        {"addr", KEY_FN, .fn = key_addr, .form = "slot[.0]", .text = "PCI slot, hexadecimal"},     \
        {"disable-legacy", KEY_FN, .fn = key_tristate, .form = "on|off|auto",                      \
         .text = "no legacy (virtio 0.9) interface"},                                              \
        {"disable-modern", KEY_FN, .fn = key_tristate, .form = "on|off|auto",                      \
         .text = "no virtio 1.0 interface"},                                                       \
        {"bootindex", KEY_FN, .fn = key_bootindex, .form = "n", .text = "boot priority, 0 first"}, \
        {"num-queues", KEY_ONLY, .form = "1"}, {"multifunction", KEY_ONLY, .form = "off"},         \
        {"iothread", KEY_REFUSE, .text = "every device has a process of its own"},                 \
        {"romfile", .kind = KEY_FN, .fn = vga_key_rom, .form = "file",                             \
         .text = "expansion ROM; empty = none"},                                                   \
        {"rombar", KEY_ONLY, .form = "1"},                                                         \
        {"packed", KEY_ONLY, .form = "off"}, {"vectors", .kind = KEY_REFUSE},                      \
    {                                                                                              \
        "acpi-index", .kind = KEY_REFUSE                                                           \
    }

static const struct opt_key blk_keys[] = {
    ID_KEY,
    PCI_KEYS,
    {"drive", .kind = KEY_STR, .off = offsetof(struct pend_device, backend), .size = 64,
     .form = "name", .text = "the -drive or -blockdev behind it"},
    {"serial", KEY_FN, .fn = key_serial, .form = "text", .text = "serial number, 20 characters"},
    {"share-rw", .kind = KEY_BOOL, .off = offsetof(struct pend_device, share_rw), .form = "on|off",
     .text = "others may write the image too"},
    {"logical_block_size", KEY_FN, .fn = key_block_size, .form = "bytes", .text = "the disk's sector (default 512)"},
    {"physical_block_size", KEY_FN, .fn = key_block_size, .form = "bytes", .text = "what the disk writes whole"},
    {"write-cache", KEY_REFUSE, .text = "use cache= of the drive"},
    {"scsi", KEY_ONLY, .form = "off"},
    KEY_END,
};
static const struct opt_key net_keys[] = {
    ID_KEY,
    PCI_KEYS,
    {"netdev", .kind = KEY_STR, .off = offsetof(struct pend_device, backend), .size = 64,
     .form = "name", .text = "the -netdev behind it"},
    {"mac", KEY_FN, .fn = key_mac, .form = "addr", .text = "Ethernet address"},
    {"mq", KEY_ONLY, .form = "off"},
    KEY_END,
};
static const struct opt_key unit_keys[] = {
    ID_KEY,
    {"bus", .kind = KEY_STR, .off = offsetof(struct pend_device, bus), .size = 64, .form = "name",
     .text = "the bus it is on: ide.0, ide.1, or a port ID.0 to ID.5 of an AHCI controller"},
    {"unit", KEY_FN, .fn = key_unit, .form = "0-1", .text = "place on the bus"},
    {"drive", .kind = KEY_STR, .off = offsetof(struct pend_device, backend), .size = 64,
     .form = "name", .text = "the -drive or -blockdev behind it"},
    {"serial", KEY_FN, .fn = key_serial, .form = "text", .text = "serial number, 20 characters"},
    {"model", .kind = KEY_STR, .off = offsetof(struct pend_device, name), .size = 41, .form = "text",
     .text = "model name, 40 characters"},
    {"share-rw", .kind = KEY_BOOL, .off = offsetof(struct pend_device, share_rw), .form = "on|off",
     .text = "others may write the image too"},
    {"bootindex", KEY_FN, .fn = key_bootindex, .form = "n", .text = "boot priority, 0 first"},
    {"write-cache", KEY_REFUSE, .text = "use cache= of the drive"},
    KEY_END,
};
#define CTL_KEYS                                                                                   \
    ID_KEY, {"bus", KEY_ONLY, .form = "pci.0", .text = "the one PCI bus"},                         \
        {"addr", KEY_FN, .fn = key_addr, .form = "slot[.0]", .text = "PCI slot, hexadecimal"},     \
    {                                                                                              \
        "multifunction", KEY_ONLY, .form = "off"                                                   \
    }

static const struct opt_key ahci_keys[] = {
    CTL_KEYS,
    KEY_END,
};
static const struct opt_key nvme_keys[] = {
    CTL_KEYS,
    {"drive", .kind = KEY_STR, .off = offsetof(struct pend_device, backend), .size = 64,
     .form = "name", .text = "the -drive or -blockdev that is namespace 1"},
    {"serial", KEY_FN, .fn = key_serial, .form = "text", .text = "serial number, 20 characters"},
    {"bootindex", KEY_FN, .fn = key_bootindex, .form = "n", .text = "boot priority, 0 first"},
    {"share-rw", .kind = KEY_BOOL, .off = offsetof(struct pend_device, share_rw), .form = "on|off",
     .text = "others may write the image too"},
    KEY_END,
};
static const struct opt_key namespace_keys[] = {
    ID_KEY,
    {"bus", .kind = KEY_STR, .off = offsetof(struct pend_device, bus), .size = 64, .form = "name",
     .text = "the nvme controller it is in"},
    {"nsid", KEY_FN, .fn = key_nsid, .form = "1-8", .text = "its number (default: the first free one)"},
    {"drive", .kind = KEY_STR, .off = offsetof(struct pend_device, backend), .size = 64,
     .form = "name", .text = "the -drive or -blockdev behind it"},
    {"bootindex", KEY_FN, .fn = key_bootindex, .form = "n", .text = "boot priority, 0 first"},
    {"share-rw", .kind = KEY_BOOL, .off = offsetof(struct pend_device, share_rw), .form = "on|off",
     .text = "others may write the image too"},
    KEY_END,
};
static const struct opt_key scsi_keys[] = {
    CTL_KEYS,
    {"disable-legacy", KEY_FN, .fn = key_tristate, .form = "on|off|auto",
     .text = "no legacy (virtio 0.9) interface"},
    {"disable-modern", KEY_FN, .fn = key_tristate, .form = "on|off|auto",
     .text = "no virtio 1.0 interface"},
    {"num_queues", KEY_ONLY, .form = "1"},
    {"iothread", KEY_REFUSE, .text = "every device has a process of its own"},
    KEY_END,
};
static const struct opt_key scsi_unit_keys[] = {
    ID_KEY,
    {"bus", .kind = KEY_STR, .off = offsetof(struct pend_device, bus), .size = 64, .form = "name",
     .text = "the adapter it is on, ID.0"},
    {"scsi-id", KEY_FN, .fn = key_unit, .form = "0-7", .text = "target number"},
    {"lun", KEY_ONLY, .form = "0"},
    {"channel", KEY_ONLY, .form = "0"},
    {"drive", .kind = KEY_STR, .off = offsetof(struct pend_device, backend), .size = 64,
     .form = "name", .text = "the -drive or -blockdev behind it"},
    {"serial", KEY_FN, .fn = key_serial, .form = "text", .text = "serial number, 20 characters"},
    {"share-rw", .kind = KEY_BOOL, .off = offsetof(struct pend_device, share_rw), .form = "on|off",
     .text = "others may write the image too"},
    {"bootindex", KEY_FN, .fn = key_bootindex, .form = "n", .text = "boot priority, 0 first"},
    KEY_END,
};
static const struct opt_key serial_keys[] = {
    ID_KEY,
    {"chardev", .kind = KEY_STR, .off = offsetof(struct pend_device, backend), .size = 64,
     .form = "name", .text = "the -chardev behind it"},
    {"index", KEY_FN, .fn = key_index, .form = "0-3", .text = "which of the four ports"},
    KEY_END,
};

static const struct opt_key debug_exit_keys[] = {
    ID_KEY,
    {"iobase", KEY_FN, .fn = key_port, .form = "port", .text = "first port (default 0x501)"},
    {"iosize", KEY_FN, .fn = key_port, .form = "1-4", .text = "number of ports (default 2)"},
    KEY_END,
};

static const struct opt_key vga_keys[] = {
    ID_KEY,
    {"bus", KEY_ONLY, .form = "pci.0", .text = "the one PCI bus"},
    {"addr", KEY_FN, .fn = key_addr, .form = "slot[.0]", .text = "PCI slot, hexadecimal"},
    {"vgamem_mb", KEY_FN, .fn = vga_key_memory, .form = "1-64", .text = "video memory (default 16)"},
    {"romfile", KEY_FN, .fn = vga_key_rom, .form = "file", .text = "video BIOS (default " PLAN_VGA_ROM "); empty: none"},
    {"edid", KEY_FN, .fn = vga_key_edid, .form = "on|off", .text = "describe a monitor (default on)"},
    {"xres", KEY_FN, .fn = vga_key_side, .form = "n", .text = "the monitor's preferred width (default 1280)"},
    {"yres", KEY_FN, .fn = vga_key_side, .form = "n", .text = "the monitor's preferred height (default 800)"},
    KEY_END,
};

static const struct opt_key debugcon_keys[] = {
    ID_KEY,
    {"iobase", KEY_FN, .fn = key_port, .form = "port", .text = "its port (default 0xe9)"},
    {"chardev", .kind = KEY_STR, .off = offsetof(struct pend_device, backend), .size = 64,
     .form = "name", .text = "the -chardev behind it"},
    KEY_END,
};

static const struct model {
    const char *name, *alias;
    enum dev_kind kind;
    const struct opt_key *keys;
    bool no_legacy;
    const char *help;
} models[] = {
    {"virtio-blk-pci", "virtio-blk", DEV_BLK, blk_keys, false, "disk"},
    {"virtio-blk-pci-transitional", "", DEV_BLK, blk_keys, false, "disk, virtio 0.9 and 1.0"},
    {"virtio-blk-pci-non-transitional", "", DEV_BLK, blk_keys, true, "disk, virtio 1.0 only"},
    {"virtio-net-pci", "virtio-net", DEV_NET, net_keys, false, "network card"},
    {"virtio-net-pci-transitional", "", DEV_NET, net_keys, false,
     "network card, virtio 0.9 and 1.0"},
    {"virtio-net-pci-non-transitional", "", DEV_NET, net_keys, true,
     "network card, virtio 1.0 only"},
    {"ide-hd", "", DEV_UNIT, unit_keys, false, "IDE disk"},
    {"ide-cd", "", DEV_UNIT, unit_keys, false, "IDE CD-ROM drive"},
    {"ich9-ahci", "ahci", DEV_CTL, ahci_keys, false, "AHCI controller with six ports"},
    {"nvme", "", DEV_CTL, nvme_keys, false, "NVM Express controller"},
    {"nvme-ns", "", DEV_UNIT, namespace_keys, false, "namespace of an NVMe controller"},
    {"virtio-scsi-pci", "virtio-scsi", DEV_CTL, scsi_keys, false, "SCSI host adapter, virtio"},
    {"scsi-hd", "", DEV_UNIT, scsi_unit_keys, false, "SCSI disk"},
    {"scsi-cd", "", DEV_UNIT, scsi_unit_keys, false, "SCSI CD-ROM drive"},
    {"isa-serial", "", DEV_SERIAL, serial_keys, false, "serial port"},
    {"isa-debug-exit", "", DEV_DEBUG_EXIT, debug_exit_keys, false,
     "ends the emulator with the status the guest writes"},
    {"VGA", "", DEV_VGA, vga_keys, false, "standard VGA"},
    {"isa-debugcon", "", DEV_DEBUGCON, debugcon_keys, false, "debug port of firmware"},
    {.name = NULL},
};

/* What is behind, or is, a storage controller. */
static const struct {
    const char *model;
    enum plan_ctl_kind ctl;
    bool cd;
} storage[] = {
    {"ide-hd", CTL_IDE, false},
    {"ide-cd", CTL_IDE, true},
    {"ich9-ahci", CTL_AHCI, false},
    {"nvme", CTL_NVME, false},
    {"nvme-ns", CTL_NVME, false},
    {"virtio-scsi-pci", CTL_SCSI, false},
    {"scsi-hd", CTL_SCSI, false},
    {"scsi-cd", CTL_SCSI, true},
};

static void storage_kind(struct pend_device *d)
{
    for (unsigned i = 0; i < sizeof(storage) / sizeof(storage[0]); i++)
        if (!strcmp(storage[i].model, d->model)) {
            d->ctl = storage[i].ctl;
            d->cd = storage[i].cd;
        }
}

static const struct model *find_model(const char *name)
{
    for (const struct model *m = models; m->name; m++)
        if (!strcmp(m->name, name) || (*m->alias && !strcmp(m->alias, name)))
            return m;
    return NULL;
}

static int device_help(struct parse *c)
{
    for (const struct model *m = models; m->name; m++)
        fprintf(c->out, "name \"%s\"%s%s%s, desc \"%s\"\n", m->name, *m->alias ? ", alias \"" : "",
                m->alias, *m->alias ? "\"" : "", m->help);
    return 1;
}

static int check_device(struct parse *c, const struct pend_device *d)
{
    if (d->disable_legacy && d->disable_modern)
        return parse_fail(c, "device cannot work as neither modern nor legacy device");
    for (unsigned i = 0; d->id[0] && i < c->n_dev; i++)
        if (!strcmp(c->dev[i].id, d->id))
            return parse_fail(c, "Duplicate ID '%s' for device", d->id);
    return 0;
}

int set_device(struct parse *c, const char *arg)
{
    struct pend_device d = {.opt = c->opt, .arg = c->arg, .slot = -1, .index = -1, .unit = -1,
                            .bootindex = -1};
    const struct model *m;
    struct optlist l;
    const char *name;

    if (!strcmp(arg, "help") || !strcmp(arg, "?"))
        return device_help(c);
    if (optlist_split(c, &l, arg, "driver"))
        return -1;
    name = optlist_take(&l, "driver");
    m = name ? find_model(name) : NULL;
    if (!m)
        return parse_fail(c, "'%s' is not a valid device model name ('-device help' lists them)",
                          name ? name : "");
    if (optlist_get(&l, "help")) {
        fprintf(c->out, "%s options:\n", m->name);
        optkeys_help(c->out, m->keys);
        return 1;
    }
    d.kind = m->kind;
    d.iobase = m->kind == DEV_DEBUGCON ? c->p->debug_port : 0x501;
    d.iosize = 2;
    d.model = m->name;
    d.disable_legacy = m->no_legacy;
    storage_kind(&d);
    if (optkeys_apply(c, m->keys, &l, &d, m->name) || check_device(c, &d))
        return -1;
    if (c->n_dev == PARSE_DEV_MAX)
        return parse_fail(c, "too many devices (limit %d)", PARSE_DEV_MAX);
    c->dev[c->n_dev++] = d;
    return 0;
}
