/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Composes BOOT: everything a child will ever be told and given. Owns the choice of descriptors per
 * role, which is the list of that role's powers; must never give one that the role does not need.
 */
#include <errno.h>
#include <string.h>
#include "ipc/chan.h"
#include "vmm/supervise/supervisor.h"

struct boot_fds {
    unsigned n;
    int fd[IPC_CHAN_FDS_MAX];
    Ctl__Fd msg[IPC_CHAN_FDS_MAX];
    Ctl__Fd *ptr[IPC_CHAN_FDS_MAX];
};

static void add_fd(struct boot_fds *b, Ctl__FdKind kind, unsigned index, int fd)
{
    Ctl__Fd *m = &b->msg[b->n];

    if (fd < 0 || b->n == IPC_CHAN_FDS_MAX)
        return;
    ctl__fd__init(m);
    m->kind = kind;
    m->has_index = 1;
    m->index = index;
    b->ptr[b->n] = m;
    b->fd[b->n++] = fd;
}

/* A string that was not given is absent, not empty. */
static char *opt(const char *s)
{
    return s[0] ? (char *)(uintptr_t)s : NULL;
}

static char *str(const char *s)
{
    return (char *)(uintptr_t)s;
}

static void set_bool(protobuf_c_boolean *has, protobuf_c_boolean *v, bool value)
{
    *has = 1;
    *v = value;
}

struct block_msgs {
    Ctl__BlockConfig block;
    char *format[1 + PLAN_CHAIN_MAX];
};

static void block_config(struct block_msgs *b, const struct plan_disk *d)
{
    Ctl__BlockConfig *m = &b->block;
    ctl__block_config__init(m);
    m->name = str(d->file);
    set_bool(&m->has_readonly, &m->readonly, d->readonly);
    m->serial = opt(d->serial);
    m->has_queues = 1;
    m->queues = 1;
    m->cache = opt(d->cache);
    set_bool(&m->has_discard, &m->discard, d->discard);
    set_bool(&m->has_share_rw, &m->share_rw, d->share_rw);
    m->detect_zeroes = opt(d->detect_zeroes);
    m->werror = d->werror[0] ? str(d->werror) : str("enospc");
    m->rerror = opt(d->rerror);
    set_bool(&m->has_copy_on_read, &m->copy_on_read, d->copy_on_read);
    set_bool(&m->has_snapshot, &m->snapshot, d->snapshot);
    m->throttle = (uint64_t *)(uintptr_t)d->throttle;
    m->n_throttle = PLAN_THROTTLE;
    m->has_logical_block = d->logical_block != 0;
    m->logical_block = d->logical_block;
    m->has_physical_block = d->physical_block != 0;
    m->physical_block = d->physical_block;
    b->format[0] = str(d->format);
    for (unsigned i = 0; i < d->n_backing; i++)
        b->format[1 + i] = str(d->backing_format[i]);
    m->format = b->format;
    m->n_format = 1 + d->n_backing;
}

struct net_msgs {
    Ctl__NetConfig net;
    char *dns[PLAN_DNS_MAX];
    Ctl__HostFwd fwd[PLAN_FWD_MAX];
    Ctl__HostFwd *fwdp[PLAN_FWD_MAX];
    char *search[8];
};

static void net_hostfwd(struct net_msgs *m, const struct plan_net *n)
{
    for (unsigned i = 0; i < n->n_hostfwd; i++) {
        const struct plan_hostfwd *f = &n->hostfwd[i];
        ctl__host_fwd__init(&m->fwd[i]);
        m->fwd[i].udp = f->udp;
        m->fwd[i].host_addr = str(f->host_addr);
        m->fwd[i].host_port = f->host_port;
        m->fwd[i].guest_addr = str(f->guest_addr);
        m->fwd[i].guest_port = f->guest_port;
        m->fwdp[i] = &m->fwd[i];
    }
    m->net.n_hostfwd = n->n_hostfwd;
    m->net.hostfwd = m->fwdp;
}

static void net_addresses(Ctl__NetConfig *m, const struct plan_net *n)
{
    m->net = opt(n->net);
    m->host = opt(n->host);
    m->dhcpstart = opt(n->dhcpstart);
    m->dns = opt(n->dns);
    m->hostname = opt(n->hostname);
    m->domainname = opt(n->domainname);
    m->ipv6_net = opt(n->ipv6_net);
    m->ipv6_host = opt(n->ipv6_host);
    m->ipv6_dns = opt(n->ipv6_dns);
    m->tftp = opt(n->tftp);
    m->bootfile = opt(n->bootfile);
}

static void net_config(struct net_msgs *m, const struct plan *p, const struct plan_net *n)
{
    ctl__net_config__init(&m->net);
    m->net.backend = str(n->backend);
    m->net.mac.data = (uint8_t *)(uintptr_t)n->mac;
    m->net.mac.len = sizeof(n->mac);
    net_addresses(&m->net, n);
    set_bool(&m->net.has_restricted, &m->net.restricted, n->restricted);
    set_bool(&m->net.has_ipv4, &m->net.ipv4, n->ipv4);
    set_bool(&m->net.has_ipv6, &m->net.ipv6, n->ipv6);
    if (n->send_to_len) {
        m->net.has_send_to = 1;
        m->net.send_to.data = (uint8_t *)(uintptr_t)n->send_to;
        m->net.send_to.len = n->send_to_len;
    }
    set_bool(&m->net.has_announce, &m->net.announce, n->announce);
    set_bool(&m->net.has_link_down, &m->net.link_down, n->link_down);
    for (unsigned i = 0; i < n->n_dnssearch; i++)
        m->search[i] = str(n->dnssearch[i]);
    m->net.n_dnssearch = n->n_dnssearch;
    m->net.dnssearch = m->search;
    for (unsigned i = 0; i < p->n_host_dns; i++)
        m->dns[i] = str(p->host_dns[i]);
    m->net.n_host_dns = p->n_host_dns;
    m->net.host_dns = m->dns;
    net_hostfwd(m, n);
}

/* The worker gets the whole machine and no host resource. */
static void worker_fds(struct boot_fds *b, const struct vm *vm)
{
    add_fd(b, CTL__FD_KIND__FD_MACHINE_PAGE, 0, vm->page_fd);
    add_fd(b, CTL__FD_KIND__FD_RAM, 0, vm->ram_fd);
    add_fd(b, CTL__FD_KIND__FD_RAM, ABI_SLOT_BOARD, vm->board_fd);
    add_fd(b, CTL__FD_KIND__FD_RAM, ABI_SLOT_DISPLAY, vm->display_fd);
    add_fd(b, CTL__FD_KIND__FD_INPUT, 0, vm->input_fd);
    add_fd(b, CTL__FD_KIND__FD_CODEPAGE, 0, vm->codepage_fd);
    add_fd(b, CTL__FD_KIND__FD_DOORBELL_VMM, 0, vm->doorbell_vmm);
    add_fd(b, CTL__FD_KIND__FD_DOORBELL_WORKER, 0, vm->doorbell_worker);
    add_fd(b, CTL__FD_KIND__FD_XL_CACHE, 0, vm->xl_cache_ro_fd);
    add_fd(b, CTL__FD_KIND__FD_XL_RINGS, 0, vm->xl_rings_fd);
    add_fd(b, CTL__FD_KIND__FD_XL_BELL, 0, vm->xl_bell_fd);
    for (unsigned i = 0; i < vm->n_kick; i++)
        add_fd(b, CTL__FD_KIND__FD_KICK, i, vm->kick_fd[i]);
    for (unsigned i = 0; i < vm->n_call; i++)
        add_fd(b, CTL__FD_KIND__FD_CALL, i, vm->call_fd[i]);
    for (unsigned i = 0; i < vm->plan.n_ctl; i++)
        add_fd(b, CTL__FD_KIND__FD_DEVICE_PAGE, i, vm->ctl[i].page_fd);
}

/* A controller reaches guest memory, its own registers' page, and the rings to its drives' block
 * processes; no file, and no socket but that of a virtio adapter's queues. */
static void controller_fds(struct boot_fds *b, const struct child *c, int vu_fd)
{
    const struct vm *vm = c->sup->vm;
    const struct vm_ctl *k = &vm->ctl[c->config];

    add_fd(b, CTL__FD_KIND__FD_VHOST_USER, 0, vu_fd);
    add_fd(b, CTL__FD_KIND__FD_DEVICE_PAGE, 0, k->page_fd);
    add_fd(b, CTL__FD_KIND__FD_RAM, 0, vm->ram_fd);
    add_fd(b, CTL__FD_KIND__FD_CODEPAGE, 0, vm->codepage_fd);
    add_fd(b, CTL__FD_KIND__FD_STATE, 0, c->state_fd);
    add_fd(b, CTL__FD_KIND__FD_KICK, 0, vm->kick_fd[k->kick]);
    for (unsigned i = 0; i < k->n_call; i++)
        add_fd(b, CTL__FD_KIND__FD_CALL, i, vm->call_fd[k->call0 + i]);
    for (unsigned i = 0; i < PLAN_UNITS_MAX; i++) {
        add_fd(b, CTL__FD_KIND__FD_LINK, i, k->link[i].fd);
        add_fd(b, CTL__FD_KIND__FD_LINK_KICK, i, k->link[i].kick);
        add_fd(b, CTL__FD_KIND__FD_LINK_CALL, i, k->link[i].call);
    }
}

/* It may read what is asked and write what is answered. Guest memory is not among it. */
static void translator_fds(struct boot_fds *b, const struct vm *vm)
{
    add_fd(b, CTL__FD_KIND__FD_XL_CACHE, 0, vm->xl_cache_fd);
    add_fd(b, CTL__FD_KIND__FD_XL_RINGS, 0, vm->xl_rings_ro_fd);
    add_fd(b, CTL__FD_KIND__FD_XL_BELL, 0, vm->xl_bell_fd);
}

/* A device gets its own socket, its own file and its own state. Guest memory comes later, from the
 * front end, region by region as vhost-user says. */
static void device_fds(struct boot_fds *b, const struct child *c, int vu_fd)
{
    add_fd(b, CTL__FD_KIND__FD_VHOST_USER, 0, vu_fd);
    add_fd(b, CTL__FD_KIND__FD_IMAGE, 0, c->image_fd);
    if (c->program == SPAWN_BLOCK) {
        const struct plan_disk *d = &c->sup->vm->plan.disk[c->config];
        for (unsigned i = 0; i < d->n_backing; i++)
            add_fd(b, CTL__FD_KIND__FD_IMAGE, 1 + i, d->backing_fd[i]);
    }
    if (c->program == SPAWN_NET) {
        const struct plan_net *n = &c->sup->vm->plan.net[c->config];
        add_fd(b, CTL__FD_KIND__FD_NETDEV, 0, n->link_fd);
        add_fd(b, CTL__FD_KIND__FD_NETDEV, 1, n->listen_fd);
    }
    add_fd(b, CTL__FD_KIND__FD_CODEPAGE, 0, c->sup->vm->codepage_fd);
    add_fd(b, CTL__FD_KIND__FD_STATE, 0, c->state_fd);
}

/* The screen to look at, keys to press, and where clients come in: nothing of the guest besides. */
static void ui_fds(struct boot_fds *b, const struct vm *vm)
{
    add_fd(b, CTL__FD_KIND__FD_DISPLAY, 0, vm->display_ro_fd);
    add_fd(b, CTL__FD_KIND__FD_INPUT, 0, vm->input_fd);
    add_fd(b, CTL__FD_KIND__FD_DOORBELL_WORKER, 0, vm->doorbell_worker);
    for (unsigned i = 0; i < vm->n_vnc; i++)
        add_fd(b, CTL__FD_KIND__FD_LISTEN, i, vm->vnc_fd[i]);
}

struct device_msgs {
    Ctl__DeviceConfig device;
    Ctl__DeviceUnit unit[PLAN_UNITS_MAX], *ptr[PLAN_UNITS_MAX];
};

static void device_config(struct device_msgs *m, const struct vm *vm, unsigned index)
{
    const struct plan_ctl *k = &vm->plan.ctl[index];

    ctl__device_config__init(&m->device);
    m->device.ram_low = vm->ctl[index].ram_low;
    m->device.ram_high = vm->ctl[index].ram_high;
    m->device.unit = m->ptr;
    for (unsigned i = 0; i < PLAN_UNITS_MAX; i++) {
        Ctl__DeviceUnit *u = &m->unit[m->device.n_unit];

        if (!k->unit[i].used)
            continue;
        ctl__device_unit__init(u);
        u->index = i;
        u->serial = opt(k->unit[i].serial);
        u->model = opt(k->unit[i].model);
        m->ptr[m->device.n_unit++] = u;
    }
}

struct boot_configs { /* one of them is used */
    struct device_msgs device;
    struct block_msgs block;
    struct net_msgs net;
    Ctl__WorkerConfig worker;
    Ctl__UiConfig ui;
    Ctl__TranslatorConfig translator;
    Ctl__VncPassword password;
};

static void ui_config(struct boot_configs *cfg, struct vm *vm)
{
    Ctl__UiConfig *m = &cfg->ui;

    ctl__ui_config__init(m);
    m->display = str(vm->plan.display[0] ? vm->plan.display : "none");
    set_bool(&m->has_vnc_password, &m->vnc_password, vm->plan.vnc.password);
    set_bool(&m->has_vnc_lossy, &m->vnc_lossy, vm->plan.vnc.lossy);
    m->has_vnc_share = 1;
    m->vnc_share = vm->plan.vnc.share;
    ctl__vnc_password__init(&cfg->password);
    cfg->password.text = vm->vnc_password;
    cfg->password.expires = vm->vnc_expires;
    m->password = &cfg->password;
}

static void role_config(Ctl__Boot *m, struct boot_configs *cfg, const struct child *c)
{
    const struct plan *p = &c->sup->vm->plan;

    if (child_is_controller(c)) {
        device_config(&cfg->device, c->sup->vm, c->config);
        m->device = &cfg->device.device;
        return;
    }
    switch (c->program) {
    case SPAWN_BLOCK:
        block_config(&cfg->block, &p->disk[c->config]);
        m->block = &cfg->block.block;
        break;
    case SPAWN_NET:
        net_config(&cfg->net, p, &p->net[c->config]);
        m->net = &cfg->net.net;
        break;
    case SPAWN_CPU_WORKER:
        ctl__worker_config__init(&cfg->worker);
        cfg->worker.ram_size = c->sup->vm->ram_size;
        cfg->worker.cpu = opt(p->cpu);
        cfg->worker.has_xl_cache_size = p->tb_size != 0;
        cfg->worker.xl_cache_size = p->tb_size;
        m->worker = &cfg->worker;
        break;
    case SPAWN_TRANSLATOR:
        ctl__translator_config__init(&cfg->translator);
        cfg->translator.cache_size = p->tb_size;
        cfg->translator.vcpus = p->smp;
        cfg->translator.vendor = c->sup->vm->page->cpu.vendor;
        cfg->translator.feat = c->sup->vm->page->cpu.feat;
        cfg->translator.n_feat = ABI_CPU_WORDS;
        m->translator = &cfg->translator;
        break;
    default:
        ui_config(cfg, c->sup->vm);
        m->ui = &cfg->ui;
        break;
    }
}

int boot_send(struct child *c, int vu_fd)
{
    struct boot_fds b = {.n = 0};
    struct boot_configs cfg;
    Ctl__Boot m = CTL__BOOT__INIT;

    memset(&cfg, 0, sizeof(cfg));
    m.vm_name = c->sup->vm->plan.name;
    m.role = str(c->role_name);
    m.id = c->id;
    m.generation = c->generation;
    m.sandbox = (uint32_t)c->sup->vm->plan.sandbox;
    if (c->program == SPAWN_CPU_WORKER)
        worker_fds(&b, c->sup->vm);
    else if (c->program == SPAWN_UI)
        ui_fds(&b, c->sup->vm);
    else if (c->program == SPAWN_TRANSLATOR)
        translator_fds(&b, c->sup->vm);
    else if (child_is_controller(c))
        controller_fds(&b, c, vu_fd);
    else
        device_fds(&b, c, vu_fd);
    m.n_fds = b.n;
    m.fds = b.ptr;
    role_config(&m, &cfg, c);
    return ctl_send(c->ctl, CTL_BOOT, &m, b.fd, b.n, 0);
}
