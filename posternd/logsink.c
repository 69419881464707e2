#include "posternd/logsink.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
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

int
logsink_open(struct gateway *gw, struct fault *why)
{
	enum log_kind kind =
	    gw->foreground ? LOG_KIND_STDERR : gw->conf->log_kind;
	enum log_sink sink = LOG_SINK_STREAM;
	const char *what = "standard error";
	int fd = -1;
	switch (kind) {
	case LOG_KIND_STDERR:
		fd = open_stderr();
		break;
	case LOG_KIND_SYSLOG:
		what = "/dev/log";
		sink = LOG_SINK_SYSLOG;
		fd = open_syslog();
		break;
	case LOG_KIND_FILE:
		what = gw->conf->log_path;
		fd = open(what,
		    O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
		    0600);
		break;
	}
	if (fd == -1)
		return fault_errno(why, FAULT_OURS, "log to %s", what);
	gw->log_fd = fd;
	gw->log_sink = sink;
	log_set_fd(fd, sink);
	log_set_format(gw->conf->log_json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
	log_set_level(gw->log_level);
	return 0;
}
