/* IP addresses, networks and socket addresses as text and back. */
#ifndef POSTERN_NET_ADDR_H
#define POSTERN_NET_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/base/str.h"

enum addr_family { ADDR_NONE, ADDR_V4, ADDR_V6, ADDR_LOCAL };

/* An address without a port. IPv4-mapped IPv6 is stored as IPv4. ADDR_LOCAL
 * is the other end of a Unix socket. */
struct addr {
	uint8_t family; /* enum addr_family */
	uint8_t bytes[16];
	uint32_t scope; /* of link-local IPv6, else 0 */
};

struct addr_net {
	struct addr addr; /* host bits zero */
	uint8_t bits;
};

enum { ADDR_TEXT_MAX = 64 }; /* with the terminator, also with a scope */

/* Dotted quad, IPv6 text (with or without brackets, optional %scope). 0/-1 */
int addr_parse(struct str s, struct addr *out);
/* The same, optionally with /bits (default 32 or 128). Host bits must be
 * zero. 0/-1 */
int addr_net_parse(struct str s, struct addr_net *out);
bool addr_net_has(const struct addr_net *n, const struct addr *a);
bool addr_eq(const struct addr *a, const struct addr *b);
bool addr_is_loopback(const struct addr *a);
/* "192.0.2.1", "2001:db8::1", "local". Returns out. */
const char *addr_format(const struct addr *a, char out[static ADDR_TEXT_MAX]);
/* As an address literal: [192.0.2.1], [IPv6:2001:db8::1] (RFC 5321 4.1.3). */
const char *addr_format_literal(
    const struct addr *a, char out[static ADDR_TEXT_MAX]);
/* From what accept or getsockname gave; *port in host order, may be NULL. */
void addr_from_sockaddr(
    const struct sockaddr *sa, socklen_t len, struct addr *out, uint16_t *port);
/* The length for connect or bind; 0 for ADDR_NONE and ADDR_LOCAL. */
socklen_t addr_to_sockaddr(
    const struct addr *a, uint16_t port, struct sockaddr_storage *out);
/* /32 of IPv4, /64 of IPv6: what counts as one source. */
uint64_t addr_source_key(const struct addr *a);
/* /24 of IPv4, /64 of IPv6: its neighbours with it. */
uint64_t addr_subnet_key(const struct addr *a);

#endif
