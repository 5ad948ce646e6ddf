#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# 8 parallel writers with sequence-stamped blocks on /dev/vda (raw; its contents are lost), direct I/O,
# verified. bhseconds (default 20), bhwriters (8). Prints the lines of blk-hammer.c; its status.
umount /mnt 2>/dev/null
blk-hammer "${bhdev:-/dev/vda}" "${bhwriters:-8}" "${bhseconds:-20}"
