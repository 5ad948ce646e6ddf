#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# First boot: writes a file of random bytes (bhsize MiB, default 8) and remembers its sha256 beside it.
# Any later boot: reads it back and compares. Prints DISK-SHA wrote|verified HASH.
set -e
cd /mnt
if [ ! -e blob.sha256 ]; then
    dd if=/dev/urandom of=blob bs=1M count="${bhsize:-8}" 2>/dev/null
    sha256sum blob >blob.sha256
    sync
    echo "DISK-SHA wrote $(cut -d' ' -f1 blob.sha256)"
else
    echo 3 >/proc/sys/vm/drop_caches
    sha256sum -c blob.sha256
    echo "DISK-SHA verified $(cut -d' ' -f1 blob.sha256)"
fi
