/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-block: takes its image, socket and shared memory from BOOT, waits for the predecessor's I/O to
 * be over, and runs the device. Opens nothing itself.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "block-proc/chain.h"
#include "block-proc/inspect.h"
#include "block-proc/options.h"
#include "block-proc/virtio-blk.h"
#include "ipc/imagelock.h"

#define FENCE_QUIET_MS 1000
#define FENCE_TOTAL_MS 30000

static struct blk the_block; /* one per program */
static uint32_t crash_point, crash_skip;

/* crash_at: low byte = enum vq_crash_point, the rest = how often to let it pass first. A signal that
 * the first process of a pid namespace sends itself is ignored, a trap is not. */
static void crash_if_due(unsigned point)
{
    if (point != crash_point || crash_skip-- > 0)
        return;
    raise(SIGKILL);
    __builtin_trap();
}

static void crash_read(const Ctl__BlockConfig *c)
{
    if (!c->has_crash_at || !c->crash_at)
        return;
    crash_point = c->crash_at & 0xff;
    crash_skip = c->crash_at >> 8;
    vq_crash_hook = crash_if_due;
}

/* The successor's first I/O must come after the predecessor's last. A read-only image has nothing to
 * protect. */
static int fence(struct devproc *p, int fd, const char *name, bool readonly)
{
    if (readonly)
        return 0;
    int r = ipc_image_fence(fd, FENCE_QUIET_MS);
    if (r == -EAGAIN) {
        devproc_event(p, "FENCE_WAIT", "image=%s", name);
        r = ipc_image_fence(fd, FENCE_TOTAL_MS - FENCE_QUIET_MS);
    }
    if (r == -EAGAIN)
        log_error("%s: the predecessor's I/O did not end within %d s", name,
                  FENCE_TOTAL_MS / 1000);
    else if (r == -EOPNOTSUPP || r == -ENOLCK || r == -EINVAL)
        log_warn("%s: no locks on this file system: restarts are not fenced", name);
    else if (r < 0)
        log_error("%s: fence: %s", name, strerror(-r));
    return r == -EOPNOTSUPP || r == -ENOLCK || r == -EINVAL ? 0 : r;
}

/* Maps shared memory of at least `min` bytes; *len is its size. NULL if there is none or it is short. */
static void *map_shared(int fd, size_t min, size_t *len)
{
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    if (size < 0 || (uint64_t)size < min)
        return NULL;
    void *p = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    *len = (size_t)size;
    return p == MAP_FAILED ? NULL : p;
}

/* The images, top to base: FD_IMAGE 0, 1, ... The state memory says whether a predecessor in this
 * machine has opened them: the kernel then has all it wrote, in order, and nothing needs a repair. */
static int images_open(const Ctl__Boot *boot, const int *fds, unsigned nfds,
                       const struct blk_options *opt, const struct blk_state *state)
{
    struct chain_link links[IMG_CHAIN_MAX];
    const Ctl__BlockConfig *c = boot->block;
    struct img_options top = {.readonly = opt->readonly, .unmap = opt->discard};
    unsigned n = 0;
    if (state) {
        struct blk_state s = *state;
        top.recovered = s.magic == BLK_STATE_MAGIC && s.version == BLK_STATE_VERSION && s.opened == 1;
    }
    for (; n < IMG_CHAIN_MAX; n++) {
        int fd = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_IMAGE, n);
        if (fd < 0)
            break;
        links[n] = (struct chain_link){fd, NULL, n ? "backing file" : c->name};
        if (n < c->n_format && c->format[n][0])
            links[n].format = c->format[n];
    }
    the_block.img = blk_chain_open(links, n, &top, opt->snapshot, &the_block.io);
    return the_block.img ? 0 : -EINVAL;
}

static int device_start(struct devproc *p, const Ctl__Boot *boot, const int *fds, unsigned nfds,
                        const struct blk_options *opt)
{
    size_t len;
    struct blk *b = &the_block;
    int sock = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_VHOST_USER, 0);
    int state_fd = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_STATE, 0);
    int code_fd = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_CODEPAGE, 0);
    struct blk_state *state = map_shared(state_fd, sizeof(struct blk_state), &len);
    int r = images_open(boot, fds, nfds, opt, state);
    if (r < 0)
        return r;
    r = blk_init(b, p, sock, opt, state);
    if (r < 0) {
        log_error("device set-up: %s", strerror(-r));
        return r;
    }
    struct abi_codepage *cp = map_shared(code_fd, ABI_CODEPAGE_HDR, &len);
    if (code_fd >= 0 && !cp) {
        log_error("the code-page map cannot be mapped");
        return -EINVAL;
    }
    if (cp)
        vu_backend_set_codepage(b->be, cp, len - ABI_CODEPAGE_HDR);
    return 0;
}

static int setup(struct devproc *p, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    struct blk_options opt;
    int image = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_IMAGE, 0);
    if (!boot->block || image < 0 ||
        devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_VHOST_USER, 0) < 0) {
        log_error("BOOT brings no image, no socket or no configuration");
        return -EINVAL;
    }
    crash_read(boot->block);
    int r = blk_options_read(boot->block, &opt);
    if (r == 0)
        r = fence(p, image, boot->block->name, opt.readonly);
    if (r == 0)
        r = img_io_init(&the_block.io, NULL);
    return r < 0 ? r : device_start(p, boot, fds, nfds, &opt);
}

static int message(struct devproc *p, enum ctl_msg type, ProtobufCMessage *msg)
{
    (void)p;
    return type == CTL_BLOCK_CONTROL ? blk_control(&the_block, (const Ctl__BlockControl *)msg) : -EPROTO;
}

static void end(struct devproc *p)
{
    (void)p;
    blk_fini(&the_block);
}

static const struct devproc_ops ops = {
    .program = "bulkhead-block",
    .role = "block",
    .sbx = SBX_BLOCK,
    .setup = setup,
    .message = message,
    .shutdown = end,
};

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--inspect"))
        return blk_inspect(argv[2]);
    return devproc_main(argc, argv, &ops, NULL);
}
