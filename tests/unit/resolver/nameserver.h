/*
 * A name server on the loopback, in the loop of the test: it answers from a
 * list of records, over UDP, and follows CNAMEs.
 */
#ifndef POSTERN_TESTS_NAMESERVER_H
#define POSTERN_TESTS_NAMESERVER_H

#include <check.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/loop.h"
#include "lib/net/addr.h"
#include "lib/rules/config.h"
#include "resolver/dns.h"

enum ns_rcode {
	NS_OK = 0,
	NS_SERVFAIL = 2,
	NS_NXDOMAIN = 3,
	NS_REFUSED = 5,
	NS_MUTE = 16, /* no answer at all */
	/* NS_OK, authenticated; then it is also authenticated that there is
	 * nothing of another type */
	NS_AD = 32
};

/* One record, or with an rcode what the question for it is answered with. A
 * name that has none of the type is there without data; one with no row does
 * not exist. */
struct ns_record {
	const char *name;
	enum dns_type type;
	const char *data; /* address, name, "10 name" of an MX; TXT: text; TLSA:
			   * three digits and hexadecimal */
	uint32_t ttl_s;   /* 0: 300 */
	enum ns_rcode rcode;
};

struct nameserver {
	const struct ns_record *records; /* ended by a NULL name */
	int fd;
	struct loop_fd *watch;
	struct server address; /* for query_set_servers */
	size_t nasked;
};

enum { NS_PACKET_MAX = 4096, NS_HEADER = 12 };

static inline size_t
ns_put_name(uint8_t *p, const char *name)
{
	size_t n = 0;

	while (*name != '\0') {
		size_t len = strcspn(name, ".");
		p[n++] = (uint8_t)len;
		memcpy(p + n, name, len);
		n += len;
		name += len + (name[len] == '.');
	}
	p[n++] = 0;
	return n;
}

static inline void
ns_put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* "311ab…" */
static inline size_t
ns_put_tlsa(uint8_t *p, const char *text)
{
	size_t n = 0;

	for (; n < 3; n++)
		p[n] = (uint8_t)(text[n] - '0');
	for (text += 3; *text != '\0'; text += 2) {
		const char digits[3] = { text[0], text[1], '\0' };

		p[n++] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return n;
}

/* The data of a record. Returns its length. */
static inline size_t
ns_put_data(uint8_t *p, const struct ns_record *r)
{
	struct addr a;
	char *name;

	switch (r->type) {
	case DNS_A:
	case DNS_AAAA:
		ck_assert_int_eq(addr_parse(str_of(r->data), &a), 0);
		memcpy(p, a.bytes, r->type == DNS_A ? 4 : 16);
		return r->type == DNS_A ? 4 : 16;
	case DNS_MX:
		ns_put16(p, (unsigned int)strtoul(r->data, &name, 10));
		return 2 + ns_put_name(p + 2, name + 1);
	case DNS_TLSA:
		return ns_put_tlsa(p, r->data);
	case DNS_CNAME:
	case DNS_NS:
	case DNS_PTR:
		return ns_put_name(p, r->data);
	case DNS_TXT:
		p[0] = (uint8_t)strlen(r->data);
		memcpy(p + 1, r->data, p[0]);
		return 1U + p[0];
	}
	return 0;
}

/* The record behind the first n bytes. Returns how many there are then. */
static inline size_t
ns_add(uint8_t *packet, size_t n, const struct ns_record *r, const char *asked)
{
	uint32_t ttl = r->ttl_s == 0 ? 300 : r->ttl_s;

	if (strcasecmp(r->name, asked) == 0) {
		ns_put16(packet + n, 0xc000 | NS_HEADER);
		n += 2;
	} else {
		n += ns_put_name(packet + n, r->name);
	}
	ns_put16(packet + n, r->type);
	ns_put16(packet + n + 2, 1);
	ns_put16(packet + n + 4, ttl >> 16);
	ns_put16(packet + n + 6, ttl & 0xffff);
	size_t len = ns_put_data(packet + n + 10, r);
	ns_put16(packet + n + 8, (unsigned int)len);
	packet[7]++;
	return n + 10 + len;
}

/* Its CNAME, unless that was asked for; or NULL. */
static inline const struct ns_record *
ns_alias(const struct nameserver *ns, const char *name, unsigned int type)
{
	const struct ns_record *r;

	for (r = ns->records; r->name != NULL && type != DNS_CNAME; r++)
		if (r->type == DNS_CNAME && strcasecmp(r->name, name) == 0)
			return r;
	return NULL;
}

struct ns_reply {
	unsigned int rcode;
	bool is_mute, ad;
	const char *asked;
	size_t len;
};

/* What is there of this very name; rp->ad says what was before. */
static inline void
ns_collect(const struct nameserver *ns, uint8_t *packet, const char *name,
    unsigned int type, struct ns_reply *rp)
{
	bool any_ad = false, all_ad = true, found = false;

	rp->rcode = NS_NXDOMAIN;
	for (const struct ns_record *r = ns->records; r->name != NULL; r++) {
		if (strcasecmp(r->name, name) != 0)
			continue;
		if (rp->rcode == NS_NXDOMAIN)
			rp->rcode = NS_OK;
		any_ad |= r->rcode == NS_AD;
		if (r->type != type)
			continue;
		found = true;
		all_ad &= r->rcode == NS_AD;
		if (r->rcode == NS_MUTE)
			rp->is_mute = true;
		else if (r->rcode != NS_OK && r->rcode != NS_AD)
			rp->rcode = r->rcode;
		else if (rp->len < NS_PACKET_MAX - 600)
			rp->len = ns_add(packet, rp->len, r, rp->asked);
	}
	rp->ad &= found ? all_ad : any_ad;
}

/* Answers the question in packet (n bytes, cut behind it) in its place.
 * Returns the length, 0: no answer. */
static inline size_t
ns_answer(const struct nameserver *ns, uint8_t *packet, size_t n,
    const char *name, unsigned int type)
{
	struct ns_reply rp = { .len = n, .ad = true, .asked = name };
	const struct ns_record *alias;

	while ((alias = ns_alias(ns, name, type)) != NULL) {
		rp.len = ns_add(packet, rp.len, alias, rp.asked);
		rp.ad &= alias->rcode == NS_AD;
		name = alias->data;
	}
	ns_collect(ns, packet, name, type, &rp);
	packet[3] = (uint8_t)(0x80 | rp.rcode | (rp.ad ? 0x20 : 0));
	return rp.is_mute ? 0 : rp.len;
}

static inline void
ns_on_packet(void *ctx, int what)
{
	struct nameserver *ns = ctx;
	uint8_t packet[NS_PACKET_MAX];
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char name[256];
	size_t n = 0, at = NS_HEADER;

	(void)what;
	ssize_t got =
	    recvfrom(ns->fd, packet, 512, 0, (struct sockaddr *)&from, &len);
	ck_assert_int_gt(got, NS_HEADER + 4);
	while (packet[at] != 0) {
		memcpy(name + n, packet + at + 1, packet[at]);
		n += packet[at];
		at += 1U + packet[at];
		name[n++] = '.';
	}
	name[n > 0 ? n - 1 : 0] = '\0';
	ns->nasked++;
	packet[2] = (uint8_t)(0x84 | (packet[2] & 1));
	memset(packet + 6, 0, 6);
	n = ns_answer(ns, packet, at + 5, name,
	    (unsigned int)(packet[at + 1] << 8 | packet[at + 2]));
	if (n > 0)
		ck_assert_int_eq(
		    sendto(ns->fd, packet, n, 0, (struct sockaddr *)&from, len),
		    (int)n);
}

static inline void
ns_start(struct nameserver *ns, struct loop *l, const struct ns_record *records)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(sin);

	*ns = (struct nameserver){ .records = records };
	ns->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(ns->fd, (struct sockaddr *)&sin, len), 0);
	ck_assert_int_eq(getsockname(ns->fd, (struct sockaddr *)&sin, &len), 0);
	ns->address = (struct server){ .port = ntohs(sin.sin_port),
		.timeout_ms = SERVER_TIMEOUT_MS,
		.trust_ad = true };
	ck_assert_int_eq(addr_parse(STR("127.0.0.1"), &ns->address.addr), 0);
	ns->watch = loop_fd_new(l, ns->fd, ns_on_packet, ns);
	loop_fd_want(ns->watch, LOOP_READ);
}

static inline void
ns_stop(struct nameserver *ns)
{
	loop_fd_free(&ns->watch);
	close(ns->fd);
}

#endif
