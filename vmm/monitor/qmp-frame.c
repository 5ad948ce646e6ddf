/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts a JSON monitor's byte stream into values: clients need no line ends between commands. Must
 * never hold more than one value of bounded size; after nonsense it goes on with the next line.
 */
#include "vmm/monitor/monitor.h"

void qmp_frame_reset(struct qmp_frame *f)
{
    f->len = 0;
    f->depth = 0;
    f->in_string = f->escaped = f->scalar = f->skip = false;
}

static enum qmp_frame_result bad(struct qmp_frame *f, uint8_t b)
{
    qmp_frame_reset(f);
    f->skip = b != '\n';
    return FRAME_BAD;
}

static bool is_space(uint8_t b)
{
    return b == ' ' || b == '\t' || b == '\r' || b == '\n';
}

static enum qmp_frame_result string_byte(struct qmp_frame *f, uint8_t b)
{
    if (b < 0x20) /* never inside a string: the client lost its quotes */
        return bad(f, b);
    if (f->escaped)
        f->escaped = false;
    else if (b == '\\')
        f->escaped = true;
    else if (b == '"')
        f->in_string = false;
    return !f->in_string && !f->depth && !f->scalar ? FRAME_VALUE : FRAME_MORE;
}

static enum qmp_frame_result plain_byte(struct qmp_frame *f, uint8_t b)
{
    switch (b) {
    case '"':
        f->in_string = true;
        return FRAME_MORE;
    case '{':
    case '[':
        f->depth++;
        return FRAME_MORE;
    case '}':
    case ']':
        if (f->depth && --f->depth)
            return FRAME_MORE;
        return FRAME_VALUE; /* with depth 0 before: one stray bracket, which the reader rejects */
    default:
        if (!f->depth)
            f->scalar = true;
        return FRAME_MORE;
    }
}

enum qmp_frame_result qmp_frame_byte(struct qmp_frame *f, uint8_t b)
{
    if (f->skip) {
        f->skip = b != '\n';
        return FRAME_MORE;
    }
    if (f->scalar && is_space(b)) {
        f->scalar = false;
        return FRAME_VALUE;
    }
    if (!f->len && is_space(b))
        return FRAME_MORE;
    if (f->len == sizeof(f->buf))
        return bad(f, b);
    f->buf[f->len++] = (char)b;
    if (f->in_string)
        return string_byte(f, b);
    return f->scalar ? FRAME_MORE : plain_byte(f, b);
}
