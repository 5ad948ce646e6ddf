/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The info topics of the human monitor, from one table. Must never change anything.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "vmm/config/version.h"
#include "vmm/monitor/monitor.h"
#include "vmm/monitor/net-commands.h"

static void info_status(struct vm *vm, struct hmp_out *out)
{
    bool running = vm->state == VM_RUNNING;

    hmp_print(out, "VM status: %s", running ? "running" : "paused");
    if (!running && vm->state != VM_PAUSED)
        hmp_print(out, " (%s)", status_name(vm));
    hmp_print(out, "\n");
}

static void info_block(struct vm *vm, struct hmp_out *out)
{
    for (unsigned i = 0; i < vm->plan.n_disk; i++) {
        const struct plan_disk *d = &vm->plan.disk[i];

        hmp_print(out, "%s%s: %s (raw%s)\n", i ? "\n" : "", d->id, d->file,
                  d->readonly ? ", read-only" : "");
        hmp_print(out, "    Attached to:      %s\n", d->qdev_id[0] ? d->qdev_id : "virtio-blk-pci");
        hmp_print(out, "    Cache mode:       %s%s\n", d->cache,
                  !strcmp(d->cache, "none") ? " (direct)" : "");
    }
}

static void info_chardev(struct vm *vm, struct hmp_out *out)
{
    for (unsigned i = 0; i < vm->plan.n_char; i++) {
        const struct chr *c = monitor_chr(i);
        bool away = c && c->listen_fd >= 0 && !c->connected;

        hmp_print(out, "%s: filename=%s%s\n", vm->plan.chardev[i].id, away ? "disconnected:" : "",
                  c ? c->peer : "");
    }
}

static const char *uptime(uint64_t ms, char text[24])
{
    uint64_t s = ms / 1000;

    snprintf(text, 24, "%" PRIu64 ":%02u:%02u", s / 3600, (unsigned)(s / 60 % 60),
             (unsigned)(s % 60));
    return text;
}

/* The spawner starts every process but itself, so the tree is two levels deep. */
static void info_processes(struct vm *vm, struct hmp_out *out)
{
    struct child_info list[CHILDREN_MAX];
    unsigned n = vm_children(vm, list, CHILDREN_MAX);
    char when[24], pid[16];

    hmp_print(out, "%-13s %-16s %8s %10s %-10s %8s %10s %10s\n", "ROLE", "ID", "PID", "UID",
              "STATE", "RESTARTS", "UPTIME", "RSS(KiB)");
    for (unsigned i = 0; i < n; i++) {
        const struct child_info *c = &list[i];
        const char *branch = !strcmp(c->role, "vmm")       ? ""
                             : !strcmp(c->role, "spawner") ? " "
                                                           : "  ";

        snprintf(pid, sizeof(pid), "%d", c->pid);
        hmp_print(out, "%s%-*s %-16s %8s %10u %-10s %8u %10s %10" PRIu64 "\n", branch,
                  13 - (int)strlen(branch), c->role, c->id, c->pid > 0 ? pid : "-", c->uid,
                  c->state, c->restarts, uptime(c->uptime_ms, when), c->rss_kib);
    }
}

static void info_sandbox(struct vm *vm, struct hmp_out *out)
{
    static const char *const modes[] = {"require", "reduced", "off"};
    struct child_info list[CHILDREN_MAX];
    unsigned n = vm_children(vm, list, CHILDREN_MAX);
    const char *name;

    hmp_print(out, "mode: %s\n", modes[vm->plan.sandbox]);
    for (unsigned i = 0; i < n; i++) {
        const struct child_info *c = &list[i];

        hmp_print(out,
                  "%s %s: pid=%d uid=%u capeff=%016" PRIx64 " seccomp=%d nnp=%d layers=", c->role,
                  c->id, c->pid, c->uid, c->cap_eff, c->seccomp, c->no_new_privs);
        for (unsigned b = 0; (name = layer_name(b)) != NULL; b++)
            if (c->layers & 1u << b)
                hmp_print(out, "%s%s", c->layers & ((1u << b) - 1) ? "," : "", name);
        hmp_print(out, "%s\n", c->layers ? "" : "none");
    }
}

static void info_pci(struct vm *vm, struct hmp_out *out)
{
    out->len +=
        machine_info_pci(vm, out->text + out->len, (unsigned)(sizeof(out->text) - out->len));
    if (out->len >= sizeof(out->text))
        out->len = sizeof(out->text) - 1;
    out->text[out->len] = 0;
}

/* The CPU that `info registers` shows: chosen with `cpu N`. */
static unsigned chosen_cpu;
unsigned hmp_cpu(const struct vm *vm)
{
    return chosen_cpu < vm->plan.smp ? chosen_cpu : 0;
}
bool hmp_cpu_choose(const struct vm *vm, unsigned long n)
{
    if (n >= vm->plan.smp)
        return false;
    chosen_cpu = (unsigned)n;
    return true;
}

static int worker_pid(struct vm *vm)
{
    struct child_info list[CHILDREN_MAX];
    unsigned n = vm_children(vm, list, CHILDREN_MAX);

    for (unsigned i = 0; i < n; i++)
        if (!strcmp(list[i].role, "cpu-worker"))
            return list[i].pid;
    return 0;
}

static void info_cpus(struct vm *vm, struct hmp_out *out)
{
    int pid = worker_pid(vm);

    for (unsigned i = 0; i < vm->plan.smp; i++)
        hmp_print(out, "%c CPU #%u: thread_id=%d%s\n", i == hmp_cpu(vm) ? '*' : ' ', i, pid,
                  vm->page && vm->page->run[i].halted ? " (halted)" : "");
}

/* The page is the worker's: while the VM runs the figures are of different moments, and it says so.
 */
static void info_registers(struct vm *vm, struct hmp_out *out)
{
    static const char *const names[] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                        "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15"};
    const struct abi_vcpu_state *s = vm->page ? &vm->page->vcpu[hmp_cpu(vm)] : NULL;

    if (!s)
        return;
    if (vm->state == VM_RUNNING)
        hmp_print(out, "(the CPU is running: as last written by it)\n");
    for (unsigned i = 0; i < 16; i++)
        hmp_print(out, "%s=%016" PRIx64 "%s", names[i], s->gpr[i], i % 4 == 3 ? "\n" : " ");
    hmp_print(out, "RIP=%016" PRIx64 " RFL=%08" PRIx64 " HLT=%u\n", s->rip, s->rflags, s->halted);
    hmp_print(out, "CR0=%08" PRIx64 " CR2=%016" PRIx64 " CR3=%016" PRIx64 " CR4=%08" PRIx64 "\n",
              s->cr0, s->cr2, s->cr3, s->cr4);
    hmp_print(out, "EFER=%016" PRIx64 "\n", s->efer);
}

static void info_version(struct vm *vm, struct hmp_out *out)
{
    (void)vm;
    hmp_print(out, "%d.%d.%d (%s)\n", QEMU_MAJOR, QEMU_MINOR, QEMU_MICRO, BULKHEAD_PACKAGE);
}

static void info_name(struct vm *vm, struct hmp_out *out)
{
    if (vm->plan.name_set)
        hmp_print(out, "%s\n", vm->plan.name);
}

static void info_uuid(struct vm *vm, struct hmp_out *out)
{
    hmp_print(out, "%s\n",
              vm->plan.uuid[0] ? vm->plan.uuid : "00000000-0000-0000-0000-000000000000");
}

static void info_kvm(struct vm *vm, struct hmp_out *out)
{
    (void)vm;
    hmp_print(out, "kvm support: not compiled\n");
}

static const struct topic {
    const char *name;
    void (*show)(struct vm *vm, struct hmp_out *out);
    const char *help;
} topics[] = {
    {"block", info_block, "show the block devices"},
    {"chardev", info_chardev, "show the character devices"},
    {"cpus", info_cpus, "show infos for each CPU"},
    {"kvm", info_kvm, "show KVM information"},
    {"name", info_name, "show the current VM name"},
    {"network", hmp_info_network, "show the network state"},
    {"pci", info_pci, "show PCI info"},
    {"processes", info_processes, "show the processes of this VM"},
    {"registers", info_registers, "show the cpu registers"},
    {"sandbox", info_sandbox, "show what confines each process"},
    {"status", info_status, "show the current VM status (running|paused)"},
    {"usernet", hmp_info_usernet, "show user network stack connection states"},
    {"uuid", info_uuid, "show the current VM UUID"},
    {"version", info_version, "show the version"},
};
#define N_TOPICS (sizeof(topics) / sizeof(topics[0]))

void hmp_info(struct vm *vm, const char *topic, struct hmp_out *out)
{
    for (unsigned i = 0; i < N_TOPICS; i++) {
        if (!strcmp(topics[i].name, topic)) {
            topics[i].show(vm, out);
            return;
        }
    }
    hmp_print(out, "unknown command: 'info %s'\n", topic);
}

void hmp_info_help(struct hmp_out *out)
{
    for (unsigned i = 0; i < N_TOPICS; i++)
        hmp_print(out, "info %s  -- %s\n", topics[i].name, topics[i].help);
}

const char *hmp_info_name(unsigned i)
{
    return i < N_TOPICS ? topics[i].name : NULL;
}
