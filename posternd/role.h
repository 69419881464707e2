/* THE TABLE OF ROLES: who exists, as whom, with what. */
#ifndef POSTERN_POSTERND_ROLE_H
#define POSTERN_POSTERND_ROLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edges/edges.h"
#include "lib/rules/config.h"

/* What a process is handed besides channel, log and configuration. */
enum role_gives {
	GIVES_LISTENERS = 1,     /* a listening socket of each `listen` line */
	GIVES_SOURCES = 2,       /* the shared counters */
	GIVES_SPOOL = 4,         /* the spool directory, also as its root */
	GIVES_BASES = 8,         /* the bases of its user's Maildirs */
	GIVES_CONTROL = 16,      /* the control socket */
	GIVES_TREE = 32,         /* paths as they are: no other root */
	GIVES_DIAL = 64,         /* the groups of `dial-group' */
	GIVES_SECRETS = 128,     /* each instance its own: keys, or passwords */
	GIVES_TICKETS = 256,     /* the keys of session tickets */
	GIVES_AUTHORITIES = 512, /* certificates of whom we trust */
	GIVES_POLICIES = 1024,   /* the folder of MTA-STS policies */
	GIVES_HTTP = 2048        /* the socket of `http' */
};

/* Started in this order and stopped in the opposite one, each when the one
 * before is all there (all gone): queue and resolver answer before somebody
 * asks, and the queue records what the others leave behind. */
enum role_wave { WAVE_ASKED, WAVE_AGENTS, WAVE_SMTPD, WAVE_COUNT };

struct role_def {
	enum role role; /* its name is the program's */
	enum role_wave wave;
	unsigned int gives; /* enum role_gives */
	/* How many of them. */
	uint16_t (*count)(const struct config *c);
	/* As whom it runs when we are root. */
	const char *(*user)(const struct config *c, uint16_t instance);
	/* Descriptors it may have open. */
	uint64_t (*nofile)(const struct config *c);
	/* Bytes of address space; 0: not limited. */
	uint64_t (*memory)(const struct config *c);
};

extern const struct role_def role_table[];
extern const size_t role_table_size;

#endif
