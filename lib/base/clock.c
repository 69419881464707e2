#include "lib/base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t
now_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t
clock_mono_ms(void)
{
	return now_us(CLOCK_MONOTONIC) / 1000;
}

uint64_t
clock_mono_us(void)
{
	return now_us(CLOCK_MONOTONIC);
}

uint64_t
clock_wall_ms(void)
{
	return now_us(CLOCK_REALTIME) / 1000;
}

/* gmtime_r reads no file and takes no lock of the time zone. */
static void
split(uint64_t wall_ms, struct tm *tm)
{
	time_t t = (time_t)(wall_ms / 1000);

	if (wall_ms / 1000 > 253402300799 || gmtime_r(&t, tm) == NULL) {
		t = 253402300799; /* the end of the year 9999 */
		gmtime_r(&t, tm);
	}
}

void
clock_format_rfc3339(uint64_t wall_ms, char out[static 25])
{
	struct tm tm;

	split(wall_ms, &tm);
	size_t n = strftime(out, 25, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, 25 - n, ".%03uZ", (unsigned int)(wall_ms % 1000));
}

void
clock_format_rfc5322(uint64_t wall_ms, char out[static 32])
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu",
		"Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	struct tm tm;

	split(wall_ms, &tm);
	snprintf(out, 32, "%s, %02u %s %04u %02u:%02u:%02u +0000",
	    days[(unsigned int)tm.tm_wday % 7], (unsigned int)tm.tm_mday % 32,
	    months[(unsigned int)tm.tm_mon % 12],
	    (unsigned int)(tm.tm_year + 1900) % 10000,
	    (unsigned int)tm.tm_hour % 24, (unsigned int)tm.tm_min % 60,
	    (unsigned int)tm.tm_sec % 61);
}
