#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Answers one datagram on UDP port 7 (for hostfwd=udp:...-:7). Prints UDP-ECHO ready, UDP-ECHO done.
echo "UDP-ECHO ready"
timeout "${bhseconds:-60}" udp-echo 7 && echo "UDP-ECHO done"
