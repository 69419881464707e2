/*
 * Next hops: their URLs, and which of them are this very gateway.
 *
 *	smtp://192.0.2.1:2525    an address, IPv6 in brackets
 *	smtp://mx.example.com    a host, by its addresses (no MX)
 *	smtp+tls://...           the same, with STARTTLS or not at all
 *	smtps://...              the same, TLS from the first byte on; port 465
 *	smtp+notls://...         the same, in the clear
 *	lmtp://...               the same, LMTP (RFC 2033); port 24
 *	smtp+unix:///run/socket  a Unix socket
 *	lmtp+unix:///run/socket
 *	mx://example.com:25      by MX: what config_hops makes of a relay
 *	                         without `to`; nobody can configure it;
 *	                         mx://[192.0.2.1] is an address
 *
 * Without a port 25.
 */
#ifndef POSTERN_RULES_HOP_H
#define POSTERN_RULES_HOP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/fault.h"
#include "lib/base/str.h"
#include "lib/net/addr.h"

struct config;

enum { HOP_PORT = 25, HOP_TEXT_MAX = 118 };

enum { HOP_PATH_MAX = 107 };

/* Where a next hop is. */
struct hop_addr {
	struct addr addr; /* ADDR_LOCAL: at path */
	uint16_t port;
	char path[HOP_PATH_MAX + 1]; /* "" */
};

enum hop_kind { HOP_ADDRESS, HOP_HOST, HOP_MX, HOP_LOCAL };

enum hop_tls {
	HOP_TLS_BY_ACTION, /* smtp://, lmtp://: as the action has it */
	HOP_TLS_NEVER,     /* smtp+notls://, Unix sockets */
	HOP_TLS_STARTTLS,  /* smtp+tls:// */
	HOP_TLS_AT_ONCE    /* smtps:// */
};

struct hop_url {
	enum hop_kind kind;
	struct addr addr; /* HOP_ADDRESS */
	struct str name;  /* else: a valid domain name, of HOP_LOCAL an
			   * absolute path; into the URL */
	uint16_t port;
	enum hop_tls tls;
	bool lmtp;
};

/* One URL. Returns 0, or -1 with why (which may be NULL). */
int hop_url_parse(struct str url, struct hop_url *out, struct fault *why);
/* The next URL of a blank-separated list, which is cut off *text; false at
 * its end. */
bool hop_url_next(struct str *text, struct str *url);
/* Can a host be called so? A domain name whose last label is no number: one
 * that is only looks like an address, and is none. */
bool hop_is_host_name(struct str s);
/* ADDR:PORT, IPv6 in brackets; or the path. Returns out. */
const char *hop_format(
    const struct hop_addr *at, char out[static HOP_TEXT_MAX]);

/* Is it a listener of this very gateway? A wildcard listener is every
 * loopback address of its family. */
bool hop_is_ours(const struct hop_addr *at, const struct config *c);
/* Does a wildcard listener of ours have that port? Then it is us if the
 * address is one of this machine's, which hop_is_here tells. */
bool hop_may_be_ours(const struct hop_addr *at, const struct config *c);
/* fd is connected to at: is that an address of this machine? (The kernel
 * then gives our end the same one. Not so for all of the loopback's, but
 * those hop_is_ours knows.) */
bool hop_is_here(const struct hop_addr *at, int fd);
/* Is it a name of ours: the gateway's or a listener's? */
bool hop_is_our_name(struct str name, const struct config *c);
/* An address that nobody can be at: unspecified, multicast, broadcast, IPv4
 * written as IPv6. */
bool hop_is_unusable(const struct addr *a);

#endif
