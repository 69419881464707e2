/* A datagram each: the protocol is stable, and too small for a library. */
#include "posternd/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"

enum { TEXT_MAX = 512 };

static const char name[] = "NOTIFY_SOCKET=";
static char *variable; /* with the name; NULL: nobody listens */

void
notify_init(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	free(variable);
	variable = NULL;
	if (path == NULL || (path[0] != '/' && path[0] != '@') ||
	    path[1] == '\0')
		return;
	size_t size = sizeof(name) + strlen(path);
	variable = xmalloc(size);
	snprintf(variable, size, "%s%s", name, path);
}

const char *
notify_variable(void)
{
	return variable;
}

/* A path, or a name of the abstract kind, which begins with NUL and has no
 * end but its length. 0: it does not fit. */
static socklen_t
address(struct sockaddr_un *un)
{
	const char *path = variable + sizeof(name) - 1;
	size_t len = strlen(path);
	*un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (len >= sizeof(un->sun_path))
		return 0;
	memcpy(un->sun_path, path, len);
	if (path[0] == '@')
		un->sun_path[0] = '\0';
	else
		len++;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

static int
send_text(const char *text)
{
	struct sockaddr_un un;
	socklen_t len = address(&un);
	errno = ENAMETOOLONG;
	int fd = len == 0 ? -1 : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	ssize_t n = sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
	    (const struct sockaddr *)&un, len);
	int error = errno;
	close(fd);
	errno = error;
	return n == -1 ? -1 : 0;
}

static void __attribute__((format(printf, 1, 2))) say(const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;
	if (variable == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (send_text(text) == -1)
		log_warn(NULL, "notify", "why=%s", log_cstr(strerror(errno)));
}

void
notify_ready(void)
{
	say("READY=1\nSTATUS=accepting mail\nMAINPID=%d", (int)getpid());
}

void
notify_reloading(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	say("RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void
notify_stopping(void)
{
	say("STOPPING=1\nSTATUS=stopping");
}
