/* The options of sendmail(8). */
#ifndef POSTERN_SENDMAIL_OPTIONS_H
#define POSTERN_SENDMAIL_OPTIONS_H

#include <stdbool.h>

#include "lib/base/buf.h"

enum mode {
	MODE_MAIL,    /* a mail on standard input */
	MODE_SMTP,    /* -bs */
	MODE_LIST,    /* -bp, mailq */
	MODE_FLUSH,   /* -q */
	MODE_ALIASES, /* -bi, -I, newaliases: nothing to do */
	MODE_VERSION, /* -bV */
	MODE_NONE     /* one that is the gateway's */
};

struct options {
	enum mode mode;
	bool take_header; /* -t */
	bool dots;        /* -i: a lone dot is text */
	bool verbose;
	const char *from; /* NULL: who calls */
	const char *name; /* NULL: as the machine knows him */
	const char *ret;  /* FULL, HDRS, or NULL */
	const char *envid;
	struct buf notify; /* as NOTIFY has it */
	char *flush[3];    /* of posternctl flush; NULL at the end */
	char **to;         /* NULL at the end */
};

/* Returns 0, or -1 when they make no sense (said on stderr). argv lives as
 * long as o. */
int options_parse(struct options *o, int argc, char **argv);
void options_clear(struct options *o);

#endif
