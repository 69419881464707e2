#include "delivery/mda/exit_status.h"

#include <bsd/string.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>

#include "lib/mail/reply.h"

enum { TEXT_SIZE = 512, EXIT_NOT_RUNNABLE = 126, EXIT_NOT_FOUND = 127 };

struct meaning {
	int code;
	enum outcome outcome;
	const char *status;
	const char *text;
};

/* clang-format off */
static const struct meaning meanings[] = {
	{ EX_OK,             OUTCOME_DELIVERED, "2.0.0", "delivered by the command" },
	{ EX_USAGE,          OUTCOME_FAILED,    "5.3.0", "command line usage error" },
	{ EX_DATAERR,        OUTCOME_FAILED,    "5.6.0", "data format error" },
	{ EX_NOINPUT,        OUTCOME_FAILED,    "5.3.0", "cannot open input" },
	{ EX_NOUSER,         OUTCOME_FAILED,    "5.1.1", "user unknown" },
	{ EX_NOHOST,         OUTCOME_FAILED,    "5.1.2", "host name unknown" },
	{ EX_UNAVAILABLE,    OUTCOME_FAILED,    "5.3.0", "service unavailable" },
	{ EX_SOFTWARE,       OUTCOME_FAILED,    "5.3.0", "internal software error" },
	{ EX_OSERR,          OUTCOME_DEFERRED,  "4.3.0", "system resource problem" },
	{ EX_OSFILE,         OUTCOME_FAILED,    "5.3.0", "critical OS file missing" },
	{ EX_CANTCREAT,      OUTCOME_FAILED,    "5.2.0", "cannot create user output file" },
	{ EX_IOERR,          OUTCOME_DEFERRED,  "4.3.0", "input/output error" },
	{ EX_TEMPFAIL,       OUTCOME_DEFERRED,  "4.3.0", "temporary failure" },
	{ EX_PROTOCOL,       OUTCOME_FAILED,    "5.5.0", "remote error in protocol" },
	{ EX_NOPERM,         OUTCOME_FAILED,    "5.7.0", "permission denied" },
	{ EX_CONFIG,         OUTCOME_FAILED,    "5.3.5", "local configuration error" },
	{ EXIT_NOT_RUNNABLE, OUTCOME_DEFERRED,  "4.3.5", "the command cannot be run" },
	{ EXIT_NOT_FOUND,    OUTCOME_DEFERRED,  "4.3.5", "the command cannot be run" },
};

static const struct meaning ends[] = {
	[RUN_TIMED_OUT]  = { 0, OUTCOME_DEFERRED, "4.3.0", "the command took too long" },
	[RUN_UNREADABLE] = { 0, OUTCOME_DEFERRED, "4.3.0", "the mail could not be read" },
	[RUN_STOPPED]    = { 0, OUTCOME_DEFERRED, "4.3.2", "the gateway stopped the command" },
};
/* clang-format on */

static const struct meaning other = {
	.outcome = OUTCOME_FAILED,
	.status = "5.3.0",
	.text = "the command failed",
};

static const struct meaning *
find_meaning(int code)
{
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (meanings[i].code == code)
			return &meanings[i];
	return &other;
}

/* Printable ASCII, its lines joined by a blank. */
static void
clean(struct str in, char out[static TEXT_SIZE])
{
	size_t n = 0;

	for (size_t i = 0; i < in.len && n + 1 < TEXT_SIZE; i++) {
		char c = in.p[i];

		if (c == '\r' || c == '\n' || c == '\t')
			c = ' ';
		if (c == ' ' && (n == 0 || out[n - 1] == ' '))
			continue;
		out[n++] = c >= ' ' && c < 0x7f ? c : '?';
	}
	while (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
}

/* The command's own words are the reply; its own status, too. */
static void
add_output(struct local_outcome *o, struct str output)
{
	static const unsigned int classes[] = {
		[OUTCOME_DELIVERED] = 2,
		[OUTCOME_DEFERRED] = 4,
		[OUTCOME_FAILED] = 5,
	};
	char text[TEXT_SIZE];
	struct status st;
	struct str rest;

	clean(output, text);
	if (text[0] == '\0')
		return;
	rest = str_of(text);
	if (status_parse(str_of(text), &st, &rest) == 0 &&
	    st.class == classes[o->outcome])
		(void)status_format(&st, o->status);
	else
		rest = str_of(text);
	rest = str_trim(rest);
	if (rest.len == 0)
		return;
	/* The end of text, and so of a C string. */
	(void)strlcat(o->reply, ": ", sizeof(o->reply));
	(void)strlcat(o->reply, rest.p, sizeof(o->reply));
}

static void
judge_signal(int sig, struct local_outcome *out)
{
	const char *name = sigabbrev_np(sig);
	char text[80];

	(void)snprintf(text, sizeof(text), "the command died of signal %d (%s)",
	    sig, name == NULL ? "?" : name);
	local_outcome_set(out, OUTCOME_DEFERRED, "4.3.0", text);
}

void
exit_status_judge(
    enum run_end end, int status, struct str output, struct local_outcome *out)
{
	const struct meaning *m = NULL;
	char text[100];

	if (end != RUN_EXITED) {
		m = &ends[end];
		local_outcome_set(out, m->outcome, m->status, m->text);
	} else if (!WIFEXITED(status)) {
		judge_signal(WTERMSIG(status), out);
	} else {
		m = find_meaning(WEXITSTATUS(status));
		(void)snprintf(text, sizeof(text), "%s (exit status %d)",
		    m->text, WEXITSTATUS(status));
		local_outcome_set(out, m->outcome, m->status,
		    WEXITSTATUS(status) == 0 ? m->text : text);
	}
	add_output(out, output);
}
