/* SPDX-License-Identifier: Apache-2.0 */
/* The Gregorian calendar for the RTC: see calendar.h. Must never call libc's time-zone functions.
 * The Gregorian calendar for the RTC: see calendar.h. Must never call libc's time-zone
 * functions. */
#include "cpu-worker/chipset/calendar.h"

/* Days from 1970-01-01 to the first of that month; months beyond 12 carry into the year. */
static int64_t days_to_month(int64_t year, unsigned month)
{
    static const int before[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    unsigned m = month ? month - 1 : 0;
    year += m / 12;
    m %= 12;
    int64_t y = year - 1; /* whole years before this one hold the leap days */
    int64_t days = 365 * (year - 1970) + (y / 4 - 1969 / 4) - (y / 100 - 1969 / 100) +
                   (y / 400 - 1969 / 400);
    int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days + before[m] + (leap && m >= 2);
}

int64_t calendar_to_seconds(const struct calendar *c)
{
    int64_t days = days_to_month(c->year, c->month) + (int64_t)c->mday - 1;
    return days * 86400 + (int64_t)c->hour * 3600 + (int64_t)c->min * 60 + c->sec;
}

void calendar_from_seconds(struct calendar *c, int64_t s)
{
    int64_t days = s / 86400;
    unsigned rest = (unsigned)(s % 86400);
    int64_t year = 1970 + days / 366; /* never too late; corrected upwards */
    while (days_to_month(year + 1, 1) <= days)
        year++;
    unsigned month = 1;
    while (month < 12 && days_to_month(year, month + 1) <= days)
        month++;
    c->year = (int)year;
    c->month = month;
    c->mday = (unsigned)(days - days_to_month(year, month)) + 1;
    c->wday = (unsigned)((days + 4) % 7); /* 1970-01-01 was a Thursday */
    c->hour = rest / 3600;
    c->min = rest / 60 % 60;
    c->sec = rest % 60;
}
