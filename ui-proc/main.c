/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-ui: the process that will hold remote-display sessions. With `-display none` it keeps one
 * blank surface and serves nobody. Never opens a socket or a file.
 */
#include <errno.h>
#include <string.h>

#include "device-procs/runtime/devproc.h"
#include "ui-proc/surface.h"

#define BLANK_WIDTH  720
#define BLANK_HEIGHT 400

static struct surface screen;

static int ui_setup(struct devproc *p, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    int err;

    (void)p;
    (void)fds;
    if (!boot->ui || strcmp(boot->ui->display, "none")) {
        log_error("display '%s' is not available", boot->ui ? boot->ui->display : "");
        return -EINVAL;
    }
    if (nfds) {
        log_error("%u descriptors for a display that needs none", nfds);
        return -EINVAL;
    }
    err = surface_init(&screen, BLANK_WIDTH, BLANK_HEIGHT);
    if (!err) {
        surface_fill(&screen, 0, 0, BLANK_WIDTH, BLANK_HEIGHT, 0);
    }
    return err;
}

static void ui_shutdown(struct devproc *p)
{
    (void)p;
    surface_fini(&screen);
}

int main(int argc, char **argv)
{
    static const struct devproc_ops ops = {
        .program = "bulkhead-ui",
        .role = "ui",
        .sbx = SBX_UI,
        .setup = ui_setup,
        .shutdown = ui_shutdown,
    };

    return devproc_main(argc, argv, &ops, NULL);
}
