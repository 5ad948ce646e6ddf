/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for the three libc calls through which libslirp 4.7 reaches the file system: stat64 and
 * fopen64 for /etc/resolv.conf (looked at again every second, for as long as a guest asks for
 * names), open64 for TFTP. The program's own definitions come before libc's for every library it
 * loads; libc itself never uses these names. Must never open a path after the lock.
 */
#include "net-proc/backend/slirp-files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESOLV_CONF "/etc/resolv.conf"
#define RESOLV_MAX  4096

static char resolv_text[RESOLV_MAX];
static size_t resolv_len;

static void host_file_read(void)
{
    /* openat: not one of the calls defined below. */
    int fd = openat(AT_FDCWD, RESOLV_CONF, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, resolv_text, sizeof resolv_text - 1);
    resolv_len = n > 0 ? (size_t)n : 0;
    resolv_text[resolv_len] = 0;
    close(fd);
}

void slirp_files_init(const struct net_config *cfg)
{
    resolv_len = 0;
    for (unsigned i = 0; i < cfg->n_host_dns; i++)
        resolv_len += (size_t)snprintf(resolv_text + resolv_len, sizeof resolv_text - resolv_len,
                                       "nameserver %s\n", cfg->host_dns[i]);
    if (!resolv_len)
        host_file_read();
}

static bool is_resolv_conf(const char *path)
{
    if (resolv_len && !strcmp(path, RESOLV_CONF))
        return true;
    errno = ENOENT;
    return false;
}

/* Never changes: libslirp keeps what it read. */
int stat64(const char *restrict path, struct stat64 *restrict st)
{
    if (!is_resolv_conf(path))
        return -1;
    memset(st, 0, sizeof *st);
    st->st_mode = S_IFREG | 0444;
    st->st_ino = 1;
    st->st_size = (off_t)resolv_len;
    return 0;
}

FILE *fopen64(const char *restrict path, const char *restrict mode)
{
    if (mode[0] != 'r' || !is_resolv_conf(path))
        return NULL;
    return fmemopen(resolv_text, resolv_len, "r");
}

int open64(const char *path, int flags, ...)
{
    (void)path;
    (void)flags;
    errno = ENOENT;
    return -1;
}
