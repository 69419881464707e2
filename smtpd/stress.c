/*
 * What is looked at: connections of the gateway against `limit connections';
 * descriptors of this process against its RLIMIT_NOFILE; memory it has taken
 * against its RLIMIT_AS, or what the machine has. All of it without a file.
 */
#include "smtpd/stress.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "smtpd/limits.h"
#include "smtpd/listener.h"
#include "smtpd/sessions.h"
#include "smtpd/stats.h"

enum {
	LOOK_MS = 1000,
	CALM_MS = 60000,
	FULL_PERCENT = 97,
	DESCRIPTORS_MIN = 16 /* for the process itself */
};

static struct {
	struct timer *timer; /* the next look; NULL: only when asked */
	bool on, full;
	uint64_t looked_ms, calm_ms; /* calm_ms: since when; 0: it is not */
} state;

static uint64_t
percent(uint64_t used, uint64_t of)
{
	if (of == 0)
		return 0;
	return used >= of ? 100 : (uint64_t)((double)used * 100 / (double)of);
}

/* --- what there is --- */

static uint64_t
sessions_percent(const struct config *c)
{
	return percent(limits_total(), c->limits.connections);
}

/* The lowest number that is free: all below it are taken, and new ones fill
 * the gaps first. */
static uint64_t
descriptors_percent(const struct config *c)
{
	struct rlimit rl;
	int fd;

	(void)c;
	if (getrlimit(RLIMIT_NOFILE, &rl) != 0 ||
	    rl.rlim_cur <= DESCRIPTORS_MIN)
		return 0;
	fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	if (fd == -1)
		return errno == EMFILE ? 100 : 0;
	close(fd);
	return percent((uint64_t)fd, rl.rlim_cur - DESCRIPTORS_MIN);
}

static uint64_t
memory_percent(const struct config *c)
{
	struct mallinfo2 m = mallinfo2();
	struct sysinfo machine;
	struct rlimit rl;
	uint64_t room;

	(void)c;
	if (getrlimit(RLIMIT_AS, &rl) != 0)
		return 0;
	room = rl.rlim_cur == RLIM_INFINITY ? UINT64_MAX : rl.rlim_cur;
	if (sysinfo(&machine) == 0) {
		uint64_t all = (uint64_t)machine.totalram * machine.mem_unit;

		if (all < room)
			room = all;
	}
	return percent(m.uordblks + m.hblkhd, room);
}

static const struct {
	const char *name;
	uint64_t (*percent)(const struct config *c);
	bool ends; /* the process, when there is none left */
} measures[] = {
	/* Whose end `limit connections' sees to, to the last one. */
	{ "sessions", sessions_percent, false },
	{ "descriptors", descriptors_percent, true },
	{ "memory", memory_percent, true },
};

/* --- on and off --- */

static void
enter(const char *why, uint64_t percent_used)
{
	state.calm_ms = 0;
	if (state.on)
		return;
	state.on = true;
	stats_set(STAT_STRESS, 1);
	log_warn(NULL, "stress", "on=1 why=%s percent=%llu", why,
	    (unsigned long long)percent_used);
}

static void
leave(uint64_t now)
{
	if (!state.on)
		return;
	if (state.calm_ms == 0)
		state.calm_ms = now;
	if (now - state.calm_ms < CALM_MS)
		return;
	state.on = false;
	stats_set(STAT_STRESS, 0);
	log_info(NULL, "stress", "on=0");
}

void
stress_look_at(const struct config *c, uint64_t now_ms)
{
	uint64_t worst = 0;
	const char *why = NULL;

	state.looked_ms = now_ms;
	state.full = false;
	for (size_t i = 0; i < sizeof(measures) / sizeof(measures[0]); i++) {
		uint64_t p = measures[i].percent(c);

		if (measures[i].ends && p >= FULL_PERCENT)
			state.full = true;
		if (p < worst)
			continue;
		worst = p;
		why = measures[i].name;
	}
	if (worst >= c->limits.stress)
		enter(why, worst);
	else if (worst * 4 < c->limits.stress * 3)
		leave(now_ms);
	else
		state.calm_ms = 0;
}

void
stress_look(const struct config *c)
{
	uint64_t now = clock_mono_ms();

	if (state.looked_ms == 0 || now - state.looked_ms >= LOOK_MS)
		stress_look_at(c, now);
	if (state.timer != NULL && !timer_is_set(state.timer))
		timer_set(state.timer, LOOK_MS);
}

/* An idle process is left asleep. */
static void
on_time(void *ctx)
{
	(void)ctx;
	if (listener_config() == NULL)
		return;
	stress_look_at(listener_config(), clock_mono_ms());
	if (state.on || sessions_count() > 0)
		timer_set(state.timer, LOOK_MS);
}

void
stress_start(struct loop *l)
{
	state.timer = timer_new(l, on_time, NULL);
}

bool
stress_is_on(void)
{
	return state.on;
}

bool
stress_is_full(void)
{
	return state.full;
}

/* --- what holds --- */

static uint64_t
least(uint64_t normal, uint64_t under_stress)
{
	return state.on && under_stress < normal ? under_stress : normal;
}

uint64_t
stress_command_timeout(const struct limits *l)
{
	return least(l->command_timeout, l->stress_timeout);
}

/* Nobody has shown himself yet. */
uint64_t
stress_handshake_timeout(const struct limits *l)
{
	return least(l->handshake_timeout, l->stress_timeout / 3);
}

uint64_t
stress_write_timeout(const struct limits *l)
{
	return least(l->write_timeout, l->stress_timeout);
}

uint64_t
stress_errors(const struct limits *l)
{
	return least(l->errors, l->stress_errors);
}

uint64_t
stress_junk(const struct limits *l)
{
	return least(l->junk_commands, l->stress_junk_commands);
}
