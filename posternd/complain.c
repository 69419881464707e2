#include "posternd/complain.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static unsigned int count;

unsigned int
complaints(void)
{
	return count;
}

__attribute__((format(printf, 1, 0))) static void
say(const char *fmt, va_list ap, const char *error)
{
	count++;
	fprintf(stderr, "posternd: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "%s%s\n", error != NULL ? ": " : "",
	    error != NULL ? error : "");
}

void
complain(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(fmt, ap, NULL);
	va_end(ap);
}

void
complain_errno(const char *fmt, ...)
{
	const char *error = strerror(errno);
	va_list ap;
	va_start(ap, fmt);
	say(fmt, ap, error);
	va_end(ap);
}
