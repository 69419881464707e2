#include "lib/base/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
fault_set(struct fault *f, enum fault_class class, const char *fmt, ...)
{
	va_list ap;

	if (f == NULL)
		return -1;
	f->class = class;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	return -1;
}

int
fault_errno(struct fault *f, enum fault_class class, const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	if (f == NULL)
		return -1;
	f->class = class;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	size_t n = strlen(f->text);
	snprintf(f->text + n, sizeof(f->text) - n, ": %s", strerror(err));
	errno = err;
	return -1;
}
