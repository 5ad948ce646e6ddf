/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What reading host ends and handing them to their users share. Internal to vmm/config.
 */
#ifndef BULKHEAD_VMM_CONFIG_CHARDEV_H
#define BULKHEAD_VMM_CONFIG_CHARDEV_H

#include "vmm/config/parse.h"

int chardev_find(const struct parse *c, const char *id); /* index, or -1 */
/* Makes the host end of a short form ("stdio", "file:path", ...). Its index, or -1 (reported). */
int chardev_make_short(struct parse *c, const char *spec, const char *label, bool mux);

#endif
