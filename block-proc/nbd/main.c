/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-nbd: exports an image over NBD, with qemu-nbd's options as far as they are built. Socket and image are opened
 * first; the half that serves is locked down (role nbd) before it reads a byte of either. Must never accept an option
 * it does not carry out.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "block-proc/image/qcow2-tool.h"
#include "block-proc/img/img.h"
#include "block-proc/img/opener.h"
#include "block-proc/nbd/nbd.h"

#define CLIENTS_MAX 64
#define DEADLINE_S  15 /* for the handshake */

static struct tool_chain chain;
static struct img overlay;
static struct img_file overlay_file;
static struct nbd_export export = {.name = "", .description = ""};
static int listen_fd = -1, ready_fd = -1;

static struct {
    pthread_mutex_t lock;
    int fd[CLIENTS_MAX]; /* -1 = free */
    unsigned n, max, served;
    bool persistent;
} clients = {.lock = PTHREAD_MUTEX_INITIALIZER, .max = 1};

static struct nbd_args {
    const char *port, *bind, *path, *fmt, *snapshot, *pid_file;
    bool fork, temporary, verbose, direct;
    uint64_t offset;
} args = {.port = "10809"};

/* ---- the wire */
int nbd_recv(int fd, void *p, size_t n)
{
    for (uint8_t *at = p; n;) {
        ssize_t r = recv(fd, at, n, 0);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return r < 0 ? -errno : -ECONNRESET;
        at += r;
        n -= (size_t)r;
    }
    return 0;
}

int nbd_send(int fd, const void *head, size_t n_head, const void *body, size_t n_body)
{
    const struct iovec v[2] = {{(void *)(uintptr_t)head, n_head}, {(void *)(uintptr_t)body, n_body}};
    for (size_t done = 0; done < n_head + n_body;) {
        struct iovec left[2] = {v[0], v[1]};
        size_t skip = done < n_head ? done : n_head;
        left[0].iov_base = (uint8_t *)left[0].iov_base + skip;
        left[0].iov_len -= skip;
        left[1].iov_base = (uint8_t *)left[1].iov_base + (done - skip);
        left[1].iov_len -= done - skip;
        struct msghdr m = {.msg_iov = left, .msg_iovlen = n_body ? 2 : 1};
        ssize_t r = sendmsg(fd, &m, MSG_NOSIGNAL);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        done += (size_t)r;
    }
    return 0;
}

uint16_t nbd_flags(const struct nbd_export *e)
{
    uint16_t f = 1 | 4 | 8; /* has flags, FLUSH, FUA */
    f |= e->readonly ? 2 : 32 | 64; /* TRIM, WRITE_ZEROES */
    return (uint16_t)(f | 128 | (e->many ? 256 : 0)); /* DF, MULTI_CONN: one image behind all connections */
}

/* ---- clients */
static void timeout_set(int fd, int seconds)
{
    struct timeval t = {seconds, 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
}

/* #syscalls:nbd shutdown */
static void client_end(struct nbd_client *c)
{
    pthread_mutex_lock(&clients.lock);
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        if (clients.fd[i] == c->fd)
            clients.fd[i] = -1;
    clients.n--;
    bool last = !clients.persistent && clients.n == 0;
    close(c->fd);
    if (last)
        shutdown(listen_fd, SHUT_RDWR);
    pthread_mutex_unlock(&clients.lock);
    img_io_fini(&c->io);
    free(c->buf);
    free(c);
}

static void *client_serve(void *arg)
{
    struct nbd_client *c = arg;
    timeout_set(c->fd, DEADLINE_S);
    if (nbd_negotiate(c) == 0) {
        timeout_set(c->fd, 0);
        nbd_transmit(c);
    }
    client_end(c);
    return NULL;
}

static struct nbd_client *client_new(int fd)
{
    struct nbd_client *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->e = &export;
    c->fd = fd;
    c->buf = malloc(NBD_REQUEST_MAX);
    if (c->buf && img_io_init(&c->io, export.img) == 0)
        return c;
    img_io_fini(&c->io);
    free(c->buf);
    free(c);
    return NULL;
}

static void client_take(int fd)
{
    pthread_t t;
    struct nbd_client *c = client_new(fd);
    pthread_mutex_lock(&clients.lock);
    bool room = c && clients.n < clients.max;
    for (unsigned i = 0; room && i < CLIENTS_MAX; i++)
        if (clients.fd[i] < 0) {
            clients.fd[i] = fd;
            break;
        }
    clients.n += room;
    pthread_mutex_unlock(&clients.lock);
    if (!room) {
        close(fd);
        if (c) {
            img_io_fini(&c->io);
            free(c->buf);
            free(c);
        }
    } else if (pthread_create(&t, NULL, client_serve, c) != 0) {
        client_end(c);
    } else {
        pthread_detach(t);
    }
}

static bool full(void)
{
    pthread_mutex_lock(&clients.lock);
    bool r = clients.n >= clients.max;
    pthread_mutex_unlock(&clients.lock);
    return r;
}

static void on_signal(int sig)
{
    (void)sig;
    shutdown(listen_fd, SHUT_RDWR);
}

/* #syscalls:nbd accept4 */
static void serve(void)
{
    for (;;) {
        struct pollfd p = {listen_fd, POLLIN, 0};
        if (full()) { /* others wait in the backlog, as with qemu-nbd */
            struct pollfd end = {listen_fd, 0, 0};
            if (poll(&end, 1, 50) == 1)
                break;
            continue;
        }
        if (poll(&p, 1, -1) < 0 && errno == EINTR)
            continue;
        int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            client_take(fd);
        else if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN)
            break; /* shut down */
    }
    pthread_mutex_lock(&clients.lock);
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        if (clients.fd[i] >= 0)
            shutdown(clients.fd[i], SHUT_RDWR);
    pthread_mutex_unlock(&clients.lock);
    for (unsigned i = 0; i < 500; i++) { /* the threads end with their sockets */
        pthread_mutex_lock(&clients.lock);
        bool none = clients.n == 0;
        pthread_mutex_unlock(&clients.lock);
        if (none)
            break;
        poll(NULL, 0, 10);
    }
}

/* ---- start */
static int listen_unix(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(a.sun_path))
        return tool_fail("%s: the socket's path is too long", path);
    strcpy(a.sun_path, path);
    listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listen_fd < 0 || bind(listen_fd, (struct sockaddr *)&a, sizeof(a)) || listen(listen_fd, 16))
        return tool_fail("cannot listen at '%s': %s", path, strerror(errno));
    return 0;
}

static int listen_tcp(const char *host, const char *port)
{
    struct addrinfo hint = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *a;
    int on = 1, r = getaddrinfo(host, port, &hint, &a);
    if (r)
        return tool_fail("%s:%s: %s", host ? host : "", port, gai_strerror(r));
    listen_fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listen_fd >= 0)
        (void)setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    r = listen_fd < 0 || bind(listen_fd, a->ai_addr, a->ai_addrlen) || listen(listen_fd, 16);
    freeaddrinfo(a);
    return r ? tool_fail("cannot listen at %s:%s: %s", host ? host : "*", port, strerror(errno)) : 0;
}

/* What the server says until it is up; the byte 0 means that it is. */
static void follow(int fd)
{
    char byte = 1;
    while (read(fd, &byte, 1) == 1 && byte)
        (void)!write(2, &byte, 1);
    _exit(byte ? 1 : 0);
}

/* --fork: the parent ends when the server is up, with its status. The server holds none of its descriptors. */
static void go_background(void)
{
    int fds[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (pipe2(fds, O_CLOEXEC) < 0)
        exit(tool_fail("pipe: %s", strerror(errno)));
    pid_t pid = fork();
    if (pid < 0)
        exit(tool_fail("fork: %s", strerror(errno)));
    if (pid > 0) {
        close(fds[1]);
        follow(fds[0]);
    }
    close(fds[0]);
    dup2(null, 0);
    dup2(null, 1);
    dup2(fds[1], 2);
    close(fds[1]);
    signal(SIGPIPE, SIG_IGN); /* nobody reads what is said later */
    ready_fd = 2;
    setsid();
}

static void say_ready(void)
{
    if (ready_fd < 0)
        return;
    (void)!write(ready_fd, "", 1);
}

static int pid_write(void)
{
    FILE *f = args.pid_file ? fopen(args.pid_file, "w") : NULL;
    if (!args.pid_file)
        return 0;
    if (!f || fprintf(f, "%ld\n", (long)getpid()) < 0 || fclose(f))
        return tool_fail("%s: %s", args.pid_file, strerror(errno));
    return 0;
}

/* -s: what clients write goes to a file without a name. */
static int overlay_open(int fd)
{
    struct qcow2_create c = {.size = chain.img[0].size, .cluster = 65536, .refcount_bits = 16, .backing = "export"};
    struct img_options opt = {0};
    int r = img_file_open(&overlay_file, fd, false);
    if (r == 0)
        r = qcow2_create(&overlay_file, &c, &chain.io);
    if (r == 0)
        r = img_open(&overlay, &img_qcow2, &overlay_file, "temporary image", &opt, &chain.io);
    overlay.backing = &chain.img[0];
    export.img = &overlay;
    return r < 0 ? tool_fail("the temporary image of -s cannot be made: %s", strerror(-r)) : 0;
}

static int export_open(const char *file, int temporary_fd)
{
    unsigned flags = (export.readonly || args.temporary || args.snapshot ? 0 : TOOL_WRITE) | (args.direct ? TOOL_DIRECT : 0);
    if (tool_open(&chain, file, args.fmt, flags) < 0 || tool_snapshot_load(&chain, args.snapshot))
        return 1;
    export.img = &chain.img[0];
    if (args.temporary && overlay_open(temporary_fd))
        return 1;
    if (args.offset > export.img->size || args.offset % IMG_SECTOR)
        return tool_fail("the offset must be a multiple of 512 inside the image");
    export.offset = args.offset;
    export.size = export.img->size - args.offset;
    return 0;
}

static void help(void)
{
    printf("usage: bulkhead-nbd [options] FILE\nExports an image over the NBD protocol.\n\n"
           "  -p, --port=PORT          port to listen on (10809)\n  -b, --bind=IFACE         address to listen on\n"
           "  -k, --socket=PATH        UNIX socket instead\n  -f, --format=FORMAT      of the image (built: %s)\n"
           "  -r, --read-only          export read-only\n  -s, --snapshot           writes go to a temporary file\n"
           "  -l, --load-snapshot=S    export an internal snapshot, read-only\n  -e, --shared=NUM         clients at a time, 0 = any (1)\n"
           "  -t, --persistent         go on when the last client has left\n  -x, --export-name=NAME   name of the export\n"
           "  -D, --description=TEXT   description of the export\n  -o, --offset=OFFSET      byte of the image the export begins at\n"
           "  -n, --nocache            bypass the page cache\n      --discard=ignore|unmap  what a client's trim does (ignore)\n"
           "      --fork               to the background, once the server is up\n      --pid-file=PATH      where to leave the process id\n"
           "  -h, --help  -V, --version\n\nNot built: -c and -d (kernel devices), -P, TLS, --image-opts, -L, -B, -A.\n", img_driver_names());
}

enum { OPT_FORK = 256, OPT_PID, OPT_DISCARD };

static int args_read(int argc, char **argv)
{
    static const struct option longs[] = {
        {"port", 1, NULL, 'p'}, {"bind", 1, NULL, 'b'}, {"socket", 1, NULL, 'k'}, {"format", 1, NULL, 'f'},
        {"read-only", 0, NULL, 'r'}, {"snapshot", 0, NULL, 's'}, {"load-snapshot", 1, NULL, 'l'}, {"shared", 1, NULL, 'e'},
        {"persistent", 0, NULL, 't'}, {"export-name", 1, NULL, 'x'}, {"description", 1, NULL, 'D'}, {"offset", 1, NULL, 'o'},
        {"nocache", 0, NULL, 'n'}, {"discard", 1, NULL, OPT_DISCARD}, {"fork", 0, NULL, OPT_FORK}, {"pid-file", 1, NULL, OPT_PID},
        {"help", 0, NULL, 'h'}, {"version", 0, NULL, 'V'}, {0}};
    uint64_t n;
    for (int o; (o = getopt_long(argc, argv, "p:b:k:f:rsl:e:tx:D:o:nhV", longs, NULL)) != -1;) {
        switch (o) {
        case 'p': args.port = optarg; break;
        case 'b': args.bind = optarg; break;
        case 'k': args.path = optarg; break;
        case 'f': args.fmt = optarg; break;
        case 'r': export.readonly = true; break;
        case 's': args.temporary = true; break;
        case 'l': args.snapshot = optarg; export.readonly = true; break;
        case 't': clients.persistent = true; break;
        case 'x': export.name = optarg; break;
        case 'D': export.description = optarg; break;
        case 'n': args.direct = true; break;
        case OPT_FORK: args.fork = true; break;
        case OPT_PID: args.pid_file = optarg; break;
        case 'h': help(); exit(0);
        case 'V': printf("bulkhead-nbd version %s\n", BULKHEAD_VERSION); exit(0);
        case OPT_DISCARD:
            export.discard = !strcmp(optarg, "unmap") || !strcmp(optarg, "on");
            if (!export.discard && strcmp(optarg, "ignore") && strcmp(optarg, "off"))
                return tool_fail("Invalid discard mode '%s'", optarg);
            break;
        case 'e':
            if (!tool_size(optarg, &n) || n > CLIENTS_MAX)
                return tool_fail("Shared device number must be between 0 and %d", CLIENTS_MAX);
            clients.max = n ? (unsigned)n : CLIENTS_MAX;
            break;
        case 'o':
            if (!tool_size(optarg, &args.offset))
                return tool_fail("Invalid offset '%s'", optarg);
            break;
        default: return 1;
        }
    }
    export.many = clients.max > 1;
    if (optind != argc - 1)
        return tool_fail("Expecting one image file name");
    return strlen(export.name) > NBD_NAME_MAX || strlen(export.description) > NBD_NAME_MAX ? tool_fail("a name is too long") : 0;
}

int main(int argc, char **argv)
{
    int temporary = -1;
    tool_init();
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        clients.fd[i] = -1;
    if (args_read(argc, argv) || (args.path ? listen_unix(args.path) : listen_tcp(args.bind, args.port)))
        return 1;
    if (args.temporary && (temporary = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) < 0)
        return tool_fail("/var/tmp: %s", strerror(errno));
    if (args.fork)
        go_background();
    opener_start();
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGHUP, &sa, NULL);
    if (pid_write())
        return 1;
    opener_role(SBX_NBD);
    tool_grant(argv[optind], export.readonly || args.temporary ? 0 : TOOL_WRITE);
    if (export_open(argv[optind], temporary))
        return 1;
    say_ready();
    serve();
    (void)img_flush(export.img, &chain.io);
    if (args.temporary)
        img_close(&overlay, &chain.io);
    tool_close(&chain);
    return 0;
}
