/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads one descriptor chain of a split ring (virtio 1.2 section 2.7) into private memory. Each
 * descriptor is copied once and only the copy is believed. Must never follow more than VQ_CHAIN_MAX
 * descriptors, nor produce an iov entry that was not translated in full.
 */
#include "vhost-user/vq-internal.h"

#include <errno.h>
#include <string.h>

struct walk {
    struct vq *vq;
    struct vq_elem *e;
    unsigned descs, iovs;
};

static int chain_bad(struct walk *w, const char *why)
{
    vq_break(w->vq, why);
    return -EIO;
}

/* One buffer becomes one iov per memory region it touches. */
static int add_buffer(struct walk *w, const struct vring_desc_s *d)
{
    uint64_t gpa = d->addr, left = d->len, end;
    bool write = d->flags & VRING_DESC_WRITE;
    if (left == 0)
        return chain_bad(w, "descriptor of length 0");
    if (__builtin_add_overflow(gpa, left, &end))
        return chain_bad(w, "descriptor wraps around the address space");
    if (!write && w->e->n_in)
        return chain_bad(w, "readable descriptor after a writable one");
    while (left) {
        uint64_t avail, part;
        void *p = vu_mem_gpa(w->vq->mem, gpa, 0, &avail);
        if (!p)
            return chain_bad(w, "descriptor outside guest memory");
        if (w->iovs == VQ_CHAIN_MAX)
            return chain_bad(w, "chain too long");
        part = left < avail ? left : avail;
        w->e->iov[w->iovs].iov_base = p;
        w->e->iov[w->iovs++].iov_len = part;
        gpa += part;
        left -= part;
    }
    if (write) {
        w->e->n_in = (uint16_t)(w->iovs - w->e->n_out);
        w->e->in_len += d->len;
    } else {
        w->e->n_out = (uint16_t)w->iovs;
        w->e->out_len += d->len;
    }
    /* virtio 1.2 section 2.7.4.3: no chain is longer than 2^32 bytes in total. */
    return w->e->in_len + w->e->out_len > UINT32_MAX ? chain_bad(w, "chain above 4 GiB") : 0;
}

/* Copies a descriptor that may lie across two regions. */
static bool copy_desc(const struct vu_mem *mem, uint64_t gpa, struct vring_desc_s *d)
{
    uint8_t *out = (uint8_t *)d;
    for (size_t done = 0; done < sizeof(*d);) {
        uint64_t avail;
        const void *p = vu_mem_gpa(mem, gpa + done, 0, &avail);
        if (!p)
            return false;
        size_t part = sizeof(*d) - done < avail ? sizeof(*d) - done : (size_t)avail;
        memcpy(out + done, p, part);
        done += part;
    }
    __asm__ volatile("" ::: "memory");
    return true;
}

/* An indirect table: section 2.7.5.3. Its descriptors may neither be indirect themselves nor leave
 * the table. */
static int walk_indirect(struct walk *w, const struct vring_desc_s *t)
{
    unsigned entries = t->len / sizeof(struct vring_desc_s), i = 0;
    if (!w->vq->indirect)
        return chain_bad(w, "indirect descriptor without the feature");
    if (t->flags & VRING_DESC_NEXT)
        return chain_bad(w, "indirect descriptor with a next one");
    if (t->len == 0 || t->len % sizeof(struct vring_desc_s) || entries > VQ_CHAIN_MAX)
        return chain_bad(w, "indirect table of impossible length");
    if (t->addr + t->len < t->addr)
        return chain_bad(w, "indirect table wraps around the address space");
    for (;;) {
        struct vring_desc_s d;
        if (++w->descs > VQ_CHAIN_MAX)
            return chain_bad(w, "chain too long");
        if (!copy_desc(w->vq->mem, t->addr + (uint64_t)i * sizeof(d), &d))
            return chain_bad(w, "indirect table outside guest memory");
        if (d.flags & VRING_DESC_INDIRECT)
            return chain_bad(w, "nested indirect table");
        int r = add_buffer(w, &d);
        if (r < 0 || !(d.flags & VRING_DESC_NEXT))
            return r;
        if (d.next >= entries)
            return chain_bad(w, "indirect descriptor out of range");
        i = d.next;
    }
}

int vring_chain_read(struct vq *vq, uint16_t head, struct vq_elem *e)
{
    struct walk w = {.vq = vq, .e = e};
    unsigned i = head;
    e->head = head;
    e->n_out = e->n_in = 0;
    e->out_len = e->in_len = 0;
    for (;;) {
        struct vring_desc_s d;
        if (++w.descs > VQ_CHAIN_MAX)
            return chain_bad(&w, "chain too long or circular");
        memcpy(&d, &vq->desc[i], sizeof(d));
        __asm__ volatile("" ::: "memory"); /* the copy is believed, not the ring */
        if (d.flags & VRING_DESC_INDIRECT) {
            w.descs--; /* names a table, is no buffer */
            return walk_indirect(&w, &d);
        }
        int r = add_buffer(&w, &d);
        if (r < 0 || !(d.flags & VRING_DESC_NEXT))
            return r;
        if (d.next >= vq->num)
            return chain_bad(&w, "next descriptor out of range");
        i = d.next;
    }
}
