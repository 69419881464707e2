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
	bool body_8bit;  /* BODY=8BITMIME (RFC 6152) */
	bool smtputf8;   /* RFC 6531 */
	bool requiretls; /* RFC 8689 */
	/* RFC 3461. envid and orcpt stand as they came, checked: views of the
	 * input for xtext_decode and orcpt_decode; empty: not given. */
	uint8_t ret;    /* enum envelope_flags: FULL, HDRS; 0: not given */
	uint8_t notify; /* enum notify */
	struct str envid, orcpt;
};

/* Parses what stands behind the path, blanks first. */
enum param_error param_parse(
    struct str in, enum param_verb verb, struct params *out);
/* What MAIL's parameters make of enum envelope_flags. */
uint32_t param_flags(const struct params *p);

#endif
