#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# For tests that disturb a running guest: work with a known result again and again, two processes at a time. Prints
# COUNT OK N or COUNT FAIL N after each round; ends after $bhcount rounds that follow the first.
want=f6351f5ead9a700e34275480b3856ea738122a7c57bdeb744a631251c069587a
n=0
bad=0
while [ $n -le "${bhcount:-20}" ]; do
    sum=$(seq 1 20000 | sha256sum | cut -d' ' -f1)
    total=$(seq 1 2000 | awk '{ s += $1 * 0.5 } END { print s }')
    if [ "$sum" = $want ] && [ "$total" = 1000500 ]; then
        echo "COUNT OK $n"
    else
        echo "COUNT FAIL $n $sum $total"
        bad=1
    fi
    n=$((n + 1))
done
exit $bad
