/* Rules: what a line of the rule file says. */
#ifndef POSTERN_MILTERS_RULES_RULE_H
#define POSTERN_MILTERS_RULES_RULE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "lib/net/addr.h"
#include "milters/rules/rule_pattern.h"

enum condition_kind {
	COND_SOURCE,
	COND_HELO,
	COND_MAIL_FROM,
	COND_RCPT,
	COND_AUTH,
	COND_HEADER,
	COND_LARGER,
	COND_ATTACHMENT,
	COND_TYPE
};

struct condition {
	enum condition_kind kind;
	bool negated;
	struct patterns names;    /* of HEADER: whose value */
	struct patterns patterns; /* of HEADER: none, any value will do */
	struct addr_net *nets;    /* owned */
	size_t nnets;
	uint64_t size;
};

enum action_kind {
	/* These decide: the first that matches is the last to be looked at. */
	DO_ACCEPT,
	DO_DISCARD,
	DO_REJECT,
	DO_TEMPFAIL,
	DO_QUARANTINE,
	/* These are all done. */
	DO_ADD_HEADER,
	DO_INSERT_HEADER,
	DO_REMOVE_HEADER,
	DO_REPLACE_HEADER,
	DO_ADD_RCPT,
	DO_DELETE_RCPT,
	DO_CHANGE_SENDER
};

struct action {
	enum action_kind kind;
	char *name;  /* owned: of a header */
	char *value; /* owned: of a header; an address; a reason */
	int index;   /* of INSERT_HEADER */
	/* Owned: of REJECT and TEMPFAIL, as smfi_setreply wants them. */
	char *code, *status, *text;
	struct patterns names;    /* REMOVE_HEADER */
	struct patterns patterns; /* REMOVE_HEADER: values; DELETE_RCPT */
};

struct rule {
	unsigned int line;
	struct condition *conditions; /* owned; all must hold */
	size_t n;
	struct action action;
};

struct rules {
	struct rule *rules; /* owned */
	size_t n;
	bool wants_body;    /* one looks into the body */
	unsigned long acts; /* SMFIF_ flags of what they may do */
	atomic_uint refs;
};

bool action_decides(const struct action *a);

/* Parses a whole file. NULL when something is wrong: each fault is a line
 * "name:line: what" in errors. The caller has one reference. */
struct rules *rules_parse(
    const char *name, struct str text, struct buf *errors);
struct rules *rules_ref(struct rules *r);
/* Clears the pointer; NULL is allowed. */
void rules_unref(struct rules **r);

/* For the parser's halves: one line's. 0, or -1 with *error. */
struct rule_line;
int rule_parse_conditions(struct rule_line *l, struct rule *out);
int rule_parse_action(struct rule_line *l, struct action *out);
void condition_clear(struct condition *c);
void action_clear(struct action *a);

#endif
