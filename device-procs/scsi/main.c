/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-scsi: ties the virtio-scsi adapter to its two skeletons, the back end of the guest's queues and the driver of the
 * drives' links. Must never open anything.
 */
#include <errno.h>
#include "device-procs/scsi/scsi.h"

struct vscsi_state vscsi_state;
struct vscsi vscsi;

static void power_on(struct regdev *d)
{
    for (unsigned i = 0; i < ABI_DEV_UNITS; i++) {
        scsi_lun_reset(&vscsi_state.lun[i]);
        scsi_media_look(&d->unit[i], &vscsi_state.lun[i]);
    }
}

static bool state_ok(struct regdev *d)
{
    (void)d;
    return true; /* no field is an index */
}

static void resume(struct regdev *d)
{
    (void)d;
    vscsi_queues_run();
}

static uint64_t no_read(struct regdev *d, unsigned region, uint32_t off, unsigned size)
{
    (void)d;
    (void)region;
    (void)off;
    (void)size;
    return ~0ull;
}

static void no_write(struct regdev *d, unsigned region, uint32_t off, unsigned size, uint64_t value)
{
    (void)value;
    (void)no_read(d, region, off, size);
}

static void disk_done(struct regdev *d, unsigned unit, uint32_t cookie, bool ok)
{
    (void)d;
    if (cookie >= VSCSI_REQS || !vscsi.req[cookie].out || vscsi.req[cookie].unit != unit)
        return;
    vscsi.answered = false;
    vscsi_disk_done(&vscsi.req[cookie], ok);
    vscsi_queues_run();
}

static void units_changed(struct regdev *d)
{
    for (unsigned i = 0; i < ABI_DEV_UNITS; i++)
        scsi_media_look(&d->unit[i], &vscsi_state.lun[i]);
}

static unsigned lines(struct regdev *d)
{
    (void)d;
    return 0;
}

static int setup(struct regdev *d, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    int sock = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_VHOST_USER, 0), r;

    if (sock < 0)
        return -EINVAL;
    r = vscsi_backend_init(d, sock);
    if (!r)
        vu_backend_set_codepage(vscsi.be, d->ram.cp, d->ram.cp_pages);
    return r;
}

int main(int argc, char **argv)
{
    static struct regdev_ops ops = {
        .proc = {.program = "bulkhead-scsi", .role = "scsi", .sbx = SBX_SCSI},
        .kind = 0x49534353, .version = 1,
        .state = &vscsi_state, .state_size = sizeof(vscsi_state),
        .power_on = power_on, .state_ok = state_ok, .resume = resume, .setup = setup,
        .read = no_read, .write = no_write, .disk_done = disk_done,
        .units_changed = units_changed, .lines = lines,
    };

    return regdev_main(argc, argv, &ops);
}
