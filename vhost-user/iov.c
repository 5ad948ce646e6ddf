/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying between a flat buffer and a scattered one. Must never touch a byte outside the n entries.
 */
#include <string.h>
#include "vhost-user/vq.h"

static size_t iov_copy(const struct iovec *iov, unsigned n, size_t off, uint8_t *buf, size_t len,
                       int to_iov)
{
    size_t done = 0;
    for (unsigned i = 0; i < n && done < len; i++) {
        if (off >= iov[i].iov_len) {
            off -= iov[i].iov_len;
            continue;
        }
        size_t part = iov[i].iov_len - off;
        if (part > len - done)
            part = len - done;
        uint8_t *p = (uint8_t *)iov[i].iov_base + off;
        if (to_iov)
            memcpy(p, buf + done, part);
        else
            memcpy(buf + done, p, part);
        done += part;
        off = 0;
    }
    return done;
}

size_t iov_to_buf(const struct iovec *iov, unsigned n, size_t off, void *buf, size_t len)
{
    return iov_copy(iov, n, off, buf, len, 0);
}

size_t buf_to_iov(const struct iovec *iov, unsigned n, size_t off, const void *buf, size_t len)
{
    return iov_copy(iov, n, off, (uint8_t *)(uintptr_t)buf, len, 1);
}
