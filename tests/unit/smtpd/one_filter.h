/* One filter on the listener of the sessions' tests, and a mail for it. */
#ifndef POSTERN_TESTS_ONE_FILTER_H
#define POSTERN_TESTS_ONE_FILTER_H

#include "tests/unit/smtpd/fake_filter.h"

static struct fake_filter *f;

/* One filter on the listener. */
static inline void
one_filter(void)
{
	f = filter_new("a");
	h.config->listeners[0].milters = filter_set("a");
	filters_start();
}

static inline void
to_data(void)
{
	begin();
	TALK("MAIL FROM:<a@b.example>\r\n", "250");
	TALK("RCPT TO:<x@y.example>\r\n", "250");
	TALK("DATA\r\n", "354");
}

static inline void
whole_mail(const char *want)
{
	to_data();
	TALK("Subject: hi\r\n\r\nbody\r\n.\r\n", want);
}

static inline const char *
content(void)
{
	buf_add_char(&h.fake.content, '\0');
	return h.fake.content.p;
}

static inline const char *
macros(void)
{
	buf_add_char(&f->macros, '\0');
	f->macros.len--;
	return f->macros.p;
}

/* A body in its place that needs a file. */
enum { CHUNK = 60000, CHUNKS = 10 };

static inline void
large_body(void)
{
	static char chunk[CHUNK];

	for (size_t i = 0; i < sizeof(chunk); i++)
		chunk[i] = "line of text\r\n"[i % 14];
	for (int i = 0; i < CHUNKS; i++)
		filter_says(f, 'E', 'b', (struct str){ chunk, CHUNK - 8 });
	filter_says(f, 'E', 'c', STR(""));
}

#endif
