#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What udhcpc found out becomes the interface's configuration.
case $1 in
deconfig)
    ip addr flush dev "$interface"
    ip link set "$interface" up
    ;;
bound | renew)
    ip addr replace "$ip/${mask:-24}" dev "$interface"
    for r in $router; do
        ip route replace default via "$r" dev "$interface"
        break
    done
    : >/etc/resolv.conf
    [ -z "${search:-$domain}" ] || echo "search ${search:-$domain}" >>/etc/resolv.conf
    for d in $dns; do
        echo "nameserver $d" >>/etc/resolv.conf
    done
    ;;
esac
