/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files libslirp sees: one, /etc/resolv.conf, made of the name servers of the BOOT message. The
 * jail's root is empty, and a library that handles the guest's packets should open nothing.
 */
#ifndef BULKHEAD_NET_PROC_BACKEND_SLIRP_FILES_H
#define BULKHEAD_NET_PROC_BACKEND_SLIRP_FILES_H

#include "net-proc/net-config.h"

/* Makes the file's text. Without name servers in the configuration (a front end that is not the
 * vmm) the host's own file is read, which only works outside a jail. Before the lock. */
void slirp_files_init(const struct net_config *cfg);

#endif
