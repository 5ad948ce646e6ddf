/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device page: how the cpu-worker reaches the registers of a device that lives in a process of its
 * own. One memfd per such device, made by the vmm, mapped by the cpu-worker, the device process and
 * the vmm. Owns layouts only; every field is hostile to whoever did not write it.
 *
 * A register access is a request in the vCPU's slot, a doorbell, and a futex wait on `done`. The
 * request stays in the page when the device process dies: its successor finds req != done and
 * answers (docs/protocol/device-mailbox.md).
 */
#ifndef BULKHEAD_IPC_ABI_DEVICE_PAGE_H
#define BULKHEAD_IPC_ABI_DEVICE_PAGE_H

#include <stdint.h>

#define ABI_DEV_MAGIC    0x31564442u /* "BDV1" */
#define ABI_DEV_VERSION  1u
#define ABI_DEV_MAX      8  /* devices of this kind in one machine */
#define ABI_DEV_VCPUS    64 /* slots, = ABI_VCPU_MAX */
#define ABI_DEV_LINES    2  /* interrupt lines of one device */
#define ABI_DEV_UNITS    8  /* drives behind one controller */
#define ABI_DEV_WINDOWS  2
#define ABI_DEV_WINDOW   65536u /* bytes of one window's buffer */

/* ABI_MAP_DEVICE entries: slot = device, offset = region << 32 | offset of the entry's first byte in that
 * region. Regions are numbered by the device: 0 to 5 = its BARs, 8 and up = fixed ports. */
#define ABI_DEV_REGION_SHIFT 32

enum abi_dev_op {
    ABI_DEV_READ = 1,
    ABI_DEV_WRITE,
    ABI_DEV_WINDOW_DONE, /* addr = window: the guest has moved its last byte */
};
struct abi_dev_mbox { /* filled by the worker, answered by the device process */
    uint32_t req;  /* the worker increments it after filling the fields */
    uint32_t done; /* the device stores req here with the reply in value, then futex-wakes it */
    uint32_t op;
    uint32_t size; /* 1, 2, 4, 8 */
    uint64_t addr; /* region << 32 | offset */
    uint64_t value;
    uint8_t pad[32];
};

/* A data port served by the cpu-worker: bytes data[pos..len) of the window's buffer. The device fills it
 * and sets active; from then on pos is the worker's until it has moved all and says WINDOW_DONE. */
enum abi_dev_window_dir { ABI_DEV_WINDOW_OFF, ABI_DEV_WINDOW_IN, ABI_DEV_WINDOW_OUT };
struct abi_dev_window {
    uint32_t active;   /* enum abi_dev_window_dir, as the guest sees it */
    uint32_t pos, len; /* bytes */
    uint32_t pad0;
    uint64_t addr;     /* the port: region << 32 | offset */
    uint8_t pad[40];
};

#define ABI_DEV_UNIT_PRESENT  0x01u /* there is a drive */
#define ABI_DEV_UNIT_MEDIUM   0x02u /* with something in it */
#define ABI_DEV_UNIT_READONLY 0x04u
#define ABI_DEV_UNIT_CD       0x08u
#define ABI_DEV_UNIT_FAILED   0x10u /* its block process was given up */
struct abi_dev_unit { /* writer = vmm */
    uint32_t flags;
    uint32_t media_seq; /* changes with the medium */
    uint64_t sectors;   /* of 512 bytes */
};

struct abi_devpage {
    uint32_t magic, version, size;
    uint32_t vcpus;     /* slots in use; vmm */
    uint32_t given_up;  /* vmm: nobody will answer, accesses complete with all-ones */
    uint32_t timeouts;  /* worker increments: nobody answered in time; then rings the vmm */
    uint32_t reset_seq; /* vmm increments: the machine was reset */
    uint32_t reset_done;/* device: the last reset it has carried out (futex) */
    uint32_t command;   /* vmm: the PCI command register */
    uint32_t units_seq; /* vmm increments after changing unit[] */
    /* device: bit 0 = level, the rest counts changes, so that a short low is seen as an edge. */
    uint32_t line[ABI_DEV_LINES];
    uint8_t pad[16];
    struct abi_dev_unit unit[ABI_DEV_UNITS];
    struct abi_dev_mbox mbox[ABI_DEV_VCPUS] __attribute__((aligned(64)));
    struct abi_dev_window window[ABI_DEV_WINDOWS] __attribute__((aligned(64)));
    uint8_t data[ABI_DEV_WINDOWS][ABI_DEV_WINDOW] __attribute__((aligned(4096)));
};

_Static_assert(sizeof(struct abi_dev_mbox) == 64, "ABI");
_Static_assert(sizeof(struct abi_dev_window) == 64, "ABI");
_Static_assert(sizeof(struct abi_dev_unit) == 16, "ABI");
_Static_assert(sizeof(struct abi_devpage) % 4096 == 0, "ABI");

#endif
