#include "posternd/comeback.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "posternd/environment.h"
#include "posternd/inherited.h"
#include "posternd/listen.h"
#include "posternd/notify.h"
#include "posternd/rehearsal.h"

enum { PAUSE_S = 5 };

static _Noreturn void
leave(int status)
{
	log_flush();
	exit(status);
}

static _Noreturn void
stop(const struct gateway *gw, int sig)
{
	log_info(NULL, "stop", "signal=%d", sig);
	notify_stopping();
	listen_remove(gw);
	inherited_close(true);
	log_info(NULL, "stopped", NULL);
	leave(0);
}

static void
await(const struct gateway *gw)
{
	const struct timespec pause = { .tv_sec = PAUSE_S };
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	int sig = sigtimedwait(&set, NULL, &pause);
	if (sig == SIGTERM || sig == SIGINT)
		stop(gw, sig);
}

void
comeback(const struct gateway *gw, const struct handover *h)
{
	struct fault why = { 0 };
	log_warn(NULL, "start", "why=%s delay=%d",
	    log_cstr("what it needs is not there"), PAUSE_S);
	log_flush();
	await(gw);
	char *program = rehearsal_program(gw);
	int fd = handover_write(h, &why);
	if (fd != -1) {
		execve(program, gw->again,
		    environment_of_successor(HANDOVER_VARIABLE, fd));
		fault_errno(&why, FAULT_OURS, "%s", program);
	}
	log_warn(NULL, "start", "why=%s", log_cstr(why.text));
	leave(1);
}
