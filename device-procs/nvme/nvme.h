/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NVMe controller's state and what its files share. References: NVM Express 1.4.
 */
#ifndef BULKHEAD_DEVICE_PROCS_NVME_NVME_H
#define BULKHEAD_DEVICE_PROCS_NVME_NVME_H

#include "device-procs/runtime/regdev.h"

#define NVME_QUEUES   9u    /* admin and eight for I/O */
#define NVME_ENTRIES  1024u
#define NVME_COMMANDS 56u   /* taken from queues and not completed */
#define NVME_POSTS    72u   /* completions of one step */
#define NVME_PAGE     4096u
#define NVME_MDTS     7u    /* 2^7 pages */
#define NVME_AERS     4u

/* Status: type << 8 | code (4.6.1). */
#define NVME_OK             0x000u
#define NVME_INVALID_OPCODE 0x001u
#define NVME_INVALID_FIELD  0x002u
#define NVME_DATA_ERROR     0x004u
#define NVME_ABORTED_SQ     0x008u
#define NVME_INVALID_NS     0x00bu
#define NVME_LBA_RANGE      0x080u
#define NVME_CQ_INVALID     0x100u
#define NVME_QID_INVALID    0x101u
#define NVME_QSIZE_INVALID  0x102u
#define NVME_AER_LIMIT      0x105u
#define NVME_VECTOR_INVALID 0x108u
#define NVME_Q_DELETION     0x10cu
#define NVME_WRITE_FAULT    0x280u
#define NVME_READ_ERROR     0x281u
#define NVME_DNR            0x4000u

struct nvme_sqe {
    uint8_t opcode, flags;
    uint16_t cid;
    uint32_t nsid;
    uint64_t reserved, metadata, prp1, prp2;
    uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};
struct nvme_cqe {
    uint32_t result, reserved;
    uint16_t sq_head, sqid, cid, status; /* status: bit 0 = phase */
};
_Static_assert(sizeof(struct nvme_sqe) == 64 && sizeof(struct nvme_cqe) == 16, "NVMe 4.2, 4.6");

struct nvme_sq {
    uint64_t base;
    uint16_t size, head, tail, cqid;
    uint8_t used, pad[7];
};
struct nvme_cq {
    uint64_t base;
    uint16_t size, head, tail, iv;
    uint8_t used, ien, phase, pad[5];
};
enum nvme_stage { NVME_FREE, NVME_OUT, NVME_FLUSHING, NVME_DONE, NVME_HELD, NVME_STAGES };
struct nvme_cmd {
    uint8_t stage, opcode, unit, fua;
    uint16_t sqid, cid, status, ranges, at; /* at: the range of a DSM that is out */
    uint16_t pad;
    uint32_t result, nsect;
    uint64_t lba, prp1, prp2;
};
struct nvme_post { /* a completion entry to be written */
    uint64_t gpa;
    struct nvme_cqe e;
};
struct nvme_state {
    struct regdev_head head;
    uint32_t cc, csts, aqa, mask;
    uint64_t asq, acq;
    uint32_t features[16];
    uint32_t draining, n_post;
    struct nvme_sq sq[NVME_QUEUES];
    struct nvme_cq cq[NVME_QUEUES];
    struct nvme_cmd cmd[NVME_COMMANDS];
    struct nvme_post post[NVME_POSTS];
};
extern struct nvme_state nvme;

/* registers.c */
uint64_t nvme_read(struct regdev *d, unsigned region, uint32_t off, unsigned size);
void nvme_write(struct regdev *d, unsigned region, uint32_t off, unsigned size, uint64_t value);
void nvme_drained(struct regdev *d); /* nothing is out any more after CC.EN was cleared */
bool nvme_anything_out(void);
/* queue.c */
void nvme_queues_run(struct regdev *d); /* completes what is done, takes what is there */
void nvme_complete(struct regdev *d, struct nvme_cmd *c, uint16_t status, uint32_t result);
/* io.c */
void nvme_io(struct regdev *d, struct nvme_cmd *c, const struct nvme_sqe *e);
void nvme_io_again(struct regdev *d, struct nvme_cmd *c);
void nvme_io_done(struct regdev *d, struct nvme_cmd *c, bool ok);
/* Guest memory of a transfer: at most `want` bytes from byte `skip` on. false: not memory. */
bool nvme_prp(struct regdev *d, uint64_t prp1, uint64_t prp2, uint32_t want, struct dl_seg *seg, unsigned *n);
/* admin.c */
void nvme_admin(struct regdev *d, struct nvme_cmd *c, const struct nvme_sqe *e);

#endif
