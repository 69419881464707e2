#include "milters/common/note.h"

#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

static const char *own_name = "milter";
static bool on_stderr = true;

void
note_init(const char *name, bool to_stderr)
{
	own_name = name;
	on_stderr = to_stderr;
	if (!to_stderr)
		openlog(name, LOG_PID | LOG_NDELAY, LOG_MAIL);
}

/* Bytes of mail come into lines: nothing but text goes out. */
static void
note(int priority, const char *fmt, va_list ap)
{
	char line[1024];

	(void)vsnprintf(line, sizeof(line), fmt, ap);
	for (char *p = line; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	if (on_stderr)
		(void)fprintf(stderr, "%s: %s\n", own_name, line);
	else
		syslog(priority, "%s", line);
}

void
note_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(LOG_WARNING, fmt, ap);
	va_end(ap);
}

void
note_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(LOG_INFO, fmt, ap);
	va_end(ap);
}
