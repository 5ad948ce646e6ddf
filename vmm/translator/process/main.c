/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-translator: reads what the vCPUs ask and writes translations into the code cache. Owns these two
 * mappings and a bell; must never have guest memory, nor be waited for by anybody.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "device-procs/runtime/devproc.h"
#include "ipc/fds.h"
#include "vmm/translator/process/serve.h"

#define ASKS_PER_TURN 64u         /* then the control channel is looked at */
#define SPIN_NS       30000u      /* a warm guest asks again at once: waking up costs more than this */
#define FULL_RETRY_NS 1000000u    /* until the vCPUs have let go of the old half */

static struct translator {
    struct devproc *proc;
    struct serve serve;
    uint32_t feat[ABI_CPU_WORDS];
    int bell_fd;
    struct ipc_timer again;
} the_translator;

static void *map(int fd, uint64_t size, int prot, const char *what)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || (uint64_t)st.st_size < size) {
        log_error("%s: no descriptor of at least %llu bytes came with BOOT", what, (unsigned long long)size);
        return NULL;
    }
    void *p = mmap(NULL, size, prot, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        log_error("%s: mmap: %s", what, strerror(errno));
        return NULL;
    }
    return p;
}

static void asleep_set(struct translator *t, uint32_t v)
{
    __atomic_store_n(&t->serve.cache.head->asleep, v, __ATOMIC_SEQ_CST);
}
static bool spin(struct translator *t)
{
    uint64_t end = ipc_now_ns() + SPIN_NS;
    do {
        for (unsigned i = 0; i < 64; i++)
            __builtin_ia32_pause();
        if (serve_waiting(&t->serve))
            return true;
    } while (ipc_now_ns() < end);
    return false;
}
/* One turn of work, in bounded time. What is left, or cannot be done yet, comes back through the timer. */
static void work(struct translator *t)
{
    asleep_set(t, 0);
    unsigned done = 0;
    do {
        done += serve_some(&t->serve, ASKS_PER_TURN - done);
    } while (done && done < ASKS_PER_TURN && spin(t));
    asleep_set(t, 1);
    if (serve_waiting(&t->serve))
        ipc_timer_set(&t->again, ipc_now_ns() + (done ? 1 : FULL_RETRY_NS));
}
static void on_bell(void *opaque, int fd, uint32_t events)
{
    (void)events;
    ipc_eventfd_drain(fd);
    work(opaque);
}
static void on_again(void *opaque)
{
    work(opaque);
}

static int config_take(struct translator *t, const Ctl__TranslatorConfig *m)
{
    if (!m || m->n_feat != ABI_CPU_WORDS || !m->vcpus || m->vcpus > XL_VCPU_MAX) {
        log_error("BOOT does not say what to translate for");
        return -EINVAL;
    }
    memcpy(t->feat, m->feat, sizeof(t->feat));
    t->serve.feat = t->feat;
    t->serve.vendor = m->vendor;
    return 0;
}
static int memory_take(struct translator *t, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    const Ctl__TranslatorConfig *m = boot->translator;
    void *cache = map(devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_XL_CACHE, 0), m->cache_size,
                      PROT_READ | PROT_WRITE, "code cache");
    const void *rings = map(devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_XL_RINGS, 0), xl_rings_size(m->vcpus),
                            PROT_READ, "requests");
    if (!cache || !rings)
        return -EINVAL;
    int err = cache_attach(&t->serve.cache, cache, m->cache_size, rings, m->vcpus);
    if (err)
        log_error("code cache: %s", err == -EPROTO ? "what a predecessor left is not a code cache" : strerror(-err));
    ipc_fds_close((int[]){devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_XL_CACHE, 0),
                          devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_XL_RINGS, 0)}, 2);
    return err;
}

static int translator_setup(struct devproc *p, const Ctl__Boot *boot, const int *fds, unsigned nfds)
{
    struct translator *t = p->opaque;
    t->proc = p;
    int err = config_take(t, boot->translator);
    err = err ? err : memory_take(t, boot, fds, nfds);
    if (err)
        return err;
    t->bell_fd = devproc_fd(boot, fds, nfds, CTL__FD_KIND__FD_XL_BELL, 0);
    err = t->bell_fd < 0 ? -EBADF : ipc_loop_add(&p->loop, t->bell_fd, EPOLLIN, on_bell, t);
    return err ? err : ipc_timer_init(&t->again, &p->loop, on_again, t);
}
/* What a predecessor left undone. */
static int translator_started(struct devproc *p)
{
    struct translator *t = p->opaque;
    ipc_timer_set(&t->again, ipc_now_ns() + 1);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct devproc_ops ops = {
        .program = "bulkhead-translator", .role = "translator", .sbx = SBX_TRANSLATOR,
        .setup = translator_setup, .started = translator_started,
    };
    return devproc_main(argc, argv, &ops, &the_translator);
}
