/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors of VMware disks: text that names type, extents and parent. Read from hostile files, so every line is
 * bounded and what is not understood is refused. Also the making of disks, which begins with their text.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>
#include "block-proc/image/bytes.h"
#include "block-proc/image/vmdk.h"
#include "ipc/log.h"

#define EXTENT_2GB (2ull << 30)
#define TYPES      5

static int refuse(struct img *img, const char *what, const char *text)
{
    log_error("%s: vmdk: %s '%.60s'", img->name, what, text);
    return -EINVAL;
}

static int extent_add(struct img *img, const struct vmdk_extent *x, const char *name)
{
    struct vmdk *v = img->priv;
    if (v->n == VMDK_EXTENTS_MAX)
        return refuse(img, "too many extents at", name);
    struct vmdk_extent *more = realloc(v->extent, (v->n + 1) * sizeof(*more));
    if (!more)
        return -ENOMEM;
    v->extent = more;
    more[v->n] = *x;
    if (x->kind != VMDK_ZERO) {
        struct img_part *parts = realloc(img->part, (img->n_parts + 1) * sizeof(*parts));
        if (!parts)
            return -ENOMEM;
        img->part = parts;
        memset(&parts[img->n_parts], 0, sizeof(*parts));
        snprintf(parts[img->n_parts].name, IMG_NAME_MAX, "%s", name);
        more[v->n].part = (int)img->n_parts++;
    }
    v->n++;
    return 0;
}

/* RW 4194304 SPARSE "name" [offset] */
static int extent_parse(struct img *img, const char *line)
{
    struct vmdk *v = img->priv;
    struct vmdk_extent x = {.part = -1};
    char access[16], type[16], name[IMG_NAME_MAX] = "";
    unsigned long long sectors, flat = 0;
    int n = sscanf(line, "%15s %llu %15s \"%1023[^\"\n]\" %llu", access, &sectors, type, name, &flat);
    bool sparse = n >= 3 && (!strcmp(type, "SPARSE") || !strcmp(type, "VMFSSPARSE"));
    bool whole = n >= 3 && (!strcmp(type, "FLAT") || !strcmp(type, "VMFS"));
    bool zero = n >= 3 && !strcmp(type, "ZERO");
    if (n < 3 || !(sparse || whole || zero) || (!zero && n < 4) || !strcmp(access, "NOACCESS"))
        return refuse(img, "an extent that is not built:", line);
    if (!sectors || sectors >> 50 || flat >> 50)
        return refuse(img, "an impossible size in", line);
    x.kind = sparse ? VMDK_SPARSE : whole ? VMDK_FLAT : VMDK_ZERO;
    snprintf(x.type, sizeof(x.type), "%s", type);
    x.start = v->n ? v->extent[v->n - 1].start + v->extent[v->n - 1].sectors : 0;
    x.sectors = sectors;
    x.flat = flat;
    x.readonly = !strcmp(access, "RDONLY");
    return extent_add(img, &x, name);
}

/* key="value" or key=value. True: it was this key. */
static bool value_of(const char *line, const char *key, char *out, size_t size)
{
    size_t n = strlen(key);
    if (strncmp(line, key, n) || line[n] != '=')
        return false;
    line += n + 1;
    line += *line == '"';
    snprintf(out, size, "%.*s", (int)strcspn(line, "\"\r\n"), line);
    return true;
}

static int line_parse(struct img *img, const char *line, size_t at)
{
    struct vmdk *v = img->priv;
    char text[IMG_NAME_MAX];
    if (value_of(line, "createType", v->create_type, sizeof(v->create_type)))
        return 0;
    if (value_of(line, "parentFileNameHint", img->backing_name, sizeof(img->backing_name)))
        return 0;
    if (value_of(line, "parentCID", text, sizeof(text))) {
        v->parent_cid = (uint32_t)strtoul(text, NULL, 16);
        return 0;
    }
    if (value_of(line, "CID", text, sizeof(text))) {
        v->cid = (uint32_t)strtoul(text, NULL, 16);
        v->cid_at = strlen(text) == 8 ? at + 4 : 0;
        return 0;
    }
    bool extent = !strncmp(line, "RW ", 3) || !strncmp(line, "RDONLY ", 7) || !strncmp(line, "NOACCESS ", 9);
    return extent && v->desc_at == 0 ? extent_parse(img, line) : 0;
}

int vmdk_desc_parse(struct img *img, char *text)
{
    struct vmdk *v = img->priv;
    static const char *const built[] = {"monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat",
                                        "streamOptimized", "vmfs", "vmfsSparse"};
    char *begin = text;
    int r = 0;
    v->parent_cid = UINT32_MAX;
    for (char *next; r == 0 && *text; text = next) {
        next = text + strcspn(text, "\n");
        if (*next)
            *next++ = '\0';
        r = line_parse(img, text + strspn(text, " \t"), (size_t)(text - begin));
    }
    if (r < 0)
        return r;
    for (unsigned i = 0; i < sizeof(built) / sizeof(built[0]); i++)
        if (!strcmp(v->create_type, built[i]))
            return 0;
    return refuse(img, "Unsupported image type", v->create_type);
}

int vmdk_desc_print(char *out, size_t size, const struct img_create *c, uint32_t cid, const char *type, const char *lines)
{
    const char *adapter = c->adapter ? c->adapter : "ide";
    char hint[IMG_NAME_MAX + 32] = "";
    uint64_t cylinders = c->size / (63 * 16 * IMG_SECTOR);
    if (c->backing)
        snprintf(hint, sizeof(hint), "parentFileNameHint=\"%s\"\n", c->backing);
    int n = snprintf(out, size,
                     "# Disk DescriptorFile\nversion=1\nCID=%08x\nparentCID=%08x\ncreateType=\"%s\"\n%s\n# Extent description\n%s\n"
                     "# The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"%s\"\nddb.geometry.cylinders = \"%llu\"\n"
                     "ddb.geometry.heads = \"%u\"\nddb.geometry.sectors = \"63\"\nddb.adapterType = \"%s\"\n"
                     "ddb.toolsVersion = \"%s\"\n",
                     cid, c->backing ? c->backing_cid : UINT32_MAX, type, hint, lines,
                     c->compat6 ? "6" : c->hwversion && strcmp(c->hwversion, "undefined") ? c->hwversion : "4",
                     (unsigned long long)(cylinders < 16383 ? cylinders : 16383), strcmp(adapter, "ide") ? 255u : 16u, adapter,
                     c->toolsversion ? c->toolsversion : "2147483647");
    return n < (int)size ? 0 : -EFBIG;
}

/* The parts of a disk of several files, and the lines that name them. */
static int parts_make(const struct img_create *c, bool flat, bool split, char *lines, size_t size, struct img_io *io)
{
    uint64_t max = split ? EXTENT_2GB : UINT64_MAX;
    size_t at = 0;
    lines[0] = '\0';
    for (uint64_t done = 0, i = 1; done < c->size; i++) {
        uint64_t part = c->size - done < max ? c->size - done : max;
        char name[4096];
        struct img_file f;
        int fd = c->part(c->file_name, split ? flat ? 'f' : 's' : 'F', (unsigned)i, name);
        int r = fd < 0 ? fd : img_file_open(&f, fd, false);
        if (r == 0)
            r = flat ? img_file_resize(&f, part, io) : vmdk_sparse_create(&f, c, part, false, "", io);
        if (fd >= 0)
            close(fd);
        if (r < 0)
            return r;
        int n = snprintf(lines + at, size - at, "RW %llu %s \"%s\"%s\n", (unsigned long long)(part / IMG_SECTOR),
                         flat ? "FLAT" : "SPARSE", name, flat ? " 0" : "");
        if (n >= (int)(size - at))
            return -EFBIG;
        at += (size_t)n;
        done += part;
    }
    return 0;
}

int vmdk_create(struct img_file *file, const struct img_create *c, struct img_io *io)
{
    const char *type = c->subformat ? c->subformat : "monolithicSparse";
    const char *slash = c->file_name ? strrchr(c->file_name, '/') : NULL;
    bool packed = !strcmp(type, "streamOptimized"), single = packed || !strcmp(type, "monolithicSparse");
    static char text[VMDK_DESC_MAX], lines[VMDK_DESC_MAX - 4096];
    uint32_t cid;
    int r = 0;
    if (getrandom(&cid, sizeof(cid), 0) != sizeof(cid))
        return -EIO;
    if (single)
        snprintf(lines, sizeof(lines), "RW %llu SPARSE \"%s\"\n", (unsigned long long)(c->size / IMG_SECTOR),
                 slash ? slash + 1 : c->file_name ? c->file_name : "");
    else if (!c->part)
        return -ENOTSUP;
    else
        r = parts_make(c, strstr(type, "Flat") != NULL, !strncmp(type, "two", 3), lines, sizeof(lines), io);
    if (r == 0)
        r = vmdk_desc_print(text, sizeof(text), c, cid, type, lines);
    if (r < 0)
        return r;
    return single ? vmdk_sparse_create(file, c, c->size, packed, text, io) : img_file_write(file, text, strlen(text), 0, io);
}
