/* A mail and its envelope, handed in by SMTP. */
#ifndef POSTERN_SUBMIT_HAND_IN_H
#define POSTERN_SUBMIT_HAND_IN_H

#include "lib/mail/envelope.h"
#include "submit/smtp.h"

/* Owned by who calls; the addresses stand in the form SMTP wants. */
struct submission {
	struct buf from; /* <address> */
	struct buf to;   /* <address> and a line end, each */
	size_t nto;
	bool is_utf8; /* one of the addresses is beyond ASCII */
	/* Each piece follows the one before; the caller's. */
	struct str pieces[2];
	/* What the sender wants to hear (RFC 3461); 0 and empty: as usual. */
	const char *ret; /* FULL, HDRS */
	struct str notify;
	struct str envid; /* not encoded yet */
};

void submission_init(struct submission *m);
void submission_clear(struct submission *m);
/* Returns 0, or -1 when address is none. Without a domain it gets the
 * gateway's. "" is nobody, whom no mail tells anything. */
int submission_set_from(struct submission *m, struct str address);
int submission_add_to(struct submission *m, struct str address);

enum hand_in_stage {
	HAND_IN_OPEN, /* the greeting, EHLO */
	HAND_IN_FROM,
	HAND_IN_TO,
	HAND_IN_CONTENT
};

struct handing {
	struct smtp smtp; /* smtp.why: the conversation failed; else smtp.reply
			   * has the last word */
	enum hand_in_stage stage;
	struct str about; /* the address in question; empty: none */
	size_t ndone;     /* recipients for whom it is the gateway's now */
};

/* Greets over fd. Returns 0, or -1; hand_in_close in any case. */
int hand_in_open(struct handing *h, int fd);
/* Hands m in. A recipient who is refused refuses the mail: half of it would be
 * sent twice when it is tried again. Those whom the gateway does not take all
 * at once are handed in one lot after the other, when may_split. Returns 0,
 * or -1. */
int hand_in(struct handing *h, const struct submission *m, bool may_split);
void hand_in_close(struct handing *h);
/* Appends what went wrong. An address in it is as it was given: not fit for a
 * terminal. */
void hand_in_explain(const struct handing *h, struct buf *out);

#endif
