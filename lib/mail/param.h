/* ESMTP parameters of MAIL and RCPT (RFC 5321 4.1.2: esmtp-param). */
#ifndef POSTERN_MAIL_PARAM_H
#define POSTERN_MAIL_PARAM_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/str.h"

/* For which command a parameter is known. */
enum param_verb { PARAM_MAIL = 1, PARAM_RCPT = 2 };

enum param_error {
	PARAM_OK,
	PARAM_SYNTAX,    /* not keyword[=value] */
	PARAM_UNKNOWN,   /* 555: not known for this command */
	PARAM_DUPLICATE, /* the same one twice */
	PARAM_VALUE      /* value missing, not wanted, or not legal */
};

struct params {
	uint64_t size; /* SIZE= (RFC 1870); 0: not given. What does
			* not fit is UINT64_MAX */
	bool has_size;
	bool body_8bit; /* BODY=8BITMIME (RFC 6152) */
	bool smtputf8;  /* RFC 6531 */
};

/* Parses what stands behind the path, blanks first. */
enum param_error param_parse(
    struct str in, enum param_verb verb, struct params *out);

#endif
