/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-scsi adapter's requests and what its files share. Reference: virtio 1.2 section 5.6.
 */
#ifndef BULKHEAD_DEVICE_PROCS_SCSI_SCSI_H
#define BULKHEAD_DEVICE_PROCS_SCSI_SCSI_H

#include "device-procs/runtime/regdev.h"
#include "device-procs/storage/scsi.h"
#include "vhost-user/vu-backend.h"

#define VSCSI_QUEUES   3u
#define VSCSI_CONTROL  0u
#define VSCSI_EVENT    1u
#define VSCSI_REQUEST  2u
#define VSCSI_REQS     60u /* fewer than a link's tags */
#define VSCSI_SENSE    96u
#define VSCSI_RANGES   64u

struct vscsi_header { /* 5.6.6.1 */
    uint8_t lun[8];
    uint64_t id;
    uint8_t task_attr, prio, crn, cdb[32];
} __attribute__((packed));
struct vscsi_response {
    uint32_t sense_len, residual;
    uint16_t status_qualifier;
    uint8_t status, response, sense[VSCSI_SENSE];
} __attribute__((packed));
struct vscsi_config {
    uint32_t num_queues, seg_max, max_sectors, cmd_per_lun, event_info_size, sense_size, cdb_size;
    uint16_t max_channel, max_target;
    uint32_t max_lun;
} __attribute__((packed));
_Static_assert(sizeof(struct vscsi_header) == 51 && sizeof(struct vscsi_response) == 108 &&
               sizeof(struct vscsi_config) == 36, "wire");

#define VSCSI_S_OK         0u
#define VSCSI_S_OVERRUN    1u
#define VSCSI_S_BAD_TARGET 3u
#define VSCSI_S_FAILURE    9u

struct vscsi_range {
    uint64_t lba;
    uint32_t n;
};
struct vscsi_req {
    struct vscsi_req *next; /* in the free list */
    bool out, flushing;
    uint8_t unit;
    struct scsi_op op;
    uint32_t moved;         /* bytes */
    unsigned n_range, at;   /* of an UNMAP */
    struct vscsi_range range[VSCSI_RANGES];
    struct vq *vq;
    struct vq_elem elem;
};
struct vscsi_state {
    struct regdev_head head;
    struct scsi_lun lun[ABI_DEV_UNITS];
};
struct vscsi {
    struct regdev *dev;
    struct vu_backend *be;
    struct vu_device_ops ops;
    struct vscsi_req *free;
    struct vscsi_req req[VSCSI_REQS];
    unsigned outstanding;
    bool answered;
};
extern struct vscsi_state vscsi_state;
extern struct vscsi vscsi;

/* command.c: a request that was taken. It ends with vscsi_finish, now or later. */
void vscsi_command(struct vscsi_req *r);
void vscsi_disk_done(struct vscsi_req *r, bool ok);
/* queue.c */
void vscsi_finish(struct vscsi_req *r, uint8_t response, uint8_t status);
void vscsi_queues_run(void);
int vscsi_backend_init(struct regdev *d, int sock);

#endif
