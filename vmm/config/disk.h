/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What -drive, -blockdev and -device share about disks. Internal to vmm/config.
 */
#ifndef BULKHEAD_VMM_CONFIG_DISK_H
#define BULKHEAD_VMM_CONFIG_DISK_H

#include "vmm/config/parse.h"

/* Copies a path; a protocol prefix other than "file:" is refused. */
int disk_path(struct parse *c, const char *key, const char *val, char *dst, size_t size);
/* format=: refuses what is not built. */
int disk_format(struct parse *c, const char *val, char format[16]);
int disk_discard(struct parse *c, const char *val, bool *out);
int disk_zeroes(struct parse *c, const char *key, const char *val, char out[8]);
/* QEMU's rules for rate limits: 0, or -1 with what is wrong. */
int disk_throttle_check(const uint64_t v[PLAN_THROTTLE], const char **why);
int disk_serial(struct parse *c, const char *key, const char *val, char serial[24]);
/* The disk a -device names by drive=, which becomes used: its index, -1 = reported. */
int disk_take(struct parse *c, const struct pend_device *dev);
/* Index of the disk of this id, or -1. */
int disk_find(const struct parse *c, const char *id);
/* Makes a disk of a -blockdev node. Its index, -2 when there is no such node, -1 when reported. */
int blockdev_take(struct parse *c, const char *node);

/* The chip of -drive if=pflash (firmware-options.c); index -1 = the next one. */
int flash_add(struct parse *c, int index, const struct plan_disk *d);
/* The expansion ROM of -device ...,romfile=: an index into plan.rom[], unchanged without one. */
int device_rom(struct parse *c, const struct pend_device *dev, int *rom);
/* The disk behind a drive of a controller becomes used. 0 or -1 (reported). controller.c */
int controller_unit_take(struct parse *c, struct pend_device *dev);

#endif
