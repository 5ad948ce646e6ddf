/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of human monitor commands: execution, help and completion come from it. Must never
 * touch the machine but through vmm/vm.h.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/monitor/block-commands.h"
#include "vmm/monitor/input-commands.h"
#include "vmm/monitor/monitor.h"
#include "vmm/monitor/net-commands.h"

#define HMP_REST 99 /* max_args: the command takes the rest of the line as it is */

struct command {
    const char *names;  /* "stop|s" */
    const char *params; /* for help */
    unsigned min_args, max_args;
    void (*run)(struct vm *vm, const char *arg, struct hmp_out *out);
    const char *help;
};

void hmp_print(struct hmp_out *o, const char *fmt, ...)
{
    size_t room = sizeof(o->text) - o->len;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(o->text + o->len, room, fmt, ap);
    va_end(ap);
    if (n > 0)
        o->len += (size_t)n < room ? (size_t)n : room - 1;
}

/* ---- commands
 * ------------------------------------------------------------------------------------ */
static void report(int rc, struct hmp_out *out)
{
    if (rc)
        hmp_print(out, "Error: %s\n", vm_last_error());
}

static void run_stop(struct vm *vm, const char *arg, struct hmp_out *out)
{
    (void)arg;
    report(vm_stop(vm), out);
}

static void run_cont(struct vm *vm, const char *arg, struct hmp_out *out)
{
    (void)arg;
    report(vm_cont(vm), out);
}

static void run_reset(struct vm *vm, const char *arg, struct hmp_out *out)
{
    (void)arg;
    report(vm_reset(vm), out);
}

static void run_powerdown(struct vm *vm, const char *arg, struct hmp_out *out)
{
    (void)arg;
    (void)out;
    vm_powerdown(vm);
}

static void run_wakeup(struct vm *vm, const char *arg, struct hmp_out *out)
{
    (void)arg;
    report(vm_wakeup(vm), out);
}

static void run_quit(struct vm *vm, const char *arg, struct hmp_out *out)
{
    (void)arg;
    (void)out;
    vm_quit(vm);
}

static void run_restart(struct vm *vm, const char *arg, struct hmp_out *out)
{
    int rc = vm_device_restart(vm, arg);

    if (rc == -ENODEV || rc == -ENOENT)
        hmp_print(out, "Error: Device '%s' not found\n", arg);
    else
        report(rc, out);
}

static void run_cpu(struct vm *vm, const char *arg, struct hmp_out *out)
{
    char *end;
    unsigned long n = strtoul(arg, &end, 10);

    if (*end || end == arg || !hmp_cpu_choose(vm, n))
        hmp_print(out, "Error: invalid CPU index '%s': this VM has CPUs 0 to %u\n", arg,
                  vm->plan.smp - 1);
}

/* "filename [-f format]", format ppm (the default) or png. */
static void run_screendump(struct vm *vm, const char *arg, struct hmp_out *out)
{
    char text[HMP_LINE], *save = NULL, *word, *file = NULL;
    bool png = false, bad = false;

    snprintf(text, sizeof(text), "%s", arg);
    for (word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        if (!strcmp(word, "-f")) {
            word = strtok_r(NULL, " ", &save);
            png = word && !strcmp(word, "png");
            bad |= !word || (!png && strcmp(word, "ppm"));
        } else {
            bad |= file != NULL;
            file = word;
        }
    }
    if (bad || !file)
        hmp_print(out, "screendump: expected 'filename [-f ppm|png]'\n");
    else
        report(vm_screendump(vm, file, png), out);
}

static void run_info(struct vm *vm, const char *arg, struct hmp_out *out)
{
    if (*arg)
        hmp_info(vm, arg, out);
    else
        hmp_info_help(out);
}

static void run_help(struct vm *vm, const char *arg, struct hmp_out *out);

static void run_block_resize(struct vm *vm, const char *arg, struct hmp_out *out)
{
    report(block_hmp_resize(vm, arg), out);
}

static void run_block_throttle(struct vm *vm, const char *arg, struct hmp_out *out)
{
    report(block_hmp_throttle(vm, arg), out);
}

static const struct command commands[] = {
    {"block_resize", "device size", 2, HMP_REST, run_block_resize, "resize a disk while the guest runs (size in MiB, or with a suffix)"},
    {"block_set_io_throttle", "device bps bps_rd bps_wr iops iops_rd iops_wr", 7, HMP_REST, run_block_throttle,
     "change the rate limits of a disk; 0 = none"},
    {"change", "vnc password text", 1, HMP_REST, hmp_change, "change the VNC password"},
    {"closefd", "name", 1, 1, hmp_closefd, "close a descriptor that was handed over"},
    {"cont|c", "", 0, 0, run_cont, "resume emulation"},
    {"cpu", "index", 1, 1, run_cpu, "set the default CPU"},
    {"device_restart", "id", 1, 1, run_restart,
     "end the process of a device and start it anew; the guest keeps running"},
    {"expire_password", "vnc time", 1, HMP_REST, hmp_expire_password,
     "when the VNC password expires: now, never, +seconds or seconds since 1970"},
    {"getfd", "name", 1, 1, hmp_getfd, "name the descriptor that came with this line (SCM_RIGHTS)"},
    {"help|?", "[cmd]", 0, 1, run_help, "show the help"},
    {"hostfwd_add", "[netdev] [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport", 1, HMP_REST, hmp_hostfwd_add,
     "forward a port of the host to the guest"},
    {"hostfwd_remove", "[netdev] [tcp|udp]:[hostaddr]:hostport", 1, HMP_REST, hmp_hostfwd_remove,
     "end a forward"},
    {"info", "[subcommand]", 0, 1, run_info, "show various information about the system state"},
    {"mce", "[-b] cpu bank status mcgstatus addr misc", 6, HMP_REST, hmp_mce,
     "inject a machine-check error; -b: tell the other CPUs too"},
    {"mouse_button", "state", 1, 1, hmp_mouse_button, "change mouse button state (1=L, 2=R, 4=M)"},
    {"mouse_move", "dx dy [dz]", 1, HMP_REST, hmp_mouse_move, "send mouse move events"},
    {"netdev_add", "type,id=name[,option]...", 1, HMP_REST, hmp_netdev_add, "add a network back end"},
    {"netdev_del", "id", 1, 1, hmp_netdev_del, "remove a network back end"},
    {"netdev_replace", "card netdev", 1, HMP_REST, hmp_netdev_replace,
     "move the cable of a card to another netdev; the guest keeps its carrier"},
    {"quit|q", "", 0, 0, run_quit, "quit the emulator"},
    {"screendump", "filename [-f format]", 1, HMP_REST, run_screendump,
     "save the screen into a file, as PPM or PNG"},
    {"sendkey", "keys", 1, HMP_REST, hmp_sendkey, "send keys to the VM (e.g. 'sendkey ctrl-alt-f1')"},
    {"set_link", "name on|off", 1, HMP_REST, hmp_set_link, "put a card's cable in or out"},
    {"set_password", "vnc password", 1, HMP_REST, hmp_set_password, "set the VNC password"},
    {"stop|s", "", 0, 0, run_stop, "stop emulation"},
    {"system_powerdown", "", 0, 0, run_powerdown, "send system power down event"},
    {"system_wakeup", "", 0, 0, run_wakeup, "wakeup guest from suspend"},
    {"system_reset", "", 0, 0, run_reset, "reset the system"},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static bool is_name(const char *names, const char *word)
{
    size_t n, len = strlen(word);

    for (const char *s = names; *s; s += n + (s[n] == '|')) {
        n = strcspn(s, "|");
        if (n == len && !memcmp(s, word, len))
            return true;
    }
    return false;
}

static const struct command *find_command(const char *word)
{
    for (unsigned i = 0; i < N_COMMANDS; i++)
        if (is_name(commands[i].names, word))
            return &commands[i];
    return NULL;
}

static void help_line(const struct command *cmd, struct hmp_out *out)
{
    hmp_print(out, "%s %s -- %s\n", cmd->names, cmd->params, cmd->help);
}

static void run_help(struct vm *vm, const char *arg, struct hmp_out *out)
{
    const struct command *cmd = *arg ? find_command(arg) : NULL;

    (void)vm;
    if (cmd && cmd->run == run_info) {
        hmp_info_help(out);
    } else if (cmd) {
        help_line(cmd, out);
    } else if (*arg) {
        hmp_print(out, "unknown command: '%s'\n", arg);
    } else {
        for (unsigned i = 0; i < N_COMMANDS; i++)
            help_line(&commands[i], out);
    }
}

/* ---- a line
 * -------------------------------------------------------------------------------------- */
/* Next word of *s, cut out of it; "" at the end. */
static char *next_word(char **s)
{
    char *start = *s, *end;

    while (isspace((unsigned char)*start))
        start++;
    for (end = start; *end && !isspace((unsigned char)*end); end++)
        ;
    *s = *end ? end + 1 : end;
    *end = 0;
    return start;
}

void hmp_execute(struct vm *vm, const char *line, struct hmp_out *out)
{
    char text[HMP_LINE], *s = text, *word, *arg, *more;
    const struct command *cmd;

    if (strlen(line) >= sizeof(text)) {
        hmp_print(out, "command line too long\n");
        return;
    }
    strcpy(text, line);
    word = next_word(&s);
    if (!*word || *word == '#')
        return;
    cmd = find_command(word);
    if (!cmd) {
        hmp_print(out, "unknown command: '%s'\n", word);
        return;
    }
    if (cmd->max_args == HMP_REST) {
        while (isspace((unsigned char)*s))
            s++;
        arg = s;
    } else {
        arg = next_word(&s);
    }
    more = cmd->max_args == HMP_REST ? (char[]){0} : cmd->max_args && *arg ? next_word(&s) : arg;
    if (*more)
        hmp_print(out,
                  "%s: extraneous characters at the end of line\n"
                  "Try \"help %s\" for more information\n",
                  cmd->names, word);
    else if (cmd->min_args && !*arg)
        hmp_print(out, "%s: string expected\nTry \"help %s\" for more information\n", cmd->names,
                  word);
    else
        cmd->run(vm, arg, out);
}

/* ---- completion
 * ---------------------------------------------------------------------------------- */
struct completion {
    const char *prefix;
    size_t len;
    unsigned found;
    char common[64];
};

static void offer(struct completion *c, const char *name, size_t n, struct hmp_out *out)
{
    size_t same = 0;

    if (n >= sizeof(c->common) || n < c->len || memcmp(name, c->prefix, c->len))
        return;
    hmp_print(out, "%.*s\n", (int)n, name);
    if (!c->found++) {
        memcpy(c->common, name, n);
        c->common[n] = 0;
        return;
    }
    while (same < n && c->common[same] == name[same])
        same++;
    c->common[same] = 0;
}

static void offer_commands(struct completion *c, struct hmp_out *out)
{
    for (unsigned i = 0; i < N_COMMANDS; i++)
        offer(c, commands[i].names, strcspn(commands[i].names, "|"), out);
}

static void offer_topics(struct completion *c, struct hmp_out *out)
{
    const char *name;

    for (unsigned i = 0; (name = hmp_info_name(i)) != NULL; i++)
        offer(c, name, strlen(name), out);
}

const char *hmp_complete(const char *line, struct hmp_out *out)
{
    static struct completion c;
    static char add[72];
    const char *word = strrchr(line, ' ');

    memset(&c, 0, sizeof(c));
    c.prefix = word ? word + 1 : line;
    c.len = strlen(c.prefix);
    if (!word || !strncmp(line, "help ", 5))
        offer_commands(&c, out);
    else if (!strncmp(line, "info ", 5))
        offer_topics(&c, out);
    if (!c.found)
        return "";
    if (c.found == 1 || strlen(c.common) > c.len) {
        out->len = 0; /* progress was made: no need for the list */
        out->text[0] = 0;
    }
    snprintf(add, sizeof(add), "%s%s", c.common + c.len, c.found == 1 ? " " : "");
    return add;
}
