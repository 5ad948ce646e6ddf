/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON monitor sessions over a UNIX socket against a machine that is not there: greeting,
 * negotiation, commands, errors, events, several clients, a client that does not read.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "tests/unit/monitor/fake-vm.h"

static char dir[] = "/tmp/bulkhead-qmp-XXXXXX", path[64], path2[64], option[128], option2[128];
static char got[400000];
static size_t got_len;

static int dial(const char *where)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strcpy(sa.sun_path, where);
    CHECK(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    got_len = 0;
    got[0] = 0;
    return fd;
}

static int drain(int fd)
{
    ssize_t n = read(fd, got + got_len, sizeof(got) - 1 - got_len);

    if (n > 0)
        got_len += (size_t)n;
    got[got_len] = 0;
    return n == 0;
}

static void expect(int fd, const char *text)
{
    RUN_UNTIL((drain(fd), strstr(got, text) != NULL));
    if (!strstr(got, text)) {
        fprintf(stderr, "wanted: %s\ngot: %s\n", text, got);
        exit(1);
    }
}

static void say(int fd, const char *text)
{
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void ask(int fd, const char *request, const char *answer)
{
    got_len = 0;
    got[0] = 0;
    say(fd, request);
    expect(fd, answer);
    CHECK(strstr(got, "\r\n"));
}

static const char *const script[][2] = {
    {"{\"execute\":\"query-status\"}",
     "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"Expecting "
     "capabilities negotiation with 'qmp_capabilities'\"}}"},
    {"{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}", "was not offered"},
    {"{\"execute\":\"qmp_capabilities\"}", "{\"return\": {}}"},
    {"{\"execute\":\"qmp_capabilities\"}", "already complete"},
    {"{\"execute\":\"query-status\",\"id\":{\"a\":[1,null,\"x\"]}}",
     "{\"return\": {\"status\": \"prelaunch\", \"singlestep\": false, \"running\": false}, \"id\": "
     "{\"a\": "
     "[1, null, \"x\"]}}"},
    {"{\"execute\":\"foo\",\"id\":7}",
     "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command "
     "foo has not been found\"}, \"id\": 7}"},
    {"{\"exec\":\"foo\"}", "QMP input member 'exec' is unexpected"},
    {"{}", "QMP input lacks member 'execute'"},
    {"{\"execute\":5}", "QMP input member 'execute' must be a string"},
    {"[1]", "QMP input must be a JSON object"},
    {"{bad}\n", "JSON parse error"},
    {"{\"a\":\"\n", "JSON parse error"},
    {"{\"execute\":\"stop\",\"arguments\":{\"x\":1}}", "Parameter 'x' is unexpected"},
    {"{\"execute\":\"human-monitor-command\",\"arguments\":{}}",
     "Parameter 'command-line' is missing"},
    {"{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":5}}",
     "Invalid parameter type for 'command-line', expected: string"},
    {"{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"info status\"}}",
     "{\"return\": \"VM status: paused (prelaunch)\\r\\n\"}"},
    {"{\"execute\":\"cont\"}", "\"event\": \"RESUME\"}\r\n{\"return\": {}}"},
    {"{\"execute\":\"query-status\"}", "\"running\": true"},
    {"{\"execute\":\"stop\"}", "\"event\": \"STOP\"}\r\n{\"return\": {}}"},
    {"{\"execute\":\"system_reset\"}",
     "\"event\": \"RESET\", \"data\": {\"guest\": false, \"reason\": "
     "\"host-qmp-system-reset\"}}"},
    {"{\"execute\":\"system_powerdown\"}", "{\"return\": {}}"},
    {"{\"execute\":\"block_resize\",\"arguments\":{\"device\":\"virtio0\",\"size\":1048576}}", "{\"return\": {}}"},
    {"{\"execute\":\"block_resize\",\"arguments\":{\"device\":\"virtio0\",\"size\":-1}}", "expects a >0 size"},
    {"{\"execute\":\"block_set_io_throttle\",\"arguments\":{\"id\":\"virtio0\",\"bps\":5,\"bps_rd\":0,\"bps_wr\":0,"
     "\"iops\":0,\"iops_rd\":0,\"iops_wr\":7,\"iops_size\":4096}}", "{\"return\": {}}"},
    {"{\"execute\":\"block_set_io_throttle\",\"arguments\":{\"id\":\"virtio0\",\"bps\":5,\"bps_rd\":6,\"bps_wr\":0,"
     "\"iops\":0,\"iops_rd\":0,\"iops_wr\":0}}", "cannot be used at the same time"},
    {"{\"execute\":\"system_wakeup\"}", "{\"return\": {}}"},
    {"{\"execute\":\"x-device-restart\",\"arguments\":{\"id\":\"virtio0\"}}", "{\"return\": {}}"},
    {"{\"execute\":\"x-device-restart\",\"arguments\":{\"id\":\"nope\"}}",
     "{\"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"Device 'nope' not found\"}}"},
    {"{\"execute\":\"query-processes\"}",
     "\"role\": \"block\", \"id\": \"virtio0\", \"pid\": 12, \"uid\": "
     "1001, \"state\": \"running\", \"restarts\": 3"},
    {"{\"execute\":\"query-sandbox\"}",
     "\"layers\": [\"uid\", \"mount\", \"pid\", \"ipc\", \"uts\", "
     "\"net\", \"cgroup\", \"rlimit\", \"nocaps\", \"nnp\", \"seccomp\"]"},
    {"{\"execute\":\"query-version\"}", "\"package\": \"bulkhead-"},
    {"{\"execute\":\"query-name\"}", "{\"return\": {\"name\": \"bob\"}}"},
    {"{\"execute\":\"query-uuid\"}", "\"UUID\": \"00000000-0000-0000-0000-000000000000\""},
    {"{\"execute\":\"query-kvm\"}", "{\"return\": {\"enabled\": false, \"present\": false}}"},
    {"{\"execute\":\"query-block\"}", "\"device\": \"virtio0\""},
    {"{\"execute\":\"query-chardev\"}", "\"label\": \"compat_monitor0\""},
    {"{\"execute\":\"query-cpus-fast\"}", "\"cpu-index\": 0"},
    {"{\"execute\":\"query-commands\"}", "{\"name\": \"query-commands\"}"},
    {"{\"execute\":\"query-cpu-definitions\"}",
     "\"name\": \"Haswell-noTSX\", \"typename\": \"Haswell-noTSX-x86_64-cpu\""},
    {"{\"execute\":\"query-cpu-model-expansion\",\"arguments\":{\"type\":\"full\",\"model\":{\"name\":\"Haswell\",\"props\":{\"avx2\":false}}}}",
     "\"avx2\": false"},
    {"{\"execute\":\"query-cpu-model-expansion\",\"arguments\":{\"type\":\"static\",\"model\":{\"name\":\"EPYC\"}}}",
     "\"name\": \"base\", \"props\": {\"fpu\": true"},
    {"{\"execute\":\"query-cpu-model-expansion\",\"arguments\":{\"type\":\"full\",\"model\":{\"name\":\"z80\"}}}",
     "unable to find CPU model 'z80'"},
    {"{\"execute\":\"query-cpu-model-expansion\",\"arguments\":{\"type\":\"part\",\"model\":{\"name\":\"max\"}}}",
     "'static' or 'full'"},
    {"{\"execute\":\"query-cpu-model-expansion\",\"arguments\":{\"type\":\"full\",\"model\":{\"name\":5}}}",
     "'name' and 'props'"},
    {"{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"mce 0 1 0xb200000000000000 5 0 0\"}}",
     "{\"return\": \"\"}"},
    {"{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"mce 0 10 0 5 0 0\"}}", "bank 0 to 9"},
    {"{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"mce 0 1 zero 5 0 0\"}}", "six numbers"},
    {"{\"execute\":\"query-cpu-model-comparison\",\"arguments\":{\"modela\":{\"name\":\"EPYC\"},\"modelb\":{\"name\":\"EPYC-v1\"}}}",
     "\"result\": \"identical\", \"responsible-properties\": []"},
    {"{\"execute\":\"query-cpu-model-comparison\",\"arguments\":{\"modela\":{\"name\":\"Haswell\",\"props\":{\"avx2\":false}},\"modelb\":{\"name\":\"Haswell\"}}}",
     "\"result\": \"subset\", \"responsible-properties\": [\"avx2\"]"},
    {"{\"execute\":\"query-cpu-model-comparison\",\"arguments\":{\"modela\":{\"name\":\"Haswell\"},\"modelb\":{\"name\":\"Haswell\",\"props\":{\"avx2\":false}}}}",
     "\"result\": \"superset\", \"responsible-properties\": [\"avx2\"]"},
    {"{\"execute\":\"query-cpu-model-comparison\",\"arguments\":{\"modela\":{\"name\":\"Haswell\",\"props\":{\"avx2\":false}},\"modelb\":{\"name\":\"Haswell\",\"props\":{\"bmi2\":false}}}}",
     "\"result\": \"incompatible\", \"responsible-properties\": [\"avx2\", \"bmi2\"]"},
    {"{\"execute\":\"query-cpu-model-comparison\",\"arguments\":{\"modela\":{\"name\":\"Nehalem\"},\"modelb\":{\"name\":\"Opteron_G1\"}}}",
     "\"vendor\", \"family\""},
    {"{\"execute\":\"query-cpu-model-comparison\",\"arguments\":{\"modela\":{\"name\":\"Nehalem\"},\"modelb\":{\"name\":\"z80\"}}}",
     "unable to find CPU model 'z80'"},
    {"{\"execute\":\"query-cpu-model-baseline\",\"arguments\":{\"modela\":{\"name\":\"Haswell\"},\"modelb\":{\"name\":\"Nehalem\"}}}",
     "\"vendor\": \"GenuineIntel\", \"family\": 6, \"model\": 26"},
    {"{\"execute\":\"query-cpu-model-baseline\",\"arguments\":{\"modela\":{\"name\":\"Haswell\",\"props\":{\"avx2\":false}},\"modelb\":{\"name\":\"Broadwell\"}}}",
     "\"avx2\": false"},
    {"{\"execute\":\"query-cpu-model-baseline\",\"arguments\":{\"modela\":{\"name\":\"Haswell\"},\"modelb\":{\"name\":\"EPYC\"}}}",
     "no baseline"},
    {"{\"execute\":\"query-name\"}{\"execute\":\"query-kvm\"}", "\"enabled\""},
};

static void test_script(void)
{
    int fd = dial(path);

    expect(fd, "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 2, \"major\": 7}, "
               "\"package\": ");
    for (unsigned i = 0; i < sizeof(script) / sizeof(script[0]); i++)
        ask(fd, script[i][0], script[i][1]);
    CHECK(!strcmp(fake.calls, "cont stop reset powerdown resize virtio0 1048576 throttle virtio0 5 7 4096 wakeup restart restart mce0 "));
    fake.fail = -5;
    ask(fd, "{\"execute\":\"cont\"}", "\"desc\": \"the fake says no\"");
    close(fd);
}

/* The server takes the next client, who starts from the beginning. */
static void test_again(void)
{
    int fd = dial(path);

    expect(fd, "QMP");
    ask(fd, "{\"execute\":\"query-name\"}", "Expecting capabilities");
    close(fd);
}

/* Two monitors; the second has the long form and sees the first one's events. */
static void test_two(void)
{
    int a = dial(path), b = dial(path2);

    ask(b, "{\"execute\":\"qmp_capabilities\"}", "{\r\n    \"return\": {\r\n    }\r\n}");
    say(a, "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"stop\"}");
    got_len = 0;
    expect(b, "\"event\": \"STOP\"");
    close(a);
    close(b);
}

/* A client that asks and never reads loses its connection, not the emulator its memory. */
static void test_deaf(void)
{
    static const char request[] = "{\"execute\":\"query-commands\"}";
    int fd = dial(path), closed = 0, i = 0;

    expect(fd, "QMP");
    ask(fd, "{\"execute\":\"qmp_capabilities\"}", "return");
    for (i = 0; i < 20000 && !closed; i++) {
        closed = send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0;
        ipc_loop_run_once(&fake_vm.loop, 0);
        if (closed && i < 100)
            closed = 0;
    }
    RUN_UNTIL((got_len = 0, drain(fd)));
    CHECK(drain(fd));
    close(fd);
    fd = dial(path);
    expect(fd, "QMP");
    close(fd);
}

static void test_garbage(void)
{
    uint8_t noise[4096];
    int fd = dial(path);
    unsigned seed = 12345;

    expect(fd, "QMP");
    for (unsigned turn = 0; turn < 50; turn++) {
        for (unsigned i = 0; i < sizeof(noise); i++) {
            seed = seed * 1103515245u + 12345u;
            noise[i] = (uint8_t)(seed >> 16);
        }
        (void)!send(fd, noise, sizeof(noise), MSG_NOSIGNAL);
        ipc_loop_run_once(&fake_vm.loop, 0);
        got_len = 0;
        drain(fd);
    }
    close(fd);
    fd = dial(path);
    expect(fd, "QMP");
    close(fd);
}

static void test_quit(void)
{
    int fd = dial(path);

    expect(fd, "QMP");
    say(fd, "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"quit\"}");
    RUN_UNTIL(strstr(fake.calls, "quit"));
    fake_end();
    drain(fd);
    CHECK(strstr(got, "{\"return\": {}}\r\n{\"return\": {}}\r\n"));
    CHECK(access(path, F_OK));
    close(fd);
}

static void start(void)
{
    const char *argv[] = {"-name",       "bob",   "-qmp",   option,
                          "-qmp-pretty", option2, "-drive", "file=d.raw,format=raw,if=virtio",
                          NULL};

    fake_start(argv);
}

int main(void)
{
    struct stat st;
    int stale;
    struct sockaddr_un sa = {.sun_family = AF_UNIX};

    CHECK(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/a", dir);
    snprintf(path2, sizeof(path2), "%s/b", dir);
    snprintf(option, sizeof(option), "unix:%s,server=on,wait=off", path);
    snprintf(option2, sizeof(option2), "unix:%s,server=on,wait=off", path2);
    stale = socket(AF_UNIX, SOCK_STREAM, 0); /* a name that an emulator left behind */
    strcpy(sa.sun_path, path);
    CHECK(bind(stale, (struct sockaddr *)&sa, sizeof(sa)) == 0);
    close(stale);
    umask(077);
    start();
    CHECK(stat(path, &st) == 0 && (st.st_mode & 077) == 0);
    test_script();
    test_again();
    test_two();
    test_deaf();
    test_garbage();
    test_quit();
    CHECK(rmdir(dir) == 0);
    return 0;
}
