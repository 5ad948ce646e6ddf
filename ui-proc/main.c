/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-ui: shows the screen to the outside world. Maps display memory read-only, serves VNC clients on
 * sockets it was given, writes screen dumps into descriptors. Never opens a socket or a file.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "device-procs/runtime/devproc.h"
#include "ipc/fds.h"
#include "ui-proc/screendump.h"
#include "ui-proc/vnc/vnc.h"

#define SEND_WAIT_MS 1000
#define LISTEN_MAX   8u

static struct display display;
static struct screen screen;
static struct input input;
static struct vnc *vnc;

static void password_set(const Ctl__VncPassword *m)
{
    if (vnc) {
        vnc_password_set(vnc, m->text, m->expires);
    }
}

static int vnc_start(struct devproc *p, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    const Ctl__UiConfig *ui = boot->ui;
    struct vnc_config cfg = {.password = ui->vnc_password, .lossy = ui->vnc_lossy,
                             .share = (enum vnc_share)(ui->vnc_share % 3)};
    int err = screen_init(&screen, &display);

    screen.marks = display.shared && input.page; /* the worker can be asked for sweeps */

    snprintf(cfg.name, sizeof(cfg.name), "Bulkhead (%.40s)", boot->vm_name);
    vnc = err ? NULL : vnc_create(&cfg, &p->loop, &screen, &input);
    if (!vnc) {
        return -ENOMEM;
    }
    if (ui->password) {
        password_set(ui->password);
    }
    for (unsigned i = 0; i < LISTEN_MAX && !err; i++) {
        int fd = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_LISTEN, i);

        err = fd < 0 ? 0 : vnc_listen(vnc, fd);
    }
    return err;
}

static int ui_setup(struct devproc *p, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    int fd = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_DISPLAY, 0);
    int page = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_INPUT, 0);
    int bell = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_DOORBELL_WORKER, 0);
    int err = 0;

    if (!boot->ui || (strcmp(boot->ui->display, "none") && strcmp(boot->ui->display, "vnc"))) {
        log_error("display '%s' is not available", boot->ui ? boot->ui->display : "");
        return -EINVAL;
    }
    if (fd >= 0) {
        err = display_map(&display, fd);
    }
    if (!err && page >= 0 && bell >= 0) {
        err = input_map(&input, page, bell);
    }
    return err || strcmp(boot->ui->display, "vnc") ? err : vnc_start(p, boot, fds, nfds);
}

static int dump(struct devproc *p, const Ctl__Screendump *m, int fd)
{
    Ctl__ScreendumpDone done = CTL__SCREENDUMP_DONE__INIT;
    int err = screendump_write(&display, fd, m->png);

    close(fd);
    done.seq = m->seq;
    done.error = (uint32_t)-err;
    return ctl_send(&p->ctl, CTL_SCREENDUMP_DONE, &done, NULL, 0, SEND_WAIT_MS);
}

static int ui_message(struct devproc *p, enum ctl_msg type, ProtobufCMessage *msg, int *fds, unsigned nfds)
{
    if (type == CTL_SCREENDUMP && nfds == 1) {
        return dump(p, (const Ctl__Screendump *)msg, fds[0]);
    }
    ipc_fds_close(fds, nfds);
    if (type == CTL_VNC_PASSWORD && !nfds) {
        password_set((const Ctl__VncPassword *)msg);
        return 0;
    }
    return -EPROTO;
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
