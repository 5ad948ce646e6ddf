#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes 8 MiB to /dev/vda with direct I/O, says how large the disk is, waits until it is twice as large, reads back. Prints
# FULL written, FULL grown SECTORS, FULL same|differs; status 0 if all that went well.
set -e
umount /mnt 2>/dev/null || true
before=$(cat /sys/block/vda/size)
tr '\0' 'x' </dev/zero | dd of=/dev/vda bs=64k count=128 iflag=fullblock oflag=direct 2>/dev/null
echo "FULL written"
n=0
while [ "$(cat /sys/block/vda/size)" != $((before * 2)) ]; do
    n=$((n + 1))
    [ $n -lt 600 ]
    sleep 0.1
done
echo "FULL grown $(cat /sys/block/vda/size)"
tr '\0' 'x' </dev/zero | dd of=/tmp/want bs=64k count=128 iflag=fullblock 2>/dev/null
dd if=/dev/vda bs=64k count=128 iflag=direct 2>/dev/null | cmp - /tmp/want && echo "FULL same"
