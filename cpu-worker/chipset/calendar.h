/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seconds since 1970 to calendar date and back, without libc: its functions open time-zone files,
 * and this process has none. Owns the arithmetic of the Gregorian calendar; knows no chip.
 */
#ifndef BULKHEAD_CPU_WORKER_CALENDAR_H
#define BULKHEAD_CPU_WORKER_CALENDAR_H

#include <stdint.h>

struct calendar {
    int year;                          /* 1970 ... */
    unsigned month, mday;              /* from 1 */
    unsigned wday;                     /* 0 = Sunday */
    unsigned hour, min, sec;
};
void calendar_from_seconds(struct calendar *c, int64_t s); /* s >= 0 */
/* Fields out of range carry over (32 January is 1 February); wday is not looked at. */
int64_t calendar_to_seconds(const struct calendar *c);

#endif
