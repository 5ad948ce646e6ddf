/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -blockdev: nodes "raw" or "qcow2" over "file" (nested or by name) or "file" alone, kept until a device takes
 * one. Must never open an image.
 */
#include <string.h>
#include "ipc/abi/image-about.h"
#include "vmm/config/disk.h"
#include "vmm/config/options.h"
#include "vmm/config/optlist.h"

static int key_node_name(struct parse *c, void *obj, const char *key, const char *val)
{
    struct pend_node *n = obj;

    return opt_id(c, key, val, n->name, sizeof(n->name));
}

static int key_filename(struct parse *c, void *obj, const char *key, const char *val)
{
    struct pend_node *n = obj;

    return disk_path(c, key, val, n->path, sizeof(n->path));
}

static int key_node_discard(struct parse *c, void *obj, const char *key, const char *val)
{
    struct pend_node *n = obj;

    (void)key;
    return disk_discard(c, val, &n->discard);
}

static int key_node_zeroes(struct parse *c, void *obj, const char *key, const char *val)
{
    struct pend_node *n = obj;

    return disk_zeroes(c, key, val, n->detect_zeroes);
}

#define NODE_BOOL(f) .kind = KEY_BOOL, .off = offsetof(struct pend_node, f)

static const struct opt_key format_keys[] = {
    {"node-name", KEY_FN, .fn = key_node_name},
    {"read-only", NODE_BOOL(readonly)},
    {"discard", KEY_FN, .fn = key_node_discard},
    {"cache.direct", NODE_BOOL(direct)},
    {"cache.no-flush", NODE_BOOL(no_flush)},
    {"auto-read-only", KEY_ONLY, .form = "off"},
    {"detect-zeroes", KEY_FN, .fn = key_node_zeroes},
    {"file", .kind = KEY_STR, .off = offsetof(struct pend_node, file_ref), .size = 64},
    {"file.driver", KEY_ONLY, .form = "file|host_device"},
    {"file.filename", KEY_FN, .fn = key_filename},
    {"file.aio", KEY_ONLY, .form = "threads"},
    {"file.locking", KEY_ONLY, .form = "auto|on"},
    {"file.read-only", NODE_BOOL(readonly)},
    {"file.discard", KEY_FN, .fn = key_node_discard},
    {"file.cache.direct", NODE_BOOL(direct)},
    {"file.cache.no-flush", NODE_BOOL(no_flush)},
    {"file.auto-read-only", KEY_ONLY, .form = "off"},
    {"offset", .kind = KEY_REFUSE},
    {"size", .kind = KEY_REFUSE},
    KEY_END,
};
static const struct opt_key file_node_keys[] = {
    {"node-name", KEY_FN, .fn = key_node_name},
    {"filename", KEY_FN, .fn = key_filename},
    {"read-only", NODE_BOOL(readonly)},
    {"discard", KEY_FN, .fn = key_node_discard},
    {"cache.direct", NODE_BOOL(direct)},
    {"cache.no-flush", NODE_BOOL(no_flush)},
    {"auto-read-only", KEY_ONLY, .form = "off"},
    {"detect-zeroes", KEY_ONLY, .form = "off"},
    {"aio", KEY_ONLY, .form = "threads"},
    {"locking", KEY_ONLY, .form = "auto|on"},
    KEY_END,
};

static struct pend_node *find_node(struct parse *c, const char *name)
{
    for (unsigned i = 0; i < c->n_node; i++)
        if (!strcmp(c->node[i].name, name))
            return &c->node[i];
    return NULL;
}

static int check_node(struct parse *c, const struct pend_node *n)
{
    if (!n->name[0])
        return parse_fail(c, "'node-name' must be specified for the root node");
    if (find_node(c, n->name))
        return parse_fail(c, "Duplicate node-name '%s'", n->name);
    if (n->path[0] && n->file_ref[0])
        return parse_fail(c, "both file= and file.filename= given");
    if (!n->path[0] && !n->file_ref[0])
        return parse_fail(c, "Parameter '%s' is missing", n->format[0] ? "file" : "filename");
    if (n->file_ref[0] && !find_node(c, n->file_ref))
        return parse_fail(c, "Cannot find node-name '%s'", n->file_ref);
    return 0;
}

int set_blockdev(struct parse *c, const char *arg)
{
    struct pend_node n = {.arg = arg};
    const char *driver, *file_driver;
    struct optlist l;

    if (optlist_split(c, &l, arg, "driver"))
        return -1;
    driver = optlist_take(&l, "driver");
    if (!driver)
        return parse_fail(c, "Parameter 'driver' is missing");
    if (abi_image_format_known(driver))
        snprintf(n.format, sizeof(n.format), "%s", driver);
    if (!n.format[0] && strcmp(driver, "file") && strcmp(driver, "host_device"))
        return parse_fail(c, "block driver '%s' is not built (available: " ABI_IMAGE_FORMATS ", file, host_device)",
                          driver);
    if (optkeys_apply(c, n.format[0] ? format_keys : file_node_keys, &l, &n, NULL))
        return -1;
    file_driver = optlist_get(&l, "file.driver");
    if (n.path[0] && n.format[0] && !file_driver)
        return parse_fail(c, "Parameter 'file.driver' is missing");
    if (check_node(c, &n))
        return -1;
    if (c->n_node == PARSE_NODE_MAX)
        return parse_fail(c, "too many block nodes (limit %d)", PARSE_NODE_MAX);
    c->node[c->n_node++] = n;
    return 0;
}

/* cache.direct and cache.no-flush are two of the three bits of a -drive cache mode. */
static int node_cache(struct parse *c, const struct pend_node *n, char cache[16])
{
    if (n->direct && n->no_flush)
        return parse_fail(c, "node '%s': cache.direct=on with cache.no-flush=on is not built",
                          n->name);
    strcpy(cache, n->direct ? "none" : n->no_flush ? "unsafe" : "writeback");
    return 0;
}

int blockdev_take(struct parse *c, const char *name)
{
    struct plan_disk d = {.fd = -1, .pci_slot = -1, .bootindex = -1, .rom = -1, .blockdev = true};
    struct pend_node *top = find_node(c, name), all, *n = top;

    if (!n)
        return -2;
    all = *top;
    for (;;) { /* a reference always names an earlier node: this ends */
        if (n->used)
            return parse_fail(c, "node '%s' is already in use", n->name);
        n->used = true;
        all.readonly |= n->readonly;
        all.direct |= n->direct;
        all.no_flush |= n->no_flush;
        all.discard &= n->discard; /* every layer has to pass it down */
        if (!n->file_ref[0])
            break;
        n = find_node(c, n->file_ref);
    }
    if (c->p->n_disk == PLAN_DISKS_MAX)
        return parse_fail(c, "too many drives (limit %d)", PLAN_DISKS_MAX);
    if (node_cache(c, &all, d.cache))
        return -1;
    d.readonly = all.readonly;
    d.discard = all.discard;
    memcpy(d.detect_zeroes, top->detect_zeroes, sizeof(d.detect_zeroes));
    if (!strcmp(d.detect_zeroes, "unmap") && !d.discard)
        return parse_fail(c, "node '%s': detect-zeroes=unmap needs discard=unmap", name);
    strcpy(d.format, top->format[0] ? top->format : "raw"); /* a file node alone is its bytes */
    memcpy(d.file, n->path, sizeof(d.file));
    memcpy(d.id, name, strlen(name) + 1);
    c->drive[c->p->n_disk] = (struct pend_drive){.index = -1, .arg = top->arg};
    c->p->disk[c->p->n_disk] = d;
    return (int)c->p->n_disk++;
}
