#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What Linux makes of the processor, and what it complains about.
grep -E '^(vendor_id|cpu family|model|model name|stepping|flags|address sizes)' /proc/cpuinfo | sort -u
dmesg | grep -E 'unchecked MSR|WARNING: CPU:|BUG:|Oops|invalid opcode' | sed 's/^/COMPLAINT /'
exit 0
