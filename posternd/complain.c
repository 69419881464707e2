#include "posternd/complain.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "posternd/conf.h"

enum { TEXT_MAX = 2048 };

static unsigned int count;
static struct conf_errors *into;
static bool to_log;

void
complain_to_log(void)
{
	to_log = true;
}

void
complain_into(struct conf_errors *e)
{
	into = e;
}

unsigned int
complaints(void)
{
	return count;
}

static void
say(const char *text, const char *error)
{
	if (into != NULL) {
		conf_add_error(into, "%s%s%s", text, error != NULL ? ": " : "",
		    error != NULL ? error : "");
		return;
	}
	count++;
	if (to_log) {
		log_warn(NULL, "start", "why=%s%s%s", log_cstr(text),
		    error != NULL ? " error=" : "",
		    error != NULL ? log_cstr(error) : "");
		return;
	}
	fprintf(stderr, "posternd: %s%s%s\n", text, error != NULL ? ": " : "",
	    error != NULL ? error : "");
}

void
complain(const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say(text, NULL);
}

void
complain_errno(const char *fmt, ...)
{
	const char *error = strerror(errno);
	char text[TEXT_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say(text, error);
}
