/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Build-time tool: turns policy/<arch>/<role>.policy files into BPF programs and a table of system-call
 * names, as C arrays on stdout. Runs on the build machine only; nothing of libseccomp reaches a jailed
 * process. Any doubt about a policy line ends the build.
 *
 * A policy is lines of
 *     name                                   allowed
 *     name: arg2 & PROT_EXEC == 0            allowed when the condition holds (numbers or constants)
 *     name: arg0 == AF_INET && arg1 != 5     several conditions; several lines of one name = any of them
 *     name: errno ENOENT                     refused softly: the call returns this error
 * and # comments. Everything else traps. A policy that starts with
 *     default: allow
 * is the other way round, a list of
 *     name: deny                             traps
 */
#include <ctype.h>
#include <errno.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/filter.h>

#include "seccomp/policy-constants.h"

#define NAMES_MAX 512

static const char *file_name;
static unsigned line_no;

static void __attribute__((noreturn)) fail(const char *what, const char *text)
{
    fprintf(stderr, "%s:%u: %s: %s\n", file_name, line_no, what, text);
    exit(1);
}

static char *trim(char *s)
{
    char *end;

    while (isspace((unsigned char)*s)) {
        s++;
    }
    end = s + strlen(s);
    while (end > s && isspace((unsigned char)end[-1])) {
        *--end = '\0';
    }
    return s;
}

static uint64_t value_parse(const char *s)
{
    char *end;
    uint64_t v;

    for (size_t i = 0; i < sizeof(policy_constants) / sizeof(policy_constants[0]); i++) {
        if (!strcmp(policy_constants[i].name, s)) {
            return policy_constants[i].value;
        }
    }
    errno = 0;
    v = strtoull(s, &end, 0);
    if (errno || end == s || *end) {
        fail("neither a number nor a known constant", s);
    }
    return v;
}

/* "argN OP VALUE" or "argN & MASK == VALUE". */
static struct scmp_arg_cmp condition_parse(char *s)
{
    char arg[16], op[4], v1[64], eq[4], v2[64];
    int n = sscanf(s, "%15s %3s %63s %3s %63s", arg, op, v1, eq, v2);
    struct scmp_arg_cmp c = {0};

    if (n < 3 || strncmp(arg, "arg", 3) || arg[3] < '0' || arg[3] > '5' || arg[4]) {
        fail("not a condition", s);
    }
    c.arg = (unsigned)(arg[3] - '0');
    c.datum_a = value_parse(v1);
    if (!strcmp(op, "&") && n == 5 && !strcmp(eq, "==")) {
        c.op = SCMP_CMP_MASKED_EQ;
        c.datum_b = value_parse(v2);
    } else if (n == 3 && !strcmp(op, "==")) {
        c.op = SCMP_CMP_EQ;
    } else if (n == 3 && !strcmp(op, "!=")) {
        c.op = SCMP_CMP_NE;
    } else if (n == 3 && !strcmp(op, "<=")) {
        c.op = SCMP_CMP_LE;
    } else {
        fail("not a condition", s);
    }
    return c;
}

static bool default_allow; /* of the policy being read */

static void rule_add(scmp_filter_ctx ctx, uint32_t action, int nr, const char *name,
                     const struct scmp_arg_cmp *cmp, unsigned n)
{
    int err = seccomp_rule_add_exact_array(ctx, action, nr, n, cmp);

    if (err < 0) {
        fail(strerror(-err), name);
    }
}

static void line_compile(scmp_filter_ctx ctx, char *line)
{
    struct scmp_arg_cmp cmp[6];
    char *rest = strchr(line, ':');
    unsigned n = 0;
    int nr;

    if (rest) {
        *rest++ = '\0';
        rest = trim(rest);
    }
    line = trim(line);
    nr = seccomp_syscall_resolve_name(line);
    if (nr < 0) {
        fail("no such system call here", line);
    }
    if (rest && !default_allow && !strncmp(rest, "errno ", 6)) {
        rule_add(ctx, SCMP_ACT_ERRNO((uint32_t)value_parse(trim(rest + 6))), nr, line, NULL, 0);
        return;
    }
    if (default_allow != (rest && !strcmp(rest, "deny"))) {
        fail("a list of calls denied holds nothing but `name: deny', and no other list does", line);
    }
    if (default_allow) {
        rule_add(ctx, SCMP_ACT_TRAP, nr, line, NULL, 0);
        return;
    }
    for (char *c = rest; c && n < 6; n++) {
        char *next = strstr(c, "&&");

        if (next) {
            *next = '\0';
            next += 2;
        }
        cmp[n] = condition_parse(trim(c));
        c = next;
    }
    rule_add(ctx, SCMP_ACT_ALLOW, nr, line, cmp, n);
}

/* Calls fn for every line that is not empty, comments removed. */
static void policy_read(const char *path, void (*fn)(scmp_filter_ctx, char *), scmp_filter_ctx ctx)
{
    FILE *f = fopen(path, "r");
    char line[512];

    file_name = path;
    line_no = 0;
    if (!f) {
        fail("cannot read", strerror(errno));
    }
    while (fgets(line, sizeof(line), f)) {
        char *hash = strchr(line, '#'), *s;

        line_no++;
        if (hash) {
            *hash = '\0';
        }
        s = trim(line);
        if (*s) {
            fn(ctx, s);
        }
    }
    fclose(f);
}

/* First pass: the default action has to be known before the first rule. */
static void line_default(scmp_filter_ctx ctx, char *line)
{
    (void)ctx;
    default_allow = default_allow || !strcmp(line, "default: allow");
}

static void line_rule(scmp_filter_ctx ctx, char *line)
{
    if (strcmp(line, "default: allow")) {
        line_compile(ctx, line);
    }
}

static void bpf_print(scmp_filter_ctx ctx, const char *role)
{
    static struct sock_filter prog[BPF_MAXINSNS];
    FILE *tmp = tmpfile();
    size_t n;

    if (!tmp || seccomp_export_bpf(ctx, fileno(tmp)) < 0 || lseek(fileno(tmp), 0, SEEK_SET) < 0) {
        fail("cannot export", role);
    }
    n = fread(prog, sizeof(prog[0]), BPF_MAXINSNS, tmp);
    fclose(tmp);
    if (!n) {
        fail("empty filter", role);
    }
    printf("static const struct sock_filter bpf_%s[] = {\n", role);
    for (size_t i = 0; i < n; i++) {
        printf("    {0x%02x, %u, %u, 0x%08x},\n", prog[i].code, prog[i].jt, prog[i].jf, prog[i].k);
    }
    printf("};\n");
}

/* The role is the file's name: block.policy -> block, cpu-worker.policy -> cpu_worker. */
static void role_of(const char *path, char *role, size_t len)
{
    const char *base = strrchr(path, '/');

    snprintf(role, len, "%s", base ? base + 1 : path);
    role[strcspn(role, ".")] = '\0';
    for (char *p = role; *p; p++) {
        *p = *p == '-' ? '_' : *p;
    }
}

static void policy_compile(const char *path)
{
    scmp_filter_ctx ctx;
    char role[64];

    role_of(path, role, sizeof(role));
    default_allow = false;
    policy_read(path, line_default, NULL);
    ctx = seccomp_init(default_allow ? SCMP_ACT_ALLOW : SCMP_ACT_TRAP);
    if (!ctx || seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) < 0 ||
        seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2) < 0) {
        fail("libseccomp", "cannot start a filter");
    }
    policy_read(path, line_rule, ctx);
    bpf_print(ctx, role);
    seccomp_release(ctx);
}

static void names_print(void)
{
    printf("static const char *const syscall_names[] = {\n");
    for (int nr = 0; nr < NAMES_MAX; nr++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);

        if (name) {
            printf("    [%d] = \"%s\",\n", nr, name);
        }
        free(name);
    }
    printf("};\n");
}

int main(int argc, char **argv)
{
    printf("/* Generated from the policy files; do not edit. */\n");
    for (int i = 1; i < argc; i++) {
        policy_compile(argv[i]);
    }
    names_print();
    return 0;
}
