/* What stands in the way of a start: all of it is said, then we end. */
#ifndef POSTERN_POSTERND_COMPLAIN_H
#define POSTERN_POSTERND_COMPLAIN_H

/* `posternd: …` on standard error. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same with ": " and strerror(errno) behind it. */
void complain_errno(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* How many there were. */
unsigned int complaints(void);

#endif
