/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of JSON monitor commands, with their arguments, and those that act. query-*
 * commands are in qmp-query.c. Must never touch the machine but through vmm/vm.h.
 */
#include "vmm/monitor/block-commands.h"
#include "vmm/monitor/qmp-commands.h"
#include "vmm/monitor/input-commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "vmm/monitor/handed-fds.h"
#include "vmm/monitor/net-commands.h"

static int set_error(struct qmp_call *c, const char *class, const char *fmt, const char *what)
{
    c->error_class = class;
    snprintf(c->error, sizeof(c->error), fmt, what);
    return -1;
}

static int from_vm(struct qmp_call *c, int rc)
{
    return rc ? set_error(c, "GenericError", "%.250s", vm_last_error()) : 0;
}

static const char *string_arg(const struct qmp_call *c, const char *name)
{
    const struct json_node *n = c->args ? json_member(c->doc, c->args, name) : NULL;

    return n ? json_str(c->doc, n) : "";
}

/* ---- commands that act
 * ----------------------------------------------------------------------------- */
static int run_capabilities(struct qmp_call *c)
{
    const struct json_node *enable = c->args ? json_member(c->doc, c->args, "enable") : NULL;
    const struct json_node *first = enable ? json_first(c->doc, enable) : NULL;

    if (!first)
        return 0;
    return set_error(c, "GenericError", "Capability '%.100s' was not offered",
                     first->type == JSON_STRING ? json_str(c->doc, first) : "");
}

static int run_stop(struct qmp_call *c)
{
    return from_vm(c, vm_stop(c->vm));
}

static int run_cont(struct qmp_call *c)
{
    return from_vm(c, vm_cont(c->vm));
}

static int run_reset(struct qmp_call *c)
{
    return from_vm(c, vm_reset(c->vm));
}

static int run_powerdown(struct qmp_call *c)
{
    vm_powerdown(c->vm);
    return 0;
}

static int run_wakeup(struct qmp_call *c)
{
    return from_vm(c, vm_wakeup(c->vm));
}

static int run_quit(struct qmp_call *c)
{
    vm_quit(c->vm);
    return 0;
}

static int run_device_restart(struct qmp_call *c)
{
    const char *id = string_arg(c, "id");
    int rc = vm_device_restart(c->vm, id);

    if (rc == -ENODEV || rc == -ENOENT)
        return set_error(c, "DeviceNotFound", "Device '%.100s' not found", id);
    return from_vm(c, rc);
}

static int run_screendump(struct qmp_call *c)
{
    const char *format = string_arg(c, "format");

    if (*format && strcmp(format, "ppm") && strcmp(format, "png"))
        return set_error(c, "GenericError", "Parameter 'format' does not accept value '%.100s'", format);
    return from_vm(c, vm_screendump(c->vm, string_arg(c, "filename"), !strcmp(format, "png")));
}

/* QEMU's answer has the line ends a terminal gets. */
static int run_human(struct qmp_call *c)
{
    static struct hmp_out out;
    static char text[2 * HMP_TEXT];
    size_t n = 0;

    out.len = 0;
    out.text[0] = 0;
    hmp_execute(c->vm, string_arg(c, "command-line"), &out);
    for (const char *s = out.text; *s; s++) {
        if (*s == '\n')
            text[n++] = '\r';
        text[n++] = *s;
    }
    text[n] = 0;
    jw_string(c->out, "return", text);
    return 0;
}

static int run_netdev_add(struct qmp_call *c)
{
    return from_vm(c, qmp_netdev_add(c));
}
static int run_netdev_del(struct qmp_call *c)
{
    const char *id = string_arg(c, "id");
    int rc = vm_netdev_del(c->vm, id);

    return rc == -ENODEV ? set_error(c, "DeviceNotFound", "Device '%.100s' not found", id) : from_vm(c, rc);
}
static int run_netdev_replace(struct qmp_call *c)
{
    return from_vm(c, vm_netdev_replace(c->vm, string_arg(c, "card"), string_arg(c, "netdev")));
}
static int run_set_link(struct qmp_call *c)
{
    const char *name = string_arg(c, "name");
    const struct json_node *up = json_member(c->doc, c->args, "up");
    int rc = vm_set_link(c->vm, name, up && up->type == JSON_TRUE);

    return rc == -ENODEV ? set_error(c, "DeviceNotFound", "Device '%.100s' not found", name) : from_vm(c, rc);
}
static int run_getfd(struct qmp_call *c)
{
    return from_vm(c, handed_fd_name(string_arg(c, "fdname")));
}
static int run_closefd(struct qmp_call *c)
{
    return from_vm(c, handed_fd_close(string_arg(c, "fdname")));
}

static int run_block_resize(struct qmp_call *c)
{
    return from_vm(c, block_qmp_resize(c->vm, c->doc, c->args));
}

static int run_block_throttle(struct qmp_call *c)
{
    return from_vm(c, block_qmp_throttle(c->vm, c->doc, c->args));
}

static int run_query_commands(struct qmp_call *c);

/* ---- the table
 * ----------------------------------------------------------------------------------- */
struct arg {
    const char *name;
    enum json_type type;
    bool optional;
};
#define ARGS_MAX 24
#define ANY_ARG  "*" /* the command reads the other arguments itself */
#define RATE(name, optional) {name, JSON_INT, optional}
static const struct command {
    const char *name;
    int (*run)(struct qmp_call *c);
    struct arg args[ARGS_MAX];
} commands[] = {
    {"block_resize", run_block_resize, {{"device", JSON_STRING, true}, {"node-name", JSON_STRING, true}, {"size", JSON_INT, false}}},
    {"block_set_io_throttle",
     run_block_throttle,
     {{"device", JSON_STRING, true}, {"id", JSON_STRING, true}, RATE("bps", false), RATE("bps_rd", false), RATE("bps_wr", false),
      RATE("iops", false), RATE("iops_rd", false), RATE("iops_wr", false), RATE("bps_max", true), RATE("bps_rd_max", true),
      RATE("bps_wr_max", true), RATE("iops_max", true), RATE("iops_rd_max", true), RATE("iops_wr_max", true),
      RATE("iops_size", true)}},
    {"change-vnc-password", qmp_change_vnc_password, {{"password", JSON_STRING, false}}},
    {"closefd", run_closefd, {{"fdname", JSON_STRING, false}}},
    {"cont", run_cont, {{0}}},
    {"expire_password",
     qmp_expire_password,
     {{"protocol", JSON_STRING, false}, {"time", JSON_STRING, false}}},
    {"getfd", run_getfd, {{"fdname", JSON_STRING, false}}},
    {"human-monitor-command",
     run_human,
     {{"command-line", JSON_STRING, false}, {"cpu-index", JSON_INT, true}}},
    {"input-send-event",
     qmp_input_send_event,
     {{"device", JSON_STRING, true}, {"head", JSON_INT, true}, {"events", JSON_ARRAY, false}}},
    {"netdev_add", run_netdev_add, {{"type", JSON_STRING, false}, {"id", JSON_STRING, false}, {ANY_ARG, JSON_NULL, true}}},
    {"netdev_del", run_netdev_del, {{"id", JSON_STRING, false}}},
    {"netdev_replace", run_netdev_replace, {{"card", JSON_STRING, false}, {"netdev", JSON_STRING, false}}},
    {"qmp_capabilities", run_capabilities, {{"enable", JSON_ARRAY, true}}},
    {"query-block", query_block, {{0}}},
    {"query-chardev", query_chardev, {{0}}},
    {"query-commands", run_query_commands, {{0}}},
    {"query-cpu-definitions", query_cpu_definitions, {{0}}},
    {"query-cpu-model-baseline",
     query_cpu_model_baseline,
     {{"modela", JSON_OBJECT, false}, {"modelb", JSON_OBJECT, false}}},
    {"query-cpu-model-comparison",
     query_cpu_model_comparison,
     {{"modela", JSON_OBJECT, false}, {"modelb", JSON_OBJECT, false}}},
    {"query-cpu-model-expansion",
     query_cpu_model_expansion,
     {{"type", JSON_STRING, false}, {"model", JSON_OBJECT, false}}},
    {"query-cpus-fast", query_cpus_fast, {{0}}},
    {"query-kvm", query_kvm, {{0}}},
    {"query-name", query_name, {{0}}},
    {"query-processes", query_processes, {{0}}},
    {"query-sandbox", query_sandbox, {{0}}},
    {"query-status", query_status, {{0}}},
    {"query-target", query_target, {{0}}},
    {"query-uuid", query_uuid, {{0}}},
    {"query-version", query_version, {{0}}},
    {"query-vnc", query_vnc, {{0}}},
    {"quit", run_quit, {{0}}},
    {"screendump",
     run_screendump,
     {{"filename", JSON_STRING, false}, {"format", JSON_STRING, true}}},
    {"send-key", qmp_send_key, {{"keys", JSON_ARRAY, false}, {"hold-time", JSON_INT, true}}},
    {"set_link", run_set_link, {{"name", JSON_STRING, false}, {"up", JSON_TRUE, false}}},
    {"set_password",
     qmp_set_password,
     {{"protocol", JSON_STRING, false}, {"password", JSON_STRING, false}}},
    {"stop", run_stop, {{0}}},
    {"system_powerdown", run_powerdown, {{0}}},
    {"system_wakeup", run_wakeup, {{0}}},
    {"system_reset", run_reset, {{0}}},
    {"x-device-restart", run_device_restart, {{"id", JSON_STRING, false}}},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int run_query_commands(struct qmp_call *c)
{
    jw_array(c->out, "return");
    for (unsigned i = 0; i < N_COMMANDS; i++) {
        jw_object(c->out, NULL);
        jw_string(c->out, "name", commands[i].name);
        jw_end_object(c->out);
    }
    jw_end_array(c->out);
    return 0;
}

static const char *type_name(enum json_type t)
{
    return t == JSON_STRING  ? "string"
           : t == JSON_INT   ? "integer"
           : t == JSON_ARRAY ? "array"
           : t == JSON_TRUE  ? "boolean"
                             : "object";
}

static const struct arg *find_arg(const struct command *cmd, const char *name)
{
    for (unsigned i = 0; i < ARGS_MAX && cmd->args[i].name; i++)
        if (!strcmp(cmd->args[i].name, name))
            return &cmd->args[i];
    return NULL;
}

static int check_given(struct qmp_call *c, const struct command *cmd)
{
    const struct json_node *n = c->args ? json_first(c->doc, c->args) : NULL;

    for (; n; n = json_next(c->doc, n)) {
        const struct arg *a = find_arg(cmd, json_key(c->doc, n));

        if (!a && find_arg(cmd, ANY_ARG))
            continue;
        if (!a)
            return set_error(c, "GenericError", "Parameter '%.100s' is unexpected",
                             json_key(c->doc, n));
        if (a->type != n->type && !(a->type == JSON_TRUE && n->type == JSON_FALSE)) {
            snprintf(c->error, sizeof(c->error), "Invalid parameter type for '%s', expected: %s",
                     a->name, type_name(a->type));
            return -1;
        }
    }
    return 0;
}

static int check_args(struct qmp_call *c, const struct command *cmd)
{
    if (check_given(c, cmd))
        return -1;
    for (unsigned i = 0; i < ARGS_MAX && cmd->args[i].name; i++)
        if (!cmd->args[i].optional && !(c->args && json_member(c->doc, c->args, cmd->args[i].name)))
            return set_error(c, "GenericError", "Parameter '%s' is missing", cmd->args[i].name);
    return 0;
}

int qmp_execute(struct qmp_call *call, const char *name)
{
    for (unsigned i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, name))
            continue;
        if (check_args(call, &commands[i]))
            return -1;
        return commands[i].run(call);
    }
    return set_error(call, "CommandNotFound", "The command %.100s has not been found", name);
}
