#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# For tests that kill net-proc: fetches http://10.0.2.2:$bhport/$bhfile again and again, each attempt
# on a new connection, until the server has a file "stop". Prints LOOP OK|FAIL N UPTIME per attempt.
# A transfer that is cut off while it only receives has nothing to be reset by: it is given up after
# bhtimeout seconds. Meanwhile a probe opens a connection every half second, and prints PROBE OK
# UPTIME when the server answered.
# Not wget -T: that crashes in Debian 12's static busybox.
url=http://10.0.2.2:${bhport:-8000}
limit=${bhtimeout:-3}

fetch() {
    timeout "$limit" wget -q -O - "$url/$1" 2>/dev/null
}
uptime_s() {
    cut -d' ' -f1 /proc/uptime
}
probe() {
    [ -z "$(fetch probe)" ] || echo "PROBE OK $(uptime_s)"
}

while sleep 0.5; do
    probe &
done &
prober=$!
n=0
while [ $n -lt "${bhcount:-200}" ]; do
    n=$((n + 1))
    sha=$(fetch "${bhfile:-blob}" | sha256sum | cut -d' ' -f1)
    if [ "$sha" = "$bhsha" ]; then
        echo "LOOP OK $n $(uptime_s)"
    else
        echo "LOOP FAIL $n $(uptime_s)"
    fi
    [ -z "$(fetch stop)" ] || break
done
kill $prober
wait
[ $n -lt "${bhcount:-200}" ]
