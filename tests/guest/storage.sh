#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Drives of a controller: loads every module of the initramfs, waits for $bhdev, then does $bhdo:
#   hammer   blk-hammer on it (its contents are lost): bhwriters (8), bhseconds (20)
#   sum      prints its size and SHA-256, read through the page cache
#   both     prints the SHA-256, writes random bytes to all of it, flushes, prints the SHA-256 read anew
#   none     only says that it is there
umount /mnt 2>/dev/null
for ko in /lib/modules/*.ko; do
    arg=
    case $ko in
    *-libata.ko) arg=$bhlibata ;; # insmod does not look at the kernel command line
    esac
    # shellcheck disable=SC2086
    insmod "$ko" $arg 2>/dev/null
done
n=0
while [ ! -b "$bhdev" ] && [ $n -lt 200 ]; do
    usleep 100000
    n=$((n + 1))
done
[ -b "$bhdev" ] || {
    echo "STORAGE no $bhdev"
    dmesg | tail -40
    exit 1
}
echo "STORAGE found $(cat "/sys/class/block/${bhdev#/dev/}/size") sectors"
[ -n "$bhcat" ] && cat "$bhcat"
[ -n "$bhset" ] && hdparm $bhset "$bhdev"
case $bhdo in
hammer) blk-hammer "$bhdev" "${bhwriters:-8}" "${bhseconds:-20}" ;;
both)
    echo "STORAGE before $(sha256sum <"$bhdev" | cut -d' ' -f1)"
    dd if=/dev/urandom of="$bhdev" bs=1M count=$(($(cat "/sys/class/block/${bhdev#/dev/}/size") / 2048)) 2>/dev/null || exit 2
    sync
    echo 3 >/proc/sys/vm/drop_caches
    echo "STORAGE after $(sha256sum <"$bhdev" | cut -d' ' -f1)"
    ;;
sum) echo "STORAGE sum $(sha256sum <"$bhdev" | cut -d' ' -f1)" ;;
esac
status=$?
dmesg | grep -iE 'error|exception|failed|timeout|reset' | grep -v -i 'ext4\|errors=' | head -20
exit $status
