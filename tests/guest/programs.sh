#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs tests/guest/programs/run of the Debian tree on the disk (bhset = quick or long).
mount -t proc proc /mnt/proc
mount --bind /dev /mnt/dev
mount -t tmpfs tmpfs /mnt/tmp
echo "PROGRAMS flags $(grep -m1 ^flags /proc/cpuinfo | cut -d: -f2)"
echo "PROGRAMS begin"
chroot /mnt /bin/sh /bh/run "${bhset:-quick}"
r=$?
echo "PROGRAMS end"
umount /mnt/tmp /mnt/dev /mnt/proc
exit $r
