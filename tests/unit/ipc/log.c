/* SPDX-License-Identifier: Apache-2.0 */
/* Log records over a channel, hostile ones included, and the rate limit. memfds on the side. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/chan.h"
#include "ipc/log.h"
#include "ipc/memfd.h"
#include "tests/lib/ctest.h"

static int record_raw(int sv[2], uint32_t level, uint32_t claimed, size_t sent)
{
    struct ipc_log_record r = {.level = level, .len = claimed}, out;

    memset(r.text, 'x', sizeof(r.text));
    if (ipc_chan_send(sv[0], &r, offsetof(struct ipc_log_record, text) + sent, NULL, 0, 0) < 0) {
        return 1000;
    }
    return ipc_log_record_recv(sv[1], &out);
}

static void test_log(void)
{
    struct ipc_log_record r;
    int sv[2];
    const char *bomb = "one\ntwo\033[2Jthree";

    ipc_chan_pair(sv);
    ipc_log_init(sv[0], "test");
    errno = EXDEV;
    log_warn("%s", bomb);
    ok(errno == EXDEV, "errno is kept");
    ok(ipc_log_record_recv(sv[1], &r) == 1 && !strcmp(r.text, "one two?[2Jthree"), "control characters do not pass");
    log_debug("quiet");
    ok(ipc_log_record_recv(sv[1], &r) == -EAGAIN, "debug is off");
    log_error("%600s", "long");
    ok(ipc_log_record_recv(sv[1], &r) == 1 && r.len == IPC_LOG_TEXT_MAX - 1, "a long text is cut");
    for (int i = 0; i < 100000; i++) {
        log_info("flood %d", i);
    }
    ok(true, "a full channel does not stop the sender");
    while (ipc_log_record_recv(sv[1], &r) == 1) {
    }
    ok(record_raw(sv, 9, 3, 3) == -EPROTO, "unknown level");
    ok(record_raw(sv, 0, 30, 3) == -EPROTO, "length beyond the record");
    ok(record_raw(sv, 0, 0xffffffff, 3) == -EPROTO, "length beyond reason");
    ok(record_raw(sv, 0, IPC_LOG_TEXT_MAX, IPC_LOG_TEXT_MAX) == 1, "a full record");
    ok(ipc_chan_send(sv[0], "x", 1, NULL, 0, 0) == 0 && ipc_log_record_recv(sv[1], &r) == -EPROTO, "no header");
    ipc_log_init(-1, "test");
    close(sv[0]);
    ok(ipc_log_record_recv(sv[1], &r) == 0, "hang-up");
}

static void test_ratelimit(void)
{
    struct ipc_ratelimit rl = {0};
    unsigned passed = 0;

    for (int i = 0; i < 100; i++) {
        passed += ipc_ratelimit_ok(&rl, 5, 3600);
    }
    ok(passed == 5 && rl.suppressed == 95, "5 of 100 pass");
}

static void test_memfd(void)
{
    struct stat st;
    int fd = ipc_memfd_create("test", 8192, IPC_SEALS_SIZE), ro;

    ok(fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 8192, "memfd of its size");
    ok((st.st_mode & 0777) == 0600, "mode 0600");
    ok(ftruncate(fd, 4096) < 0 && ftruncate(fd, 16384) < 0, "its size is fixed");
    ok(ipc_memfd_check(fd, 8192, IPC_SEALS_SIZE) == 0, "which a receiver can see");
    ok(ipc_memfd_check(fd, 4096, IPC_SEALS_SIZE) == -EINVAL, "another size is refused");
    ok(ipc_memfd_check(fd, 8192, IPC_SEALS_SIZE | F_SEAL_WRITE) == -EINVAL, "a missing seal is refused");
    ro = ipc_memfd_readonly(fd);
    ok(ro >= 0 && mmap(NULL, 8192, PROT_WRITE, MAP_SHARED, ro, 0) == MAP_FAILED, "read-only twin");
    close(fd);
    fd = ipc_memfd_create("test", 8192, 0);
    ok(ipc_memfd_check(fd, 8192, IPC_SEALS_SIZE) == -EINVAL, "unsealed is refused");
    close(fd);
    close(ro);
}

int main(void)
{
    test_log();
    test_ratelimit();
    test_memfd();
    return ctest_done();
}
