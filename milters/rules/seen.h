/* What was seen of one session and of its present mail. */
#ifndef POSTERN_MILTERS_RULES_SEEN_H
#define POSTERN_MILTERS_RULES_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/net/addr.h"
#include "milters/rules/mime_scan.h"
#include "milters/rules/rule.h"

/* One field of the mail; both owned. */
struct seen_field {
	char *name;
	char *value; /* unfolded */
};

struct seen {
	struct rules *rules; /* a reference: those that were in force when the
			      * session began */
	unsigned long steps; /* as negotiated */
	struct addr client;
	char *helo; /* owned; NULL: none */
	/* of the mail */
	char *id;     /* owned; NULL: not known */
	char *from;   /* owned; without brackets */
	char **rcpts; /* owned */
	size_t nrcpts;
	struct seen_field *fields; /* owned */
	size_t nfields;
	struct mime_scan mime;
	uint64_t size; /* header and body */
	bool auth;
};

struct seen *seen_new(struct rules *rules, unsigned long steps);
/* Clears the pointer; NULL is allowed. */
void seen_free(struct seen **s);
/* Forgets the mail. */
void seen_reset(struct seen *s);
void seen_set(char **where, const char *text);
/* Brackets are taken off. */
void seen_from(struct seen *s, const char *address);
void seen_rcpt(struct seen *s, const char *address);
void seen_field(struct seen *s, const char *name, const char *value);

/* The mail by the rules. */
struct judgement {
	const struct rule *decision; /* NULL: none decides */
	const struct rule **edits;   /* owned: that apply, in order */
	size_t n;
};

void judge(const struct seen *s, struct judgement *out);
void judgement_clear(struct judgement *j);
/* For tests. */
bool judge_condition(const struct condition *c, const struct seen *s);

#endif
