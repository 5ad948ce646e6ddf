#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fetches http://10.0.2.2:$bhport/$bhfile from the host and prints FETCH SHA256 SECONDS.
start=$(cut -d' ' -f1 /proc/uptime)
sha=$(wget -q -O - "http://${bhhost:-10.0.2.2}:${bhport:-8000}/${bhfile:-blob}" | sha256sum | cut -d' ' -f1)
end=$(cut -d' ' -f1 /proc/uptime)
echo "FETCH $sha $(awk "BEGIN { print $end - $start }")"
[ "$sha" != e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 ] # of nothing
