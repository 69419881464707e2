/* Lines of a filter's log: to syslog(3), or to standard error with -f. Any
 * thread may call. */
#ifndef POSTERN_MILTERS_COMMON_NOTE_H
#define POSTERN_MILTERS_COMMON_NOTE_H

#include <stdbool.h>

/* name must stay. */
void note_init(const char *name, bool to_stderr);
void note_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void note_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
