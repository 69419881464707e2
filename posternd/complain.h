/* What stands in the way of a start: all of it is said, then we end. */
#ifndef POSTERN_POSTERND_COMPLAIN_H
#define POSTERN_POSTERND_COMPLAIN_H

/* `posternd: …` on standard error. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same with ": " and strerror(errno) behind it. */
void complain_errno(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* From here on in the log instead. */
void complain_to_log(void);
/* From here on they are errors of e, and do not count; NULL: as before. */
struct conf_errors;
void complain_into(struct conf_errors *e);
/* How many there were. */
unsigned int complaints(void);

#endif
