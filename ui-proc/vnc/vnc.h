/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RFB server (RFC 6143 and its extensions). Serves the screen on listening sockets it was given; never
 * opens one. Its clients are hostile: bounded memory for each, and none can make it wait.
 */
#ifndef BULKHEAD_UI_PROC_VNC_H
#define BULKHEAD_UI_PROC_VNC_H

#include "ipc/loop.h"
#include "ui-proc/input.h"
#include "ui-proc/screen.h"

#define VNC_CLIENTS_MAX  16u
#define VNC_PASSWORD_MAX 8u

enum vnc_share { VNC_SHARE_ALLOW_EXCLUSIVE, VNC_SHARE_FORCE_SHARED, VNC_SHARE_IGNORE };
struct vnc_config {
    char name[64]; /* of the desktop */
    bool password; /* clients must know it; while none is set, all are refused */
    bool lossy;    /* JPEG for clients that ask for a quality */
    enum vnc_share share;
};

struct vnc;
/* NULL: no memory. screen, input and loop stay the caller's. */
struct vnc *vnc_create(const struct vnc_config *cfg, struct ipc_loop *loop, struct screen *s, struct input *in);
int vnc_listen(struct vnc *v, int fd); /* takes a listening socket; 0 or -errno */
/* expires: CLOCK_REALTIME seconds, 0 = never. An empty password refuses everybody. */
void vnc_password_set(struct vnc *v, const char *password, int64_t expires);
/* One client that is connected already (tests, add_client). */
int vnc_client_add(struct vnc *v, int fd);
/* For `info vnc`: one line for each client. Bytes written. */
unsigned vnc_describe(const struct vnc *v, char *out, unsigned room);

#endif
