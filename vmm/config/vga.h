/* SPDX-License-Identifier: Apache-2.0 */
/* Properties of -device VGA (setters for the table in device.c) and the card's resolution. */
#ifndef BULKHEAD_VMM_CONFIG_VGA_H
#define BULKHEAD_VMM_CONFIG_VGA_H

#include "vmm/config/optlist.h"

int vga_key_memory(struct parse *c, void *obj, const char *key, const char *val);
int vga_key_side(struct parse *c, void *obj, const char *key, const char *val);
int vga_key_rom(struct parse *c, void *obj, const char *key, const char *val);
int vga_key_edid(struct parse *c, void *obj, const char *key, const char *val);
int vga_resolve(struct parse *c); /* 0 or -1 */

#endif
