/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-spawner: the ways in. Started by the vmm (as root, or in a user namespace made for it), or as
 * the system broker.
 */
#include "vmm/spawner/spawner.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/fds.h"

static const char help[] =
    "usage: bulkhead-spawner --broker [--listen PATH]\n"
    "Starts the processes of virtual machines, each with a UID, namespaces and an empty root of its own.\n"
    "bulkhead starts it by itself where it can. --broker serves emulators that run without privilege:\n"
    "the service manager passes the listening socket (LISTEN_FDS), or --listen makes one (mode 0660).\n";

#define END_LIMIT_S 10

/* The hang-up of the channel does the work; this sees to it that it does not take for ever. */
static void parent_died(int sig)
{
    (void)sig;
    alarm(END_LIMIT_S);
}

/* The vmm's death is ours, and through ours every child's. Not by SIGKILL: an orderly end leaves no
 * cgroups behind. */
static bool parent_bind(void)
{
    struct sigaction sa = {.sa_handler = parent_died};
    struct pollfd p = {.fd = SP_CHANNEL_FD, .events = POLLIN};

    if (sigaction(SIGTERM, &sa, NULL) < 0 || prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0) {
        return false;
    }
    return poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP); /* it may have died before the prctl */
}

static int session_main(bool userns, unsigned ids)
{
    if (!ipc_fd_is_socket(SP_CHANNEL_FD, AF_UNIX, SOCK_SEQPACKET)) {
        fprintf(stderr, "bulkhead-spawner: --session is for bulkhead; see --help\n");
        return 1;
    }
    return parent_bind() ? sp_session(SP_CHANNEL_FD, userns, ids, false) : 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--help")) {
        fputs(help, stdout);
        return 0;
    }
    if (argc == 2 && !strcmp(argv[1], "--version")) {
        printf("bulkhead-spawner %s\n", BULKHEAD_VERSION);
        return 0;
    }
    if (argc == 2 && !strcmp(argv[1], "--session")) {
        return session_main(false, 0);
    }
    if (argc == 3 && !strcmp(argv[1], "--session-userns")) {
        return session_main(true, (unsigned)strtoul(argv[2], NULL, 10));
    }
    if (argc == 2 && !strcmp(argv[1], "--broker")) {
        return sp_broker(NULL);
    }
    if (argc == 4 && !strcmp(argv[1], "--broker") && !strcmp(argv[2], "--listen")) {
        return sp_broker(argv[3]);
    }
    fprintf(stderr, "bulkhead-spawner: %s%s; see --help\n", argc > 1 ? "cannot do " : "nothing to do",
            argc > 1 ? argv[1] : "");
    return 1;
}
