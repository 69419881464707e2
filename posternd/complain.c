#include "posternd/complain.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 2048 };

static unsigned int count;

unsigned int
complaints(void)
{
	return count;
}

static void
say(const char *text, const char *error)
{
	count++;
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
