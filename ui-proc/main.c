/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-ui: looks at the screen for the outside world. Maps display memory read-only, writes screen
 * dumps into descriptors it is given. Never opens a socket or a file.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "device-procs/runtime/devproc.h"
#include "ipc/fds.h"
#include "ui-proc/screendump.h"

#define SEND_WAIT_MS 1000

static struct display screen;

static int ui_setup(struct devproc *p, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    int fd = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_DISPLAY, 0);

    (void)p;
    if (!boot->ui || strcmp(boot->ui->display, "none")) {
        log_error("display '%s' is not available", boot->ui ? boot->ui->display : "");
        return -EINVAL;
    }
    if (nfds != (fd >= 0)) {
        log_error("%u descriptors for a display that needs none", nfds);
        return -EINVAL;
    }
    return fd < 0 ? 0 : display_map(&screen, fd);
}

static int dump(struct devproc *p, const Ctl__Screendump *m, int fd)
{
    Ctl__ScreendumpDone done = CTL__SCREENDUMP_DONE__INIT;
    int err = screendump_write(&screen, fd, m->png);

    close(fd);
    done.seq = m->seq;
    done.error = (uint32_t)-err;
    return ctl_send(&p->ctl, CTL_SCREENDUMP_DONE, &done, NULL, 0, SEND_WAIT_MS);
}

static int ui_message(struct devproc *p, enum ctl_msg type, ProtobufCMessage *msg, int *fds,
                      unsigned nfds)
{
    if (type != CTL_SCREENDUMP || nfds != 1) {
        ipc_fds_close(fds, nfds);
        return -EPROTO;
    }
    return dump(p, (const Ctl__Screendump *)msg, fds[0]);
}

int main(int argc, char **argv)
{
    static const struct devproc_ops ops = {
        .program = "bulkhead-ui",
        .role = "ui",
        .sbx = SBX_UI,
        .setup = ui_setup,
        .message_fds = ui_message,
    };

    return devproc_main(argc, argv, &ops, NULL);
}
