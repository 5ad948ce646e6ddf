/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See fake-vm.h.
 */
#include <stdarg.h>
#include "tests/unit/monitor/fake-vm.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

struct fake fake;
struct vm fake_vm;

static void note(const char *what)
{
    strcat(fake.calls, what);
    strcat(fake.calls, " ");
    CHECK(strlen(fake.calls) < sizeof(fake.calls) - 64);
}

const char *vm_run_state_name(enum vm_run_state s)
{
    static const char *const names[] = {"prelaunch", "running", "paused", "shutdown",
                                        "internal-error"};

    return names[s];
}

int vm_stop(struct vm *vm)
{
    note("stop");
    vm->state = VM_PAUSED;
    qmp_event(vm, "STOP", NULL);
    return 0;
}

int vm_cont(struct vm *vm)
{
    note("cont");
    if (fake.fail)
        return fake.fail;
    vm->state = VM_RUNNING;
    qmp_event(vm, "RESUME", NULL);
    return 0;
}

int vm_reset(struct vm *vm)
{
    note("reset");
    qmp_event(vm, "RESET", "{\"guest\": false, \"reason\": \"host-qmp-system-reset\"}");
    return 0;
}

void vm_mce(struct vm *vm, unsigned vcpu, const struct abi_mce *e)
{
    (void)vm;
    (void)e;
    note(vcpu ? "mce1" : "mce0");
}

void vm_powerdown(struct vm *vm)
{
    (void)vm;
    note("powerdown");
}

int vm_wakeup(struct vm *vm)
{
    (void)vm;
    note("wakeup");
    return fake.fail;
}

void vm_quit(struct vm *vm)
{
    note("quit");
    vm->loop.quit = true;
}

unsigned vm_children(struct vm *vm, struct child_info *out, unsigned max)
{
    static const struct child_info list[] = {
        {.role = "vmm", .id = "vmm", .pid = 10, .uid = 1000, .state = "running"},
        {.role = "spawner", .id = "root", .pid = 11, .state = "running"},
        {.role = "block",
         .id = "virtio0",
         .pid = 12,
         .uid = 1001,
         .state = "running",
         .restarts = 3,
         .generation = 4,
         .uptime_ms = 3661000,
         .rss_kib = 2048,
         .seccomp = 2,
         .no_new_privs = 1,
         .layers = 0x7ff},
    };

    (void)vm;
    (void)max;
    memcpy(out, list, sizeof(list));
    return 3;
}

int vm_device_restart(struct vm *vm, const char *id)
{
    (void)vm;
    note("restart");
    return strcmp(id, "virtio0") ? -ENODEV : 0;
}

int vm_input(struct vm *vm, const struct abi_input_event *e, unsigned n)
{
    char text[64];

    (void)vm;
    for (unsigned i = 0; i < n; i++) {
        snprintf(text, sizeof(text), "%u:%u:%d:%d", e[i].type, e[i].code, e[i].a, e[i].b);
        note(text);
    }
    return fake.fail;
}

int vm_vnc_password(struct vm *vm, const char *password)
{
    (void)vm;
    note(password);
    return fake.fail;
}

int vm_vnc_expire(struct vm *vm, int64_t when)
{
    (void)vm;
    note(when ? "later" : "never");
    return 0;
}

int vm_screendump(struct vm *vm, const char *path, bool png)
{
    (void)vm;
    note(png ? "png" : "ppm");
    note(path);
    return 0;
}

static char last_error[300] = "the fake says no";
const char *vm_last_error(void)
{
    static char text[sizeof(last_error)]; /* said once: the next failure is the fake's own again */

    memcpy(text, last_error, sizeof(text));
    strcpy(last_error, "the fake says no");
    return text;
}
int vm_fail(int e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(last_error, sizeof(last_error), fmt, ap);
    va_end(ap);
    return e;
}

/* Networks: what was asked for is noted with its arguments; a name "none" is refused. */
static int net_note(const char *what, const char *a, const char *b)
{
    char text[600];

    snprintf(text, sizeof(text), "%s(%s%s%s)", what, a, *b ? " " : "", b);
    note(text);
    return strcmp(a, "none") ? 0 : vm_fail(-ENODEV, "the fake says no");
}
int vm_netdev_replace(struct vm *vm, const char *card, const char *netdev)
{
    (void)vm;
    return net_note("replace", card, netdev);
}
int vm_netdev_add(struct vm *vm, const char *arg)
{
    (void)vm;
    return net_note("add", arg, "");
}
int vm_netdev_del(struct vm *vm, const char *id)
{
    (void)vm;
    return net_note("del", id, "");
}
int vm_set_link(struct vm *vm, const char *card, bool up)
{
    (void)vm;
    return net_note("link", card, up ? "on" : "off");
}
int vm_hostfwd(struct vm *vm, const char *netdev, const char *rule, bool add)
{
    (void)vm;
    return net_note(add ? "forward" : "unforward", rule, netdev);
}
int vm_info_usernet(struct vm *vm, unsigned i, char *text, size_t cap)
{
    (void)vm;
    snprintf(text, cap, "  connections of %u\n", i);
    return 0;
}

int vm_block_resize(struct vm *vm, const char *id, uint64_t size)
{
    char text[100];

    (void)vm;
    snprintf(text, sizeof(text), "resize %s %llu", id, (unsigned long long)size);
    note(text);
    return 0;
}

int vm_block_throttle(struct vm *vm, const char *id, const uint64_t v[PLAN_THROTTLE])
{
    char text[100];

    (void)vm;
    snprintf(text, sizeof(text), "throttle %s %llu %llu %llu", id, (unsigned long long)v[0], (unsigned long long)v[8],
             (unsigned long long)v[12]);
    note(text);
    return 0;
}

unsigned machine_info_pci(struct vm *vm, char *out, unsigned len)
{
    (void)vm;
    return (unsigned)snprintf(out, len, "  Bus  0, device   0, function 0:\n");
}

unsigned vm_serial_read(struct vm *vm, unsigned n, uint8_t *buf, unsigned len)
{
    (void)vm;
    if (n || !fake.tx_len)
        return 0;
    if (len > fake.tx_len)
        len = (unsigned)fake.tx_len;
    memcpy(buf, fake.tx, len);
    fake.tx_len -= len;
    memmove(fake.tx, fake.tx + len, fake.tx_len);
    return len;
}

unsigned vm_serial_write(struct vm *vm, unsigned n, const uint8_t *buf, unsigned len)
{
    size_t room = fake.rx_room - fake.rx_len;

    (void)vm;
    (void)n;
    if (len > room)
        len = (unsigned)room;
    memcpy(fake.rx + fake.rx_len, buf, len);
    fake.rx_len += len;
    return len;
}

void vm_serial_break(struct vm *vm, unsigned n)
{
    (void)vm;
    (void)n;
    fake.breaks++;
}

void fake_start(const char *const *argv)
{
    char *words[64] = {(char *)"bulkhead", (char *)"-kernel", (char *)"k", (char *)"-nodefaults"},
         err[256];
    int argc = 4;

    memset(&fake, 0, sizeof(fake));
    memset(&fake_vm, 0, sizeof(fake_vm));
    fake.rx_room = sizeof(fake.rx);
    while (*argv)
        words[argc++] = (char *)*argv++;
    CHECK(plan_parse(&fake_vm.plan, argc, words) == 0);
    CHECK(ipc_loop_init(&fake_vm.loop) == 0);
    if (monitor_init(&fake_vm, err, sizeof(err))) {
        fprintf(stderr, "%s\n", err);
        exit(1);
    }
}

void fake_end(void)
{
    monitor_fini(&fake_vm);
    ipc_loop_fini(&fake_vm.loop);
}
