/* What travels with a mail besides its content. */
#ifndef POSTERN_MAIL_ENVELOPE_H
#define POSTERN_MAIL_ENVELOPE_H

enum {
	ENVELOPE_ADDRESS_MAX = 320,
	/* Content up to this many bytes stays in memory and in the log; a
	 * longer body goes to a file of its own. */
	MAIL_INLINE_MAX = 262144
};

/* NOTIFY= of a recipient (RFC 3461 4.1). */
enum notify {
	NOTIFY_DEFAULT = 0, /* not said: of failure and delay, as is usual */
	NOTIFY_NEVER = 1,
	NOTIFY_SUCCESS = 2,
	NOTIFY_FAILURE = 4,
	NOTIFY_DELAY = 8,
	NOTIFY_ALL = 15
};

enum {
	ENVELOPE_ENVID_MAX = 100, /* decoded (RFC 3461 4.4) */
	ENVELOPE_ORCPT_MAX = 500  /* "type;address", the address decoded */
};

enum envelope_flags {
	ENVELOPE_8BIT = 1,       /* BODY=8BITMIME, or 8-bit content was seen */
	ENVELOPE_SMTPUTF8 = 2,   /* RFC 6531 */
	ENVELOPE_REQUIRETLS = 4, /* RFC 8689 */
	ENVELOPE_RET_FULL = 8,   /* RET=, RFC 3461 4.3; neither: not said */
	ENVELOPE_RET_HDRS = 16,
	ENVELOPE_TLS = 32, /* it came in by TLS */
	/* No failure of TLS keeps it back: a report about TLS (RFC 8460
	 * 5.3.1), of which none of these reports tells either. */
	ENVELOPE_TLS_OPTIONAL = 64,
	ENVELOPE_FLAGS_ALL = 127
};

#endif
