/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generic vhost-user front end: drives any back end through the start, stop and reconnect sequences of
 * the specification. Every wait has a deadline; any failure means "this back end is dead" and is
 * reported to the caller, who owns restarting. Knows no PCI and no device type.
 */
#ifndef BULKHEAD_VHOST_USER_VU_FRONTEND_H
#define BULKHEAD_VHOST_USER_VU_FRONTEND_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

#define VU_FE_QUEUES_MAX 8
#define VU_FE_REGIONS    4

struct vu_fe_region { /* guest memory, set once by the vmm */
    uint64_t gpa, size, offset;
    int fd;
};
struct vu_fe_queue {
    bool enabled;
    uint16_t size;
    uint64_t desc_gpa, avail_gpa, used_gpa;
    int kick_fd, call_fd; /* owned by the caller, live across back ends */
    int err_fd;           /* optional (-1): eventfd the back end writes when it breaks the queue: the
                             guest is then to be told DEVICE_NEEDS_RESET */
    uint16_t base;        /* last known avail position (from GET_VRING_BASE) */
};
struct vu_frontend {
    int fd;                     /* -1: no back end */
    uint64_t be_features;       /* offered by the back end, without bit 30 */
    uint64_t be_proto;
    uint64_t acked;             /* virtio features accepted by the driver */
    bool started;
    unsigned nqueues;           /* queues this device has */
    unsigned max_queues;        /* what the back end says */
    struct vu_fe_queue q[VU_FE_QUEUES_MAX];
    unsigned nregions;
    struct vu_fe_region region[VU_FE_REGIONS];
    int inflight_fd;            /* kept across back ends, dropped at device reset */
    uint64_t inflight_size, inflight_off;
    int timeout_ms;             /* per reply */
    char name[32];              /* for messages */
    /* A configuration change that arrived while another reply was waited for; the channel will not be
     * readable for it. Look after any call, or call vu_frontend_request_serve, which clears it. */
    bool config_pending;

    /* Private. */
    int req_fd;
    bool known;   /* a back end was connected before: be_features is what the guest was offered */
    bool recover; /* the last back end did not tell where its rings stopped */
    void *(*gpa_to_hva)(void *opaque, uint64_t gpa, uint64_t len);
    void *mem_opaque;
};

void vu_frontend_init(struct vu_frontend *fe, const char *name, unsigned nqueues);
/* Connection handshake on a connected stream socket (taken over): GET_FEATURES, protocol features,
 * SET_OWNER, queue number. First time: be_features is the device's offer. Later: refuses (-ENOTSUP)
 * a back end that lacks anything acked. 0 or -errno. */
int vu_frontend_connect(struct vu_frontend *fe, int fd);
/* DRIVER_OK, or again after a reconnect while `started`: SET_FEATURES, memory, inflight, per queue
 * NUM BASE ADDR KICK CALL, ENABLE; after a reconnect each ring is kicked and called once.
 * Restart base: the inflight journal decides where there is one, else used index (in-order devices). */
int vu_frontend_start(struct vu_frontend *fe);
/* Stops all rings (GET_VRING_BASE). drop_inflight: device reset. -errno if the back end did not answer:
 * the caller kills it. */
int vu_frontend_stop(struct vu_frontend *fe, bool drop_inflight);
/* Another back end of the same kind, on the connected socket fd (taken over), goes on where this one stands: asked
 * first whether it can do all that was accepted (-ENOTSUP: nothing has changed), then the rings are stopped, and
 * started there. If it cannot start, the old one is started again. 0 or -errno; the old connection is closed only
 * on success. */
int vu_frontend_replace(struct vu_frontend *fe, int fd);
void vu_frontend_disconnect(struct vu_frontend *fe); /* closes fd, keeps queue state for the successor */
int vu_frontend_config_read(struct vu_frontend *fe, uint32_t off, void *buf, uint32_t len);
int vu_frontend_config_write(struct vu_frontend *fe, uint32_t off, const void *buf, uint32_t len);
/* Descriptor of the BACKEND_REQ channel for the caller's loop (-1 none); call _serve when readable.
 * Sets *config_changed. -errno: drop the back end. */
int vu_frontend_request_fd(const struct vu_frontend *fe);
int vu_frontend_request_serve(struct vu_frontend *fe, bool *config_changed);
/* How the vmm maps guest memory, to read used indexes at restart. */
void vu_frontend_set_memory(struct vu_frontend *fe, const struct vu_fe_region *r, unsigned n,
                            void *(*gpa_to_hva)(void *opaque, uint64_t gpa, uint64_t len),
                            void *opaque);

#endif
