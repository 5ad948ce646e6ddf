/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block_resize and block_set_io_throttle. The rules for rate limits are those of the command line.
 */
#include "vmm/monitor/block-commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/config/disk.h"

static const char *const rates[PLAN_THROTTLE] = {"bps", "bps_rd", "bps_wr", "bps_max", "bps_rd_max", "bps_wr_max", "iops",
                                                 "iops_rd", "iops_wr", "iops_max", "iops_rd_max", "iops_wr_max", "iops_size"};

static const char *text(const struct json_doc *doc, const struct json_node *args, const char *name)
{
    const struct json_node *n = args ? json_member(doc, args, name) : NULL;

    return n ? json_str(doc, n) : "";
}

static int64_t number(const struct json_doc *doc, const struct json_node *args, const char *name)
{
    const struct json_node *n = args ? json_member(doc, args, name) : NULL;

    return n ? n->i : 0;
}

static const char *drive(const struct json_doc *doc, const struct json_node *args, const char *other)
{
    const char *device = text(doc, args, "device");

    return *device ? device : text(doc, args, other);
}

int block_qmp_resize(struct vm *vm, const struct json_doc *doc, const struct json_node *args)
{
    int64_t size = number(doc, args, "size");

    if (size < 0)
        return vm_fail(-EINVAL, "Parameter 'size' expects a >0 size");
    return vm_block_resize(vm, drive(doc, args, "node-name"), (uint64_t)size);
}

static int throttle(struct vm *vm, const char *id, const uint64_t v[PLAN_THROTTLE])
{
    const char *why;

    return disk_throttle_check(v, &why) ? vm_fail(-EINVAL, "%s", why) : vm_block_throttle(vm, id, v);
}

int block_qmp_throttle(struct vm *vm, const struct json_doc *doc, const struct json_node *args)
{
    uint64_t v[PLAN_THROTTLE];

    for (unsigned i = 0; i < PLAN_THROTTLE; i++) {
        int64_t n = number(doc, args, rates[i]);

        if (n < 0)
            return vm_fail(-EINVAL, "bps/iops/max values must be within [0, 1000000000000000]");
        v[i] = (uint64_t)n;
    }
    return throttle(vm, drive(doc, args, "id"), v);
}

/* The size in MiB, or with a suffix; in bytes with "B". */
int block_hmp_resize(struct vm *vm, const char *arg)
{
    static const char units[] = "BKMGTPE";
    char id[64], rest[64], *end;
    const char *unit = units + 2;
    double v;

    if (sscanf(arg, "%63s %63s", id, rest) != 2)
        return vm_fail(-EINVAL, "block_resize: expected 'device size'");
    v = strtod(rest, &end);
    if (end != rest && *end)
        unit = strchr(units, *end >= 'a' ? *end - 32 : *end);
    if (end == rest || !unit || (*end && end[1]) || !(v > 0))
        return vm_fail(-EINVAL, "block_resize: '%s' is not a size", rest);
    for (; unit > units; unit--)
        v *= 1024;
    return v < 9e18 ? vm_block_resize(vm, id, (uint64_t)v) : vm_fail(-EINVAL, "block_resize: '%s' is not a size", rest);
}

int block_hmp_throttle(struct vm *vm, const char *arg)
{
    unsigned long long n[6];
    uint64_t v[PLAN_THROTTLE] = {0};
    char id[64];

    if (sscanf(arg, "%63s %llu %llu %llu %llu %llu %llu", id, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5]) != 7)
        return vm_fail(-EINVAL, "block_set_io_throttle: expected 'device bps bps_rd bps_wr iops iops_rd iops_wr'");
    for (unsigned i = 0; i < 6; i++)
        v[i / 3 * 6 + i % 3] = n[i];
    return throttle(vm, id, v);
}
