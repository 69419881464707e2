/*
 * One page over HTTPS, of a host whose addresses are known (RFC 8461 3.3):
 * port 443, the certificate for the host's name and from an authority we
 * trust, TLS 1.2 or later, 200 and text/plain, nothing else. The one file
 * with libcurl, which runs on our loop, resolves nothing, follows nothing,
 * and knows no proxy, environment or file.
 */
#ifndef POSTERN_FETCH_HTTPS_H
#define POSTERN_FETCH_HTTPS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/loop.h"
#include "lib/base/str.h"

enum { HTTPS_PORT = 443, HTTPS_HEAD_MAX = 65536, HTTPS_BODY_MAX = 65536 };

enum https_result {
	HTTPS_OK,
	HTTPS_FAILED,
	HTTPS_UNTRUSTED /* the certificate is not right */
};

struct https_answer {
	enum https_result result;
	struct str body;
	const char *why; /* unless HTTPS_OK: for the log */
};

struct https_get;
/* Once, never before https_get returned; what a points to lives until it
 * returns. */
typedef void https_fn(void *ctx, const struct https_answer *a);

/* Before the jail. */
void https_init(struct loop *l);
/* Certificates of the authorities (PEM, a file that is taken over); those
 * before them are forgotten. */
void https_set_authorities(int fd);
/* GET https://HOST PATH. addrs: addresses of host as texts, sound. */
struct https_get *https_get(struct str host, const char *path, struct str addrs,
    uint64_t timeout_ms, https_fn *fn, void *ctx);
/* fn is not called. */
void https_cancel(struct https_get **g);

#endif
