/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-blk requests (virtio 1.2 section 5.2.6). The header and segment lists are copied once and
 * checked; payload stays in guest memory because no decision depends on it.
 */
#include "block-proc/request.h"

#include <errno.h>
#include <string.h>

const char *blk_req_name(const struct blk_req *req)
{
    switch (req->type) {
    case VBLK_IN:
        return "read";
    case VBLK_OUT:
        return "write";
    case VBLK_FLUSH:
        return "flush";
    case VBLK_DISCARD:
        return "discard";
    case VBLK_WRITE_ZEROES:
        return "write-zeroes";
    default:
        return "other";
    }
}

/* The last writable byte is the status; what is before it is data. */
static void cut_status(struct blk_req *req)
{
    struct vq_elem *e = &req->elem;
    struct iovec *last = &e->iov[e->n_out + e->n_in - 1];
    last->iov_len--;
    req->status = (uint8_t *)last->iov_base + last->iov_len;
}

void blk_req_restore(struct blk_req *req)
{
    struct vq_elem *e = &req->elem;
    e->iov[e->n_out + e->n_in - 1].iov_len++;
}

static void data_in(struct blk_req *req)
{
    struct vq_elem *e = &req->elem;
    req->data = &e->iov[e->n_out];
    req->ndata = e->n_in;
    if (req->data[req->ndata - 1].iov_len == 0)
        req->ndata--;
    req->len = e->in_len - 1;
}

static void data_out(struct blk_req *req)
{
    struct vq_elem *e = &req->elem;
    size_t skip = sizeof(struct vblk_header);
    unsigned i = 0;
    while (i < e->n_out && skip >= e->iov[i].iov_len)
        skip -= e->iov[i++].iov_len;
    req->data = &e->iov[i];
    req->ndata = e->n_out - i;
    req->len = e->out_len - sizeof(struct vblk_header);
    if (req->ndata) {
        req->data[0].iov_base = (uint8_t *)req->data[0].iov_base + skip;
        req->data[0].iov_len -= skip;
    }
}

static bool range_ok(const struct img *img, uint64_t sector, uint64_t bytes)
{
    uint64_t sectors = img->size / VBLK_SECTOR;
    return bytes % VBLK_SECTOR == 0 && sector <= sectors && bytes / VBLK_SECTOR <= sectors - sector;
}

static uint8_t parse_transfer(struct blk_req *req, const struct img *img)
{
    if (req->type == VBLK_IN)
        data_in(req);
    else
        data_out(req);
    if (!range_ok(img, req->sector, req->len))
        return VBLK_S_IOERR;
    return req->type == VBLK_OUT && img->opt.readonly ? VBLK_S_IOERR : VBLK_S_OK;
}

/* Section 5.2.6.2: unknown flags are unsupported, a discard has none at all. */
static uint8_t segment_check(const struct blk_req *req, const struct img *img,
                             const struct vblk_segment *s)
{
    uint32_t known = req->type == VBLK_WRITE_ZEROES ? VBLK_F_UNMAP : 0;
    if (s->flags & ~known)
        return VBLK_S_UNSUPP;
    if (s->num_sectors > BLK_SEGMENT_SECTORS ||
        !range_ok(img, s->sector, (uint64_t)s->num_sectors * VBLK_SECTOR))
        return VBLK_S_IOERR;
    return VBLK_S_OK;
}

static uint8_t parse_segments(struct blk_req *req, const struct img *img)
{
    uint8_t status = VBLK_S_OK;
    data_out(req);
    req->nseg = (unsigned)(req->len / sizeof(req->seg[0]));
    if (img->opt.readonly || req->len == 0 || req->len % sizeof(req->seg[0]) ||
        req->len > sizeof(req->seg))
        return VBLK_S_IOERR;
    iov_to_buf(req->data, req->ndata, 0, req->seg, req->len);
    for (unsigned i = 0; i < req->nseg && status == VBLK_S_OK; i++)
        status = segment_check(req, img, &req->seg[i]);
    if (status == VBLK_S_OK)
        req->sector = req->seg[0].sector; /* for messages */
    return status;
}

static uint8_t answer_id(struct blk_req *req, const char *serial)
{
    char id[VBLK_ID_BYTES];
    size_t len = strnlen(serial, sizeof(id));
    memset(id, 0, sizeof(id));
    memcpy(id, serial, len);
    data_in(req);
    buf_to_iov(req->data, req->ndata, 0, id, sizeof(id));
    return VBLK_S_OK;
}

int blk_req_parse(struct blk_req *req, const struct img *img, const char *serial, uint8_t *status)
{
    struct vq_elem *e = &req->elem;
    struct vblk_header h;
    if (e->out_len < sizeof(h) || e->n_in == 0)
        return -EBADMSG;
    iov_to_buf(e->iov, e->n_out, 0, &h, sizeof(h));
    cut_status(req);
    req->type = h.type;
    req->sector = h.sector;
    req->len = 0;
    req->nseg = req->ndata = 0;
    req->err = 0;
    switch (h.type) {
    case VBLK_IN:
    case VBLK_OUT:
        *status = parse_transfer(req, img);
        break;
    case VBLK_FLUSH:
        *status = VBLK_S_OK;
        break;
    case VBLK_GET_ID:
        *status = answer_id(req, serial);
        break;
    case VBLK_DISCARD:
    case VBLK_WRITE_ZEROES:
        *status = parse_segments(req, img);
        break;
    default:
        *status = VBLK_S_UNSUPP;
    }
    return 0;
}

static int run_segments(struct blk_req *req, struct img *img, struct img_io *io)
{
    int r = 0;
    for (unsigned i = 0; i < req->nseg && r == 0; i++) {
        const struct vblk_segment *s = &req->seg[i];
        uint64_t off = s->sector * VBLK_SECTOR, len = (uint64_t)s->num_sectors * VBLK_SECTOR;
        if (len == 0)
            continue;
        if (req->type == VBLK_WRITE_ZEROES)
            r = img_zero(img, off, len, req->discard && (s->flags & VBLK_F_UNMAP), io);
        else if (req->discard)
            r = img_discard(img, off, len, io);
    }
    return r;
}

/* Inside the kernel a request cannot be what kills this process. */
static void in_kernel(void *opaque, bool inside)
{
    struct blk_req *req = opaque;
    vq_suspect(req->vq, req->elem.head, !inside);
}

/* Guest memory may change meanwhile: what is written then is zeros or what it holds later, as with any race. */
static bool all_zero(const struct blk_req *req)
{
    for (unsigned i = 0; i < req->ndata; i++) {
        const uint8_t *p = req->data[i].iov_base;
        size_t n = req->data[i].iov_len;
        if (n && (*p || memcmp(p, p + 1, n - 1)))
            return false;
    }
    return req->len != 0;
}

void blk_req_run(struct blk_req *req, struct img *img, struct img_io *io)
{
    struct img_buf data = {req->data, req->ndata, 0, req->len};
    uint64_t off = req->sector * VBLK_SECTOR;
    io->kernel = in_kernel;
    io->opaque = req;
    vq_suspect(req->vq, req->elem.head, true);
    switch (req->type) {
    case VBLK_IN:
        req->err = img_readv(img, &data, off, io);
        if (req->err == 0 && req->copy_on_read) /* the guest has its data; a copy that fails is tried again next time */
            (void)img_copy_up(img, off, req->len, io);
        break;
    case VBLK_OUT:
        req->err = req->detect && all_zero(req) ? img_zero(img, off, req->len, req->detect_unmap && req->discard, io)
                                                : img_writev(img, &data, off, io);
        break;
    case VBLK_DISCARD:
    case VBLK_WRITE_ZEROES:
        req->err = run_segments(req, img, io);
        break;
    }
    if (req->err == 0 && req->sync)
        req->err = img_flush(img, io);
    vq_suspect(req->vq, req->elem.head, false);
}
