#include "posternd/logsink.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A description of our own, so that O_APPEND holds for all who write there;
 * a socket cannot be opened again. */
static int
open_stderr(void)
{
	int fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

/* What systemd sets where its journal reads standard error, which may be
 * something else by now: systemd.exec(5). */
static const char name[] = "JOURNAL_STREAM";
static char variable[64]; /* with the name; empty: no journal reads */

void
logsink_init(void)
{
	const char *stream = getenv(name);
	struct stat st;
	variable[0] = '\0';
	if (stream == NULL || fstat(STDERR_FILENO, &st) == -1)
		return;
	snprintf(variable, sizeof(variable), "%s=%ju:%ju", name,
	    (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	if (strcmp(variable + sizeof(name), stream) != 0)
		variable[0] = '\0';
}

const char *
logsink_variable(void)
{
	return variable[0] != '\0' ? variable : NULL;
}

static int
open_syslog(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX,
		.sun_path = "/dev/log" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&un, sizeof(un)) == -1) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static enum log_kind
kind_of(const struct gateway *gw, const struct config *c)
{
	return gw->foreground ? LOG_KIND_STDERR : c->log_kind;
}

static int
open_sink(const struct gateway *gw, const struct config *c, struct logsink *out,
    struct fault *why)
{
	const char *what = "standard error";
	out->sink = LOG_SINK_STREAM;
	out->fd = -1;
	switch (kind_of(gw, c)) {
	case LOG_KIND_STDERR:
		if (logsink_variable() != NULL)
			out->sink = LOG_SINK_JOURNAL;
		out->fd = open_stderr();
		break;
	case LOG_KIND_SYSLOG:
		what = "/dev/log";
		out->sink = LOG_SINK_SYSLOG;
		out->fd = open_syslog();
		break;
	case LOG_KIND_FILE:
		what = c->log_path;
		out->fd = open(what,
		    O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
		    0600);
		break;
	}
	if (out->fd == -1)
		return fault_errno(why, FAULT_OURS, "log to %s", what);
	return 0;
}

int
logsink_open(struct gateway *gw, struct fault *why)
{
	struct logsink s;
	if (open_sink(gw, gw->conf, &s, why) == -1)
		return -1;
	logsink_commit(gw, &s);
	log_set_level(gw->log_level);
	return 0;
}

/* --- another configuration --- */

static bool
is_same_place(
    const struct gateway *gw, const struct config *a, const struct config *b)
{
	enum log_kind kind = kind_of(gw, a);
	if (kind != kind_of(gw, b))
		return false;
	return kind != LOG_KIND_FILE || strcmp(a->log_path, b->log_path) == 0;
}

int
logsink_prepare(const struct gateway *gw, const struct config *next,
    struct logsink *out, struct fault *why)
{
	out->fd = -1;
	if (is_same_place(gw, gw->conf, next))
		return 0;
	return open_sink(gw, next, out, why);
}

void
logsink_abandon(struct logsink *s)
{
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
}

void
logsink_commit(struct gateway *gw, struct logsink *s)
{
	if (s->fd != -1) {
		gw->log_fd = s->fd;
		gw->log_sink = s->sink;
		log_set_fd(s->fd, s->sink);
		s->fd = -1;
	}
	log_set_format(gw->conf->log_json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
	log_set_host(gw->conf->hostname);
}
