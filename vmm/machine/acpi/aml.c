/* SPDX-License-Identifier: Apache-2.0 */
/* AML terms and blocks (ACPI 6.4 chapter 20). Must never write past the caller's buffer. */
#include "vmm/machine/acpi/aml.h"

#include <string.h>

enum {
    OP_ZERO = 0x00,
    OP_ONE = 0x01,
    OP_NAME = 0x08,
    OP_BYTE = 0x0a,
    OP_WORD = 0x0b,
    OP_DWORD = 0x0c,
    OP_STRING = 0x0d,
    OP_QWORD = 0x0e,
    OP_SCOPE = 0x10,
    OP_PACKAGE = 0x12,
    OP_METHOD = 0x14,
    OP_DUAL_NAME = 0x2e,
    OP_MULTI_NAME = 0x2f,
    OP_EXT = 0x5b,
    OP_ARG0 = 0x68,
    OP_STORE = 0x70,
    OP_DEVICE = 0x82, /* after OP_EXT */
};

void aml_init(struct aml *a, uint8_t *buf, size_t cap)
{
    *a = (struct aml){buf, cap, 0, false};
}

void aml_bytes(struct aml *a, const void *p, size_t n)
{
    if (n > a->cap - a->len) {
        a->overflow = true;
        return;
    }
    memcpy(a->buf + a->len, p, n);
    a->len += n;
}

void aml_byte(struct aml *a, uint8_t v)
{
    aml_bytes(a, &v, 1);
}

void aml_word(struct aml *a, uint16_t v)
{
    aml_bytes(a, &v, 2);
}

void aml_dword(struct aml *a, uint32_t v)
{
    aml_bytes(a, &v, 4);
}

void aml_int(struct aml *a, uint64_t v)
{
    static const struct {
        uint64_t max;
        uint8_t op, bytes;
    } form[] = {{0xff, OP_BYTE, 1},
                {0xffff, OP_WORD, 2},
                {0xffffffff, OP_DWORD, 4},
                {UINT64_MAX, OP_QWORD, 8}};
    unsigned i = 0;

    if (v <= 1) {
        aml_byte(a, v ? OP_ONE : OP_ZERO);
        return;
    }
    while (v > form[i].max)
        i++;
    aml_byte(a, form[i].op);
    aml_bytes(a, &v, form[i].bytes);
}

void aml_string(struct aml *a, const char *s)
{
    aml_byte(a, OP_STRING);
    aml_bytes(a, s, strlen(s) + 1);
}

static unsigned hex(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'A') + 10;
}

/* Three compressed letters and four digits, high byte first (section 19.3.4). */
void aml_eisaid(struct aml *a, const char *id)
{
    unsigned v =
        (unsigned)(id[0] - '@') << 10 | (unsigned)(id[1] - '@') << 5 | (unsigned)(id[2] - '@');

    aml_byte(a, OP_DWORD);
    aml_byte(a, (uint8_t)(v >> 8));
    aml_byte(a, (uint8_t)v);
    aml_byte(a, (uint8_t)(hex(id[3]) << 4 | hex(id[4])));
    aml_byte(a, (uint8_t)(hex(id[5]) << 4 | hex(id[6])));
}

void aml_path(struct aml *a, const char *path)
{
    unsigned segs = 1;

    if (*path == '\\')
        aml_byte(a, (uint8_t)*path++);
    if (!*path) {
        aml_byte(a, 0); /* NullName: the root itself */
        return;
    }
    for (const char *p = path; *p; p++)
        segs += *p == '.';
    if (segs == 2)
        aml_byte(a, OP_DUAL_NAME);
    if (segs > 2) {
        aml_byte(a, OP_MULTI_NAME);
        aml_byte(a, (uint8_t)segs);
    }
    while (*path) {
        char seg[4] = {'_', '_', '_', '_'};

        for (unsigned i = 0; *path && *path != '.'; path++)
            if (i < 4)
                seg[i++] = *path;
        path += *path == '.';
        aml_bytes(a, seg, 4);
    }
}

void aml_name(struct aml *a, const char *name)
{
    aml_byte(a, OP_NAME);
    aml_path(a, name);
}

void aml_name_int(struct aml *a, const char *name, uint64_t v)
{
    aml_name(a, name);
    aml_int(a, v);
}

void aml_name_eisaid(struct aml *a, const char *name, const char *id)
{
    aml_name(a, name);
    aml_eisaid(a, id);
}

size_t aml_scope(struct aml *a, const char *path)
{
    size_t mark;

    aml_byte(a, OP_SCOPE);
    mark = a->len;
    aml_path(a, path);
    return mark;
}

size_t aml_device(struct aml *a, const char *name)
{
    size_t mark;

    aml_byte(a, OP_EXT);
    aml_byte(a, OP_DEVICE);
    mark = a->len;
    aml_path(a, name);
    return mark;
}

size_t aml_method(struct aml *a, const char *name, unsigned args)
{
    size_t mark;

    aml_byte(a, OP_METHOD);
    mark = a->len;
    aml_path(a, name);
    aml_byte(a, (uint8_t)args);
    return mark;
}

size_t aml_package(struct aml *a, unsigned elements)
{
    size_t mark;

    aml_byte(a, OP_PACKAGE);
    mark = a->len;
    aml_byte(a, (uint8_t)elements);
    return mark;
}

void aml_store_arg0(struct aml *a, const char *target)
{
    aml_byte(a, OP_STORE);
    aml_byte(a, OP_ARG0);
    aml_path(a, target);
}

/* PkgLength (section 20.2.4) counts itself; it goes in at the mark, so the body moves up. */
void aml_end(struct aml *a, size_t mark)
{
    size_t body = a->len - mark, n = body < 0x3f ? 1 : body + 2 <= 0xfff ? 2 : 3;
    size_t total = body + n;
    uint8_t enc[3] = {(uint8_t)total, (uint8_t)(total >> 4), (uint8_t)(total >> 12)};

    if (a->overflow || n > a->cap - a->len) {
        a->overflow = true;
        return;
    }
    if (n > 1)
        enc[0] = (uint8_t)((n - 1) << 6 | (total & 0xf));
    memmove(a->buf + mark + n, a->buf + mark, body);
    memcpy(a->buf + mark, enc, n);
    a->len += n;
}
