/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serial port and monitor on one shared host end: the Ctrl-a keys, line editing, back-pressure, and
 * a terminal that is as it was afterwards.
 */
#include <fcntl.h>
#include <pty.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "tests/unit/monitor/fake-vm.h"

static char got[1000000];
static size_t got_len;

static void drain(int fd)
{
    ssize_t n = read(fd, got + got_len, sizeof(got) - 1 - got_len);

    if (n > 0)
        got_len += (size_t)n;
    got[got_len] = 0;
}

static void expect(int fd, const char *text)
{
    RUN_UNTIL((drain(fd), strstr(got, text) != NULL));
    if (!strstr(got, text)) {
        fprintf(stderr, "wanted: %s\ngot: %s\n", text, got);
        exit(1);
    }
    got_len = 0;
}

static void type(int fd, const char *keys)
{
    CHECK(write(fd, keys, strlen(keys)) == (ssize_t)strlen(keys));
}

static void output(const char *text)
{
    memcpy(fake.tx + fake.tx_len, text, strlen(text));
    fake.tx_len += strlen(text);
    monitor_serial_poll(&fake_vm);
}

static void expect_input(const char *text)
{
    RUN_UNTIL(fake.rx_len >= strlen(text));
    CHECK(fake.rx_len == strlen(text) && !memcmp(fake.rx, text, fake.rx_len));
    fake.rx_len = 0;
}

/* ---- the keys
 * ------------------------------------------------------------------------------------ */
static void test_keys(int fd)
{
    output("guest\r\n");
    expect(fd, "guest\r\n");
    type(fd, "abc\r");
    expect_input("abc\r");
    type(fd, "\001\001x");
    expect_input("\001x");
    type(fd, "\001h");
    expect(fd, "Ctrl-a c    switch between console and monitor");
    type(fd, "\001b");
    RUN_UNTIL(fake.breaks == 1);
    CHECK(fake.breaks == 1);
    type(fd, "\001s");
    expect(fd, "nothing to save");
    type(fd, "\001t");
    ipc_loop_run_once(&fake_vm.loop, 50);
    output("line\r\n");
    expect(fd, "[00:00:0");
    type(fd, "\001t");
    ipc_loop_run_once(&fake_vm.loop, 50);
}

static void test_monitor(int fd)
{
    type(fd, "\001c");
    expect(fd, "monitor - type 'help' for more information\r\n");
    type(fd, "info status\r");
    expect(fd, "VM status: paused (prelaunch)\r\n(qemu) ");
    type(fd, "foo\r");
    expect(fd, "unknown command: 'foo'\r\n(qemu) ");
    type(fd, "info foo\r");
    expect(fd, "unknown command: 'info foo'\r\n");
    type(fd, "stop now\r");
    expect(fd, "stop|s: extraneous characters at the end of line\r\nTry \"help stop\" for more "
               "information");
    type(fd, "c\r\n");
    RUN_UNTIL(strstr(fake.calls, "cont"));
    type(fd, "device_restart\r");
    expect(fd, "device_restart: string expected");
    type(fd, "device_restart x\r");
    expect(fd, "Device 'x' not found");
    type(fd, "info processes\r");
    expect(fd, "block       virtio0                12       1001 running           3    1:01:01    "
               "   2048");
    type(fd, "help quit\r");
    expect(fd, "quit|q  -- quit the emulator");
}

static void test_editing(int fd)
{
    type(fd, "xinfo nameyy\x7f\x7f\001\001\004\r"); /* Ctrl-a Ctrl-a: start of line */
    expect(fd, "bob\r\n");
    type(fd, "\033[A\033[A\033[B\r");
    expect(fd, "bob\r\n");
    type(fd, "inf\tuui\t\r");
    expect(fd, "00000000-0000-0000-0000-000000000000\r\n");
    type(fd, "garbage\025info na\033[D\033[D\033[C\033[C\tzz\027\r"); /* Ctrl-u, Ctrl-w */
    expect(fd, "info ");
    type(fd, "\001c"); /* back to the console */
    type(fd, "console");
    expect_input("console");
}

/* ---- back-pressure
 * ------------------------------------------------------------------------------- */
static void test_slow_reader(int fd)
{
    size_t total = 900000;

    drain(fd); /* the line end of leaving the monitor */
    memset(fake.tx, 'z', total);
    fake.tx_len = total;
    got_len = 0;
    for (int i = 0; i < 100;
         i++) { /* nobody reads: some stays with the guest, more than 0 left it */
        monitor_serial_poll(&fake_vm);
        ipc_loop_run_once(&fake_vm.loop, 0);
    }
    CHECK(fake.tx_len > 0 && fake.tx_len < total);
    RUN_UNTIL(
        (drain(fd), got_len >= total)); /* no other poll: the host end asks for more by itself */
    CHECK(got_len == total && !fake.tx_len);
    got_len = 0;
}

static void test_deaf_guest(int fd)
{
    char text[3000];

    memset(text, 'i', sizeof(text));
    fake.rx_room = 100;
    (void)!write(fd, text, sizeof(text));
    for (int i = 0; i < 20; i++)
        ipc_loop_run_once(&fake_vm.loop, 5);
    CHECK(fake.rx_len == 100);
    fake.rx_room = sizeof(fake.rx);
    for (int i = 0; i < 20; i++) {
        monitor_serial_poll(&fake_vm);
        ipc_loop_run_once(&fake_vm.loop, 5);
    }
    CHECK(fake.rx_len == sizeof(text)); /* nothing was lost */
    fake.rx_len = 0;
}

static void test_socket(void)
{
    char dir[] = "/tmp/bulkhead-con-XXXXXX", option[160];
    const char *argv[] = {"-name", "bob", "-serial", option, NULL};
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), small = 4096;

    CHECK(mkdtemp(dir));
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/s", dir);
    snprintf(option, sizeof(option), "mon:unix:%s,server=on,wait=off", sa.sun_path);
    fake_start(argv);
    output("nobody is there\r\n");
    CHECK(!fake.tx_len);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    CHECK(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    ipc_loop_run_once(&fake_vm.loop, 100);
    test_keys(fd);
    test_monitor(fd);
    test_editing(fd);
    test_slow_reader(fd);
    test_deaf_guest(fd);
    type(fd, "\001x");
    expect(fd, "Terminated");
    CHECK(strstr(fake.calls, "quit"));
    close(fd);
    fake_end();
    CHECK(rmdir(dir) == 0);
}

/* ---- stdio
 * --------------------------------------------------------------------------------------- */
static void run_child(void (*body)(void), int in, int out)
{
    int status;
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (!pid) {
        alarm(10);
        dup2(in, 0);
        dup2(out, 1);
        body();
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status)) {
        fprintf(stderr, "child: status %x\n", status);
        exit(1);
    }
}

static void stdio_pipe_body(void)
{
    const char *argv[] = {"-serial", "stdio", NULL};

    fake_start(argv);
    RUN_UNTIL(fake.rx_len == 6);
    CHECK(!memcmp(fake.rx, "hello\n", 6));
    ipc_loop_run_once(&fake_vm.loop, 20); /* the end of input is just silence */
    output("to the pipe\n");
    fake_end();
}

static void test_stdio_pipe(void)
{
    int in[2], out[2];

    CHECK(pipe(in) == 0 && pipe(out) == 0);
    CHECK(write(in[1], "hello\n", 6) == 6);
    close(in[1]);
    run_child(stdio_pipe_body, in[0], out[1]);
    close(out[1]);
    got_len = 0;
    drain(out[0]);
    CHECK(!strcmp(got, "to the pipe\n"));
}

static void test_stdio_file(void)
{
    char name[] = "/tmp/bulkhead-in-XXXXXX";
    int fd = mkstemp(name), out[2];

    CHECK(fd >= 0 && pipe(out) == 0);
    unlink(name);
    CHECK(write(fd, "hello\n", 6) == 6 && lseek(fd, 0, SEEK_SET) == 0);
    run_child(stdio_pipe_body, fd, out[1]);
    close(fd);
}

static void stdio_crash_body(void)
{
    const char *argv[] = {"-nographic", "-serial", "mon:stdio", NULL};
    struct termios t;

    fake_start(argv);
    CHECK(tcgetattr(0, &t) == 0 && !(t.c_lflag & (ICANON | ECHO | ISIG)) && (t.c_oflag & OPOST));
    if (!fork())
        abort();
    fake_end();
    CHECK(tcgetattr(0, &t) == 0 && (t.c_lflag & ICANON) && (t.c_lflag & ISIG));
}

static void abort_body(void)
{
    const char *argv[] = {"-serial", "stdio", NULL};
    struct termios t;
    int status;
    pid_t pid;

    CHECK(tcgetattr(0, &t) == 0 && (t.c_lflag & ICANON));
    pid = fork();
    if (!pid) {
        fake_start(argv);
        CHECK(tcgetattr(0, &t) == 0 && !(t.c_lflag & ICANON) && (t.c_lflag & ISIG));
        abort();
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
    CHECK(tcgetattr(0, &t) == 0 && (t.c_lflag & ICANON));
}

static void test_stdio_tty(void)
{
    int master, slave;

    CHECK(openpty(&master, &slave, NULL, NULL, NULL) == 0);
    run_child(stdio_crash_body, slave, slave);
    run_child(abort_body, slave, slave);
    close(master);
    close(slave);
}

/* ---- file, pty
 * ----------------------------------------------------------------------------------- */
static void test_file(void)
{
    char name[] = "/tmp/bulkhead-out-XXXXXX", option[64];
    const char *argv[] = {"-serial", option, NULL};
    int fd = mkstemp(name);

    snprintf(option, sizeof(option), "file:%s", name);
    fake_start(argv);
    output("into the file\n");
    fake_end();
    got_len = 0;
    drain(fd);
    CHECK(!strcmp(got, "into the file\n"));
    close(fd);
    unlink(name);
}

static void test_full_disk(void)
{
    const char *argv[] = {"-serial", "file:/dev/full", NULL};

    fake_start(argv);
    memset(fake.tx, 'f', 150000);
    fake.tx_len = 150000;
    RUN_UNTIL((monitor_serial_poll(&fake_vm), !fake.tx_len));
    CHECK(!fake.tx_len); /* the guest goes on */
    fake_end();
}

static void pty_body(void)
{
    const char *argv[] = {"-serial", "pty", NULL};
    char name[64] = "";
    int p[2], saved = dup(1), fd;

    CHECK(pipe(p) == 0);
    dup2(p[1], 1);
    fake_start(argv);
    dup2(saved, 1);
    CHECK(read(p[0], got, sizeof(got)) > 0);
    CHECK(sscanf(got, "char device redirected to %63s (label serial0)", name) == 1);
    output("lost\n"); /* nobody has it open */
    CHECK(!fake.tx_len);
    for (int turn = 0; turn < 2; turn++) { /* somebody comes, leaves, comes again */
        fd = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK);
        CHECK(fd >= 0);
        CHECK(write(fd, "in", 2) == 2);
        RUN_UNTIL(fake.rx_len == 2);
        CHECK(fake.rx_len == 2);
        fake.rx_len = 0;
        got_len = 0;
        output("out\n");
        expect(fd, "out\n");
        close(fd);
        RUN_UNTIL((ipc_loop_run_once(&fake_vm.loop, 300), true));
    }
    fake_end();
}

int main(void)
{
    test_socket();
    test_stdio_pipe();
    test_stdio_file();
    test_stdio_tty();
    test_file();
    test_full_disk();
    run_child(pty_body, 0, 1);
    return 0;
}
