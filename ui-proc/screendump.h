/* SPDX-License-Identifier: Apache-2.0 */
/* The screen as a picture file. Writes into a descriptor it is given; never opens a file. */
#ifndef BULKHEAD_UI_PROC_SCREENDUMP_H
#define BULKHEAD_UI_PROC_SCREENDUMP_H

#include "ui-proc/render/render.h"

/* PPM (P6) or PNG. 0 or -errno. The descriptor stays the caller's. */
int screendump_write(const struct display *d, int fd, bool png);

#endif
