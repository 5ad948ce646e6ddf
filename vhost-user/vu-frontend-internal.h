/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of the front end, shared by its two files.
 */
#ifndef BULKHEAD_VHOST_USER_VU_FRONTEND_INTERNAL_H
#define BULKHEAD_VHOST_USER_VU_FRONTEND_INTERNAL_H

#include "vhost-user/vu-frontend.h"
#include "vhost-user/vu-msg.h"

/* Front-end addresses in messages are gpa + this: no address of this process is given away, and
 * none is 0, which some back ends take for "unset". */
#define VU_FE_UVA_BASE 0x100000000000ull

/* Sends a message that has no reply of its own and does not wait. 0 or -errno. */
int vu_fe_send(struct vu_frontend *fe, struct vu_msg *m);
/* The same, and waits for the acknowledgement where REPLY_ACK was negotiated. */
int vu_fe_send_acked(struct vu_frontend *fe, struct vu_msg *m);
/* Sends a request and receives its reply into *m; descriptors of the reply are the caller's. */
int vu_fe_call(struct vu_frontend *fe, struct vu_msg *m);
int vu_fe_get_u64(struct vu_frontend *fe, uint32_t request, uint64_t *value);
int vu_fe_set_u64(struct vu_frontend *fe, uint32_t request, uint64_t value);

#endif
