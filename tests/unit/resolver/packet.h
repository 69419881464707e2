/* DNS packets put together byte by byte, also such as nobody should send. */
#ifndef POSTERN_TESTS_PACKET_H
#define POSTERN_TESTS_PACKET_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/str.h"
#include "resolver/dns.h"

enum { PACKET_HEADER = 12, PACKET_MAX = 65535 };

/* Where the header counts the records of a section. */
enum section { ANSWER = 6, AUTHORITY = 8, ADDITIONAL = 10 };

enum { TYPE_NS = 2, TYPE_SOA = 6, TYPE_OPT = 41 };

enum {
	QR = 0x8000,
	AA = 0x0400,
	TC = 0x0200,
	RD = 0x0100,
	RA = 0x0080,
	AD = 0x0020
};

struct pkt {
	uint8_t p[PACKET_MAX];
	size_t n;
};

static inline void
pkt_set16(struct pkt *k, size_t at, unsigned int v)
{
	k->p[at] = (uint8_t)(v >> 8);
	k->p[at + 1] = (uint8_t)v;
}

static inline unsigned int
pkt_get16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

static inline void
pkt_put16(struct pkt *k, unsigned int v)
{
	pkt_set16(k, k->n, v);
	k->n += 2;
}

static inline void
pkt_put32(struct pkt *k, uint32_t v)
{
	pkt_put16(k, v >> 16);
	pkt_put16(k, v & 0xffff);
}

static inline void
pkt_put(struct pkt *k, const void *p, size_t len)
{
	memcpy(k->p + k->n, p, len);
	k->n += len;
}

/* Labels between dots; "" is the root. */
static inline void
pkt_put_name(struct pkt *k, const char *name)
{
	while (*name != '\0') {
		size_t len = strcspn(name, ".");
		k->p[k->n++] = (uint8_t)len;
		pkt_put(k, name, len);
		name += len + (name[len] == '.');
	}
	k->p[k->n++] = 0;
}

static inline void
pkt_count(struct pkt *k, enum section s)
{
	pkt_set16(k, s, pkt_get16(k->p + s) + 1);
}

static inline void
pkt_begin(struct pkt *k, unsigned int id, unsigned int flags, const char *name,
    unsigned int type)
{
	memset(k->p, 0, PACKET_HEADER);
	k->n = PACKET_HEADER;
	pkt_set16(k, 0, id);
	pkt_set16(k, 2, flags);
	pkt_set16(k, 4, 1);
	pkt_put_name(k, name);
	pkt_put16(k, type);
	pkt_put16(k, 1);
}

/* Up to its data's length, which pkt_end_rr fills in. Returns where. */
static inline size_t
pkt_begin_rr(struct pkt *k, enum section s, const char *owner,
    unsigned int type, uint32_t ttl)
{
	pkt_count(k, s);
	pkt_put_name(k, owner);
	pkt_put16(k, type);
	pkt_put16(k, 1);
	pkt_put32(k, ttl);
	pkt_put16(k, 0);
	return k->n;
}

static inline void
pkt_end_rr(struct pkt *k, size_t from)
{
	pkt_set16(k, from - 2, (unsigned int)(k->n - from));
}

static inline void
pkt_rr(struct pkt *k, enum section s, const char *owner, unsigned int type,
    uint32_t ttl, struct str data)
{
	size_t at = pkt_begin_rr(k, s, owner, type, ttl);

	pkt_put(k, data.p, data.len);
	pkt_end_rr(k, at);
}

static inline void
pkt_a(struct pkt *k, const char *owner, uint32_t ttl, uint8_t last)
{
	const char data[4] = { (char)192, 0, 2, (char)last };

	pkt_rr(k, ANSWER, owner, DNS_A, ttl, (struct str){ data, 4 });
}

/* CNAME or PTR. */
static inline void
pkt_to(struct pkt *k, const char *owner, unsigned int type, uint32_t ttl,
    const char *target)
{
	size_t at = pkt_begin_rr(k, ANSWER, owner, type, ttl);

	pkt_put_name(k, target);
	pkt_end_rr(k, at);
}

static inline void
pkt_mx(struct pkt *k, const char *owner, uint32_t ttl, unsigned int preference,
    const char *target)
{
	size_t at = pkt_begin_rr(k, ANSWER, owner, DNS_MX, ttl);

	pkt_put16(k, preference);
	pkt_put_name(k, target);
	pkt_end_rr(k, at);
}

static inline void
pkt_soa(struct pkt *k, const char *owner, uint32_t ttl, uint32_t minimum)
{
	size_t at = pkt_begin_rr(k, AUTHORITY, owner, TYPE_SOA, ttl);

	pkt_put_name(k, "ns.example.com");
	pkt_put_name(k, "hostmaster.example.com");
	for (int i = 0; i < 4; i++)
		pkt_put32(k, 1);
	pkt_put32(k, minimum);
	pkt_end_rr(k, at);
}

static inline struct str
pkt_str(const struct pkt *k)
{
	return (struct str){ (const char *)k->p, k->n };
}

#endif
