/* What travels with a mail besides its content. */
#ifndef POSTERN_MAIL_ENVELOPE_H
#define POSTERN_MAIL_ENVELOPE_H

enum {
	ENVELOPE_ADDRESS_MAX = 320,
	/* Content up to this many bytes stays in memory and in the log; a
	 * longer body goes to a file of its own. */
	MAIL_INLINE_MAX = 262144
};

enum envelope_flags {
	ENVELOPE_8BIT = 1,     /* BODY=8BITMIME, or 8-bit content was seen */
	ENVELOPE_SMTPUTF8 = 2, /* RFC 6531 */
	ENVELOPE_FLAGS_ALL = 3
};

#endif
