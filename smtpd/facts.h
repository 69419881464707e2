/*
 * What filters are told of a client and its mail: a struct milter_facts with
 * the texts that were made for it. One allocation for each group of them;
 * what somebody else keeps anyway is only viewed.
 */
#ifndef POSTERN_SMTPD_FACTS_H
#define POSTERN_SMTPD_FACTS_H

#include <stdint.h>

#include "lib/mail/path.h"
#include "lib/rules/rules.h"
#include "milters/client/milter.h"

/* Groups that are set and forgotten as one. */
enum facts_group {
	FACTS_GATEWAY,
	FACTS_CLIENT,
	FACTS_HELO,
	FACTS_TLS,
	FACTS_AUTH,
	FACTS_MAIL,
	FACTS_RCPT,
	FACTS_CONTENT,
	FACTS_GROUPS
};

struct facts {
	struct milter_facts m;
	char *texts[FACTS_GROUPS]; /* owned: what m views */
};

/* Nothing is known. */
void facts_init(struct facts *f);
void facts_clear(struct facts *f);
/* The gateway under this name; the listener by tag and name
 * ("192.0.2.1:25"); if_addr: the address the client came to, or NULL. */
void facts_set_gateway(struct facts *f, struct str hostname, struct str tag,
    struct str listener_name, const struct addr *if_addr);
/* client->family ADDR_LOCAL: as localhost. ptr: what the PTR says, confirmed
 * or not; empty: nothing. */
void facts_set_client(struct facts *f, const struct addr *client, uint16_t port,
    enum client_name state, struct str ptr);
void facts_set_helo(struct facts *f, struct str helo);

struct facts_tls {
	struct str version, cipher, bits, subject, issuer, verify;
};

void facts_set_tls(struct facts *f, const struct facts_tls *tls);
/* Who has authenticated, how; all empty: nobody. ssf: bits of the cipher that
 * protects it. */
void facts_set_auth(
    struct facts *f, struct str mech, struct str user, struct str ssf);
/* written: the address as it stood in the command, args what stood behind it;
 * from as we keep it. */
void facts_set_mail(struct facts *f, struct str msgid, struct str written,
    struct str args, struct str from);
/* The same for a recipient, and the action that takes it. */
void facts_set_rcpt(struct facts *f, struct str written, struct str to,
    const struct action *action);
/* A recipient that was refused with this reply. */
void facts_set_refused(struct facts *f, struct str written, struct str reply);
/* What is only known from the content: its Message-ID. */
void facts_set_content(struct facts *f, struct str header);

#endif
