/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-img measure: how large a file a new image would need. Must never say less than the image will take.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include "block-proc/img/img.h"

static struct tool_chain chain;

static uint64_t up(uint64_t v, uint64_t to)
{
    return (v + to - 1) / to * to;
}

/* Clusters of refcount blocks and table, which are counted themselves. */
static uint64_t refcount_bytes(uint64_t clusters, uint64_t cluster, uint32_t bits)
{
    uint64_t per_block = cluster * 8 / bits, per_table = cluster / 8, blocks = 0, table = 0, n = 0, last;
    do {
        last = n;
        blocks = (clusters + table + blocks + per_block - 1) / per_block;
        table = (blocks + per_table - 1) / per_table;
        n = clusters + blocks + table;
    } while (n != last);
    return (blocks + table) * cluster;
}

/* A qcow2 image with every cluster of the disk allocated. */
static uint64_t qcow2_full(uint64_t size, uint64_t cluster, uint32_t bits)
{
    uint64_t disk = up(size, cluster), meta = cluster;
    uint64_t l2 = up(disk / cluster, cluster / 8), l1 = up(l2 * 8 / cluster, cluster / 8);
    meta += l2 * 8 + l1 * 8;
    return meta + disk + refcount_bytes((meta + disk) / cluster, cluster, bits);
}

/* Bytes of clusters that hold something. */
static uint64_t data_bytes(uint64_t cluster)
{
    uint64_t sum = 0, size = chain.img[0].size, counted = 0; /* counted: up to here */
    for (uint64_t off = 0; off < size;) {
        struct img_extent e;
        uint64_t len = size - off;
        bool zero = tool_zero(&chain, off, &len, NULL, &e, &chain.io);
        uint64_t start = off / cluster * cluster, end = up(off + len, cluster);
        if (!zero) {
            start = start < counted ? counted : start;
            sum += end > start ? end - start : 0;
            counted = end;
        }
        off += len;
    }
    return sum;
}

struct measure_args {
    const char *fmt, *out_fmt, *list, *snapshot;
    bool json, has_size, share;
    uint64_t size;
    struct tool_options o;
};

static int args_read(int argc, char **argv, struct measure_args *a)
{
    static const struct option longs[] = {{"output", required_argument, NULL, 1}, {"size", required_argument, NULL, 2}, {0}};
    a->out_fmt = "raw";
    for (int o; (o = getopt_long(argc, argv, "f:O:o:l:U", longs, NULL)) != -1;) {
        switch (o) {
        case 'f': a->fmt = optarg; break;
        case 'O': a->out_fmt = optarg; break;
        case 'o': a->list = optarg; break;
        case 'l': a->snapshot = optarg; break;
        case 'U': a->share = true; break;
        case 1:
            a->json = !strcmp(optarg, "json");
            if (!a->json && strcmp(optarg, "human"))
                return tool_fail("--output must be used with human or json as argument.");
            break;
        case 2:
            a->has_size = true;
            if (!tool_size(optarg, &a->size))
                return tool_fail("Invalid size '%s'", optarg);
            break;
        default: return 1;
        }
    }
    if (argc - optind > 1)
        return tool_fail("At most one filename argument is allowed.");
    if (optind == argc && (a->fmt || a->snapshot || a->share))
        return tool_fail("--image-opts, -f, and -l can only be used with a filename argument.");
    if (optind == argc && !a->has_size)
        return tool_fail("Either --size N or one filename must be specified.");
    if (optind < argc && a->has_size)
        return tool_fail("--size N cannot be used together with a filename.");
    return a->list ? tool_options_parse(&a->o, a->out_fmt, "measure", a->list) : 0;
}

static void qcow2_measure(const struct measure_args *a, uint64_t *required, uint64_t *full)
{
    uint64_t cluster = a->o.cluster ? a->o.cluster : 65536, size = up(a->size, cluster), data = 0;
    *full = qcow2_full(size, cluster, a->o.refcount_bits ? a->o.refcount_bits : 16);
    if (!strcmp(a->o.preallocation, "full") || !strcmp(a->o.preallocation, "falloc") || a->o.backing[0])
        data = size; /* with a backing file nobody knows how much it shares */
    else if (!a->has_size)
        data = data_bytes(cluster);
    *required = *full - size + data;
}

int cmd_measure(int argc, char **argv)
{
    struct measure_args a = {0};
    uint64_t required, full;
    bool bitmaps = false;
    if (args_read(argc, argv, &a))
        return 1;
    if (strcmp(a.out_fmt, "raw") && strcmp(a.out_fmt, "qcow2"))
        return tool_fail(img_driver_find(a.out_fmt) ? "Block driver '%s' does not support size measurement" : "Unknown file format '%s'",
                         a.out_fmt);
    if (!a.has_size) {
        tool_grant(argv[optind], 0);
        if (tool_open(&chain, argv[optind], a.fmt, a.share ? TOOL_SHARE : 0) < 0 || tool_snapshot_load(&chain, a.snapshot))
            return 1;
        a.size = chain.img[0].size;
        bitmaps = !strcmp(a.out_fmt, "qcow2") && chain.img[0].drv == &img_qcow2;
    }
    required = full = up(a.size, IMG_SECTOR);
    if (!strcmp(a.out_fmt, "qcow2"))
        qcow2_measure(&a, &required, &full);
    if (a.json)
        printf("{\n%s    \"required\": %llu,\n    \"fully-allocated\": %llu\n}\n", bitmaps ? "    \"bitmaps\": 0,\n" : "",
               (unsigned long long)required, (unsigned long long)full);
    else
        printf("required size: %llu\nfully allocated size: %llu\n%s", (unsigned long long)required, (unsigned long long)full,
               bitmaps ? "bitmaps size: 0\n" : "");
    tool_close(&chain);
    return 0;
}
