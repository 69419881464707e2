/*
 * The header of the PROXY protocol as a byte automaton (versions 1 and 2 of
 * its specification by HAProxy): the same result however it is split, and not
 * one byte taken that is not of it.
 */
#ifndef POSTERN_SMTPD_PROXY_HEADER_H
#define POSTERN_SMTPD_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "lib/net/addr.h"

enum {
	PROXY_V1_MAX = 107, /* with its CRLF */
	PROXY_V2_HEAD = 16, /* signature, command, family, length */
	PROXY_MAX = 4096 + PROXY_V2_HEAD /* TLVs and all */
};

enum proxy_result { PROXY_MORE, PROXY_DONE, PROXY_BAD };

struct proxy_header {
	struct buf bytes;
	const char *why; /* of PROXY_BAD, in one word */
	/* With PROXY_DONE: somebody was named (else: the peer itself). */
	bool named;
	struct addr client, local;
	uint16_t client_port, local_port;
};

void proxy_header_init(struct proxy_header *h);
void proxy_header_clear(struct proxy_header *h);
/* Takes what belongs to the header from the front of in; at least one byte
 * unless it is PROXY_BAD. */
enum proxy_result proxy_header_feed(
    struct proxy_header *h, struct str in, size_t *used);

#endif
