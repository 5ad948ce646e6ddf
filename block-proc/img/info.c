/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-img info, check and map: what is said about images. Must never change one, but by check -r.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "block-proc/image/vmdk.h"
#include "block-proc/img/img.h"

static struct tool_chain chain;

static uint64_t file_size(const struct img_file *f)
{
    struct stat st;
    return fstat(f->fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

static uint64_t disk_size(const struct img *img)
{
    uint64_t size = file_size(img->file);
    for (unsigned i = 0; i < img->n_parts; i++)
        size += file_size(img->part[i].file);
    return size;
}

static bool is_qcow2(const struct img *img)
{
    return img->drv == &img_qcow2;
}

/* Does qemu-img say a cluster size, and whether the image is dirty? */
static bool has_info(const struct img *img)
{
    if (img->drv == &img_vmdk) { /* sparse extents have clusters */
        const struct vmdk *v = vmdk_about(img);
        for (unsigned i = 0; i < v->n; i++)
            if (v->extent[i].kind == VMDK_SPARSE)
                return true;
        return false;
    }
    return img->drv != &img_raw && !img->drv->no_info && (img->cluster != IMG_SECTOR || is_qcow2(img));
}

/* The name as it leads to the file, where it differs from the text in the header. */
static const char *full_backing(const struct img *img, char buf[2 * IMG_NAME_MAX])
{
    const char *slash = strrchr(img->name, '/'), *b = img->backing_name;
    snprintf(buf, 2 * IMG_NAME_MAX, "%.*s%s", b[0] != '/' && slash ? (int)(slash - img->name + 1) : 0,
             img->name, b);
    return buf;
}

static const char *extent_name(const struct img *img, const struct vmdk_extent *x)
{
    static char name[2 * IMG_NAME_MAX];
    const char *slash = strrchr(img->name, '/');
    if (x->part < 0)
        return img->name;
    snprintf(name, sizeof(name), "%.*s%s", slash ? (int)(slash - img->name + 1) : 0, img->name, img->part[x->part].name);
    return name;
}

static void vmdk_human(const struct img *img)
{
    const struct vmdk *v = vmdk_about(img);
    printf("Format specific information:\n    cid: %u\n    parent cid: %u\n    create type: %s\n    extents:\n", v->cid,
           v->parent_cid, v->create_type);
    for (unsigned i = 0; i < v->n; i++) {
        const struct vmdk_extent *x = &v->extent[i];
        printf("        [%u]:\n%s            virtual size: %llu\n            filename: %s\n", i,
               x->compressed ? "            compressed: true\n" : "", (unsigned long long)x->sectors * IMG_SECTOR,
               extent_name(img, x));
        if (x->kind == VMDK_SPARSE)
            printf("            cluster size: %u\n", x->grain);
        printf("            format: %s\n", x->type);
    }
}

static void vmdk_json(const struct img *img, const char *in)
{
    const struct vmdk *v = vmdk_about(img);
    printf(",\n%s    \"format-specific\": {\n%s        \"type\": \"vmdk\",\n%s        \"data\": {\n"
           "%s            \"cid\": %u,\n%s            \"parent-cid\": %u,\n%s            \"create-type\": \"%s\",\n"
           "%s            \"extents\": [\n", in, in, in, in, v->cid, in, v->parent_cid, in, v->create_type, in);
    for (unsigned i = 0; i < v->n; i++) {
        const struct vmdk_extent *x = &v->extent[i];
        printf("%s                {\n", in);
        if (x->compressed)
            printf("%s                    \"compressed\": true,\n", in);
        printf("%s                    \"virtual-size\": %llu,\n%s                    \"filename\": ", in,
               (unsigned long long)x->sectors * IMG_SECTOR, in);
        tool_json_string(extent_name(img, x));
        if (x->kind == VMDK_SPARSE)
            printf(",\n%s                    \"cluster-size\": %u", in, x->grain);
        printf(",\n%s                    \"format\": \"%s\"\n%s                }%s\n", in, x->type, in,
               i + 1 < v->n ? "," : "");
    }
    printf("%s            ]\n%s        }\n%s    }", in, in, in);
}

static void info_human(unsigned at)
{
    const struct img *img = &chain.img[at];
    char a[32], b[32], full[2 * IMG_NAME_MAX];
    struct qcow2_about q = {0};
    printf("image: %s\nfile format: %s\nvirtual size: %s (%llu bytes)\ndisk size: %s\n", img->name,
           img->drv->name, tool_human(img->size, a), (unsigned long long)img->size,
           tool_human(disk_size(img), b));
    if (has_info(img))
        printf("cluster_size: %u\n", img->cluster);
    if (is_qcow2(img))
        qcow2_about(img, &q);
    if (q.dirty)
        printf("cleanly shut down: no\n");
    if (img->backing_name[0]) {
        full_backing(img, full);
        printf("backing file: %s", img->backing_name);
        if (strcmp(full, img->backing_name))
            printf(" (actual path: %s)", full);
        putchar('\n');
    }
    if (img->backing_fmt[0])
        printf("backing file format: %s\n", img->backing_fmt);
    if (img->drv == &img_vmdk)
        vmdk_human(img);
    if (!is_qcow2(img))
        return;
    tool_snapshots_human(&chain, at);
    printf("Format specific information:\n    compat: %s\n    compression type: %s\n", q.v3 ? "1.1" : "0.10",
           q.zstd ? "zstd" : "zlib");
    if (q.v3)
        printf("    lazy refcounts: %s\n", q.lazy ? "true" : "false");
    printf("    refcount bits: %u\n", q.refcount_bits);
    if (q.v3)
        printf("    corrupt: %s\n    extended l2: false\n", q.corrupt ? "true" : "false");
}

static void json_specific(const struct img *img, const char *in)
{
    struct qcow2_about q;
    qcow2_about(img, &q);
    printf(",\n%s    \"format-specific\": {\n%s        \"type\": \"qcow2\",\n%s        \"data\": {\n", in, in, in);
    printf("%s            \"compat\": \"%s\",\n", in, q.v3 ? "1.1" : "0.10");
    printf("%s            \"compression-type\": \"%s\",\n", in, q.zstd ? "zstd" : "zlib");
    if (q.v3)
        printf("%s            \"lazy-refcounts\": %s,\n", in, q.lazy ? "true" : "false");
    printf("%s            \"refcount-bits\": %u", in, q.refcount_bits);
    if (q.v3)
        printf(",\n%s            \"corrupt\": %s,\n%s            \"extended-l2\": false", in,
               q.corrupt ? "true" : "false", in);
    printf("\n%s        }\n%s    }", in, in);
}

static void json_text(const char *in, const char *key, const char *val)
{
    printf("%s    \"%s\": ", in, key);
    tool_json_string(val);
    printf(",\n");
}

static void json_next(const char *in, const char *key, const char *val)
{
    printf(",\n%s    \"%s\": ", in, key);
    tool_json_string(val);
}

static void info_json(unsigned at, const char *in)
{
    const struct img *img = &chain.img[at];
    char full[2 * IMG_NAME_MAX];
    struct qcow2_about q = {0};
    printf("%s{\n", in);
    tool_snapshots_json(&chain, at, in);
    if (img->backing_fmt[0])
        json_text(in, "backing-filename-format", img->backing_fmt);
    printf("%s    \"virtual-size\": %llu,\n", in, (unsigned long long)img->size);
    json_text(in, "filename", img->name);
    if (has_info(img))
        printf("%s    \"cluster-size\": %u,\n", in, img->cluster);
    json_text(in, "format", img->drv->name);
    printf("%s    \"actual-size\": %llu", in, (unsigned long long)disk_size(img));
    if (img->drv == &img_vmdk)
        vmdk_json(img, in);
    if (is_qcow2(img)) {
        json_specific(img, in);
        qcow2_about(img, &q);
    }
    if (img->backing_name[0]) {
        json_next(in, "full-backing-filename", full_backing(img, full));
        json_next(in, "backing-filename", img->backing_name);
    }
    const char *dirty = q.dirty ? ",\n%s    \"dirty-flag\": true" : ",\n%s    \"dirty-flag\": false";
    if (!img->drv->no_info)
        printf(dirty, in);
    printf("\n%s}", in);
}

enum { OPT_OUTPUT = 256, OPT_CHAIN, OPT_START, OPT_LENGTH };
struct about_args {
    const char *fmt, *repair;
    bool json, whole, share, quiet;
    uint64_t start, length;
};

/* The options these three commands have in common. 0 or the exit status. */
static int args_read(int argc, char **argv, const char *shorts, struct about_args *a)
{
    static const struct option longs[] = {{"output", required_argument, NULL, OPT_OUTPUT},
                                          {"backing-chain", no_argument, NULL, OPT_CHAIN},
                                          {"start-offset", required_argument, NULL, OPT_START},
                                          {"max-length", required_argument, NULL, OPT_LENGTH},
                                          {"force-share", no_argument, NULL, 'U'},
                                          {0}};
    a->length = UINT64_MAX;
    for (int o; (o = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
        switch (o) {
        case 'f': a->fmt = optarg; break;
        case 'U': a->share = true; break;
        case 'q': a->quiet = true; break;
        case 'r': a->repair = optarg; break;
        case OPT_CHAIN: a->whole = true; break;
        case OPT_OUTPUT:
            a->json = !strcmp(optarg, "json");
            if (!a->json && strcmp(optarg, "human"))
                return tool_fail("--output must be used with human or json as argument.");
            break;
        case OPT_START:
        case OPT_LENGTH:
            if (!tool_size(optarg, o == OPT_START ? &a->start : &a->length))
                return tool_fail("Invalid size '%s'", optarg);
            break;
        default: return 1;
        }
    }
    if (optind != argc - 1)
        return tool_fail("Expecting one image file name");
    tool_grant(argv[optind], a->repair ? TOOL_WRITE : 0);
    return 0;
}

int cmd_info(int argc, char **argv)
{
    struct about_args a = {0};
    int r = args_read(argc, argv, "f:U", &a);
    if (r)
        return r;
    unsigned flags = (a.whole ? 0 : TOOL_NO_BACKING) | (a.share ? TOOL_SHARE : 0);
    if (tool_open(&chain, argv[optind], a.fmt, flags) < 0)
        return 1;
    if (a.json && a.whole)
        printf("[\n");
    for (unsigned i = 0; i < chain.n; i++) {
        if (i)
            printf(a.json ? ",\n" : "\n");
        if (a.json)
            info_json(i, a.whole ? "    " : "");
        else
            info_human(i);
    }
    if (a.json)
        printf(a.whole ? "\n]\n" : "\n");
    tool_close(&chain);
    return 0;
}

/* ---- check */
static void say_finding(void *opaque, const char *line)
{
    fprintf(*(const bool *)opaque ? stderr : stdout, "%s\n", line);
}

static void check_json(const char *name, const struct img_check *c)
{
    printf("{\n    \"image-end-offset\": %llu,\n    \"total-clusters\": %llu,\n    \"check-errors\": %llu,\n"
           "    \"filename\": ", (unsigned long long)c->end, (unsigned long long)c->total,
           (unsigned long long)c->errors);
    tool_json_string(name);
    printf(",\n    \"format\": \"%s\"", chain.img[0].drv->name);
    const struct {
        const char *key;
        uint64_t n;
    } more[] = {{"allocated-clusters", c->allocated}, {"fragmented-clusters", c->fragmented},
                {"compressed-clusters", c->packed}, {"leaks", c->leaks - c->leaks_fixed},
                {"corruptions", c->corruptions - c->corruptions_fixed},
                {"leaks-fixed", c->leaks_fixed}, {"corruptions-fixed", c->corruptions_fixed}};
    for (unsigned i = 0; i < 7; i++)
        if (more[i].n)
            printf(",\n    \"%s\": %llu", more[i].key, (unsigned long long)more[i].n);
    printf("\n}\n");
}

static void check_human(const struct img_check *c)
{
    uint64_t bad = c->corruptions - c->corruptions_fixed, leaks = c->leaks - c->leaks_fixed;
    if (c->corruptions_fixed || c->leaks_fixed)
        printf("The following inconsistencies were found and repaired:\n\n    %llu leaked clusters\n    %llu "
               "corruptions\n\nDouble checking the fixed image now...\n",
               (unsigned long long)c->leaks_fixed, (unsigned long long)c->corruptions_fixed);
    if (!bad && !leaks && !c->errors)
        printf("No errors were found on the image.\n");
    if (bad)
        printf("\n%llu errors were found on the image.\nData may be corrupted, or further writes to the image "
               "may corrupt it.\n", (unsigned long long)bad);
    if (leaks)
        printf("\n%llu leaked clusters were found on the image.\nThis means waste of disk space, but no harm "
               "to data.\n", (unsigned long long)leaks);
    if (c->total && c->allocated)
        printf("%llu/%llu = %0.2f%% allocated, %0.2f%% fragmented, %0.2f%% compressed clusters\n",
               (unsigned long long)c->allocated, (unsigned long long)c->total,
               (double)c->allocated * 100.0 / (double)c->total,
               (double)c->fragmented * 100.0 / (double)c->allocated,
               (double)c->packed * 100.0 / (double)c->allocated);
    if (c->end)
        printf("Image end offset: %llu\n", (unsigned long long)c->end);
}

int cmd_check(int argc, char **argv)
{
    struct about_args a = {0};
    if (args_read(argc, argv, "f:qr:U", &a))
        return 1;
    bool all = a.repair && !strcmp(a.repair, "all");
    if (a.repair && !all && strcmp(a.repair, "leaks"))
        return tool_fail("-r expects 'leaks' or 'all', not '%s'", a.repair);
    unsigned flags = TOOL_NO_BACKING | TOOL_CHECK | (a.repair ? TOOL_WRITE : 0) | (a.share ? TOOL_SHARE : 0);
    if (tool_open(&chain, argv[optind], a.fmt, flags) < 0)
        return 1;
    const struct img_driver *drv = chain.img[0].drv;
    if (!drv->check) {
        tool_close(&chain);
        tool_fail("This image format does not support checks");
        return 63;
    }
    struct img_check c = {.say = a.quiet ? NULL : say_finding, .opaque = &a.json}, fixed = {0};
    int r = drv->check(&chain.img[0], &c, a.repair, all, &chain.io);
    if (r == 0 && (c.leaks_fixed || c.corruptions_fixed)) { /* what is left is what is found now */
        fixed = c;
        c = (struct img_check){.say = c.say, .opaque = c.opaque};
        r = drv->check(&chain.img[0], &c, a.repair, all, &chain.io);
        c.leaks_fixed += fixed.leaks_fixed;
        c.leaks += fixed.leaks_fixed;
        c.corruptions_fixed += fixed.corruptions_fixed;
        c.corruptions += fixed.corruptions_fixed;
    }
    if (r == 0 && a.json)
        check_json(argv[optind], &c);
    else if (r == 0 && !a.quiet)
        check_human(&c);
    tool_close(&chain);
    if (r < 0)
        return tool_fail("Check failed: %s", strerror(-r));
    return c.corruptions > c.corruptions_fixed ? 2 : c.leaks > c.leaks_fixed ? 3 : 0;
}

/* ---- map */
struct piece {
    uint64_t start, len, offset;
    unsigned depth;
    bool present, zero, data, has_offset;
};

static bool joins(const struct piece *a, const struct piece *b)
{
    return a->depth == b->depth && a->present == b->present && a->zero == b->zero && a->data == b->data &&
           a->has_offset == b->has_offset && (!a->has_offset || b->offset == a->offset + a->len);
}

static struct piece piece_at(uint64_t off, uint64_t len)
{
    struct img_extent e;
    struct piece p = {.start = off, .len = len};
    p.zero = tool_zero(&chain, off, &p.len, &p.depth, &e, &chain.io);
    p.present = e.kind != IMG_HOLE;
    p.data = (e.kind == IMG_DATA && (!p.zero || is_qcow2(&chain.img[p.depth]))) || e.kind == IMG_PACKED;
    p.has_offset = e.allocated && e.kind != IMG_PACKED;
    p.offset = e.host;
    if (!p.present)
        p.depth = 0;
    return p;
}

static void piece_print(const struct piece *p, bool json, bool first)
{
    if (json) {
        printf("%s{ \"start\": %llu, \"length\": %llu, \"depth\": %u, \"present\": %s, \"zero\": %s, \"data\": %s",
               first ? "[" : ",\n", (unsigned long long)p->start, (unsigned long long)p->len, p->depth,
               p->present ? "true" : "false", p->zero ? "true" : "false", p->data ? "true" : "false");
        if (p->has_offset)
            printf(", \"offset\": %llu", (unsigned long long)p->offset);
        printf("}");
    } else if (p->data && !p->zero) {
        printf("%#-16llx%#-16llx%#-16llx%s\n", (unsigned long long)p->start, (unsigned long long)p->len,
               (unsigned long long)p->offset, chain.img[p->depth].name);
    }
}

int cmd_map(int argc, char **argv)
{
    struct about_args a = {0};
    if (args_read(argc, argv, "f:U", &a) || tool_open(&chain, argv[optind], a.fmt, a.share ? TOOL_SHARE : 0) < 0)
        return 1;
    uint64_t size = chain.img[0].size, end = a.length < size ? a.start + a.length : size;
    struct piece now = {0};
    bool first = true;
    if (!a.json)
        printf("%-16s%-16s%-16s%s\n", "Offset", "Length", "Mapped to", "File");
    for (uint64_t off = a.start; off < end && off < size;) {
        struct piece p = piece_at(off, end - off);
        off += p.len;
        if (now.len && joins(&now, &p)) {
            now.len += p.len;
            continue;
        }
        if (now.len)
            piece_print(&now, a.json, first), first = false;
        now = p;
    }
    if (now.len)
        piece_print(&now, a.json, first);
    if (a.json)
        printf(now.len ? "]\n" : "[]\n");
    tool_close(&chain);
    return 0;
}
